//! Acting as somebody else (`kubectl --as`): `k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`.

use super::{Attributes, User, account};
use crate::api::Api;
use crate::api::response::Response;
use crate::store::Error;

impl Api {
    /// The user as whom `user` may act when they want to be `wanted`. `only_user` says that no
    /// group, uid or extra is to be impersonated as well: a world knows users by their names.
    ///
    /// # Errors
    /// The answer to give instead.
    pub fn impersonate(
        &self,
        user: &str,
        wanted: &str,
        only_user: bool,
    ) -> Result<String, Response> {
        self.becomes(user, wanted, only_user).map_err(|e| Response::error(&e))
    }

    fn becomes(&self, user: &str, wanted: &str, only_user: bool) -> Result<String, Error> {
        if wanted.is_empty() {
            return Err(Error::bad_request("nothing can be impersonated without a user"));
        }
        if !only_user {
            return Err(Error::bad_request(
                "only users can be impersonated here: their groups follow from their names",
            ));
        }
        let (resource, namespace, name) = match account(wanted) {
            Some((namespace, name)) => ("serviceaccounts", namespace, name),
            None => ("users", "", wanted),
        };
        let asked = Attributes {
            verb: "impersonate".into(),
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..Attributes::default()
        };
        self.authorize(&User::of(user), &asked)?;
        Ok(wanted.into())
    }
}
