//! Who may use a world's Kubernetes API, and as whom, when it is not the owner.
//!
//! kubectl sends no token over plain http, so an identity is a capability: an unguessable part of
//! the URL (`/api/worlds/ID/as/CAPABILITY/kube`). Here it stands for a user's name; what that
//! user may do is up to RBAC in the world, where issuing made a RoleBinding. Who has only such a
//! URL reaches nothing else of the server through it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How many identities a world may have.
const MAX: usize = 1024;
/// Random bytes in a capability.
const BYTES: usize = 24;

/// An identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user, as RBAC sees them.
    pub name: String,
    /// Where they may do something.
    pub namespace: String,
    /// The ClusterRole that says what: `view`, `edit` or `admin`.
    pub role: String,
}

/// The identities of one world.
#[derive(Default)]
pub struct Identities {
    /// By the digest of the capability: looking one up tells nothing of others by its time.
    known: BTreeMap<[u8; 32], Identity>,
}

fn digest(capability: &str) -> [u8; 32] {
    *blake3::hash(capability.as_bytes()).as_bytes()
}

impl Identities {
    /// Whose capability this is.
    pub fn of(&self, capability: &str) -> Option<&Identity> {
        self.known.get(&digest(capability))
    }

    /// All, by name.
    pub fn list(&self) -> Vec<Identity> {
        let mut all: Vec<Identity> = self.known.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The identity called `name`.
    pub fn named(&self, name: &str) -> Option<&Identity> {
        self.known.values().find(|i| i.name == name)
    }

    /// Whether one more may be issued.
    pub fn room(&self) -> bool {
        self.known.len() < MAX
    }

    /// Issues a capability, which nobody can tell again later.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn issue(&mut self, identity: Identity) -> Result<String, String> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|e| format!("no random bytes: {e}"))?;
        let capability = URL_SAFE_NO_PAD.encode(bytes);
        self.known.insert(digest(&capability), identity);
        Ok(capability)
    }

    /// Takes an identity back.
    pub fn revoke(&mut self, name: &str) -> Option<Identity> {
        let found = self.known.iter().find(|(_, i)| i.name == name).map(|(d, _)| *d)?;
        self.known.remove(&found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_good_until_it_is_revoked() {
        let mut all = Identities::default();
        let anna =
            Identity { name: "anna".into(), namespace: "team-a".into(), role: "edit".into() };
        let one = all.issue(anna.clone()).unwrap();
        let other = all.issue(Identity { name: "ben".into(), ..anna.clone() }).unwrap();
        assert!(one != other && one.len() == 32);
        assert_eq!(all.of(&one), Some(&anna));
        assert_eq!(all.of(&other).unwrap().name, "ben");
        for wrong in ["", "admin", &one[1..], &one.to_uppercase()] {
            assert_eq!(all.of(wrong), None);
        }
        assert_eq!(all.revoke("anna"), Some(anna));
        assert_eq!((all.of(&one), all.list().len()), (None, 1));
        assert_eq!(all.revoke("anna"), None);
    }
}
