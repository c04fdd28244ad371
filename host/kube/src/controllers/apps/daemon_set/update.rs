//! How a DaemonSet's pods are renewed (`update.go`).

use super::{Look, Plan, hash_of, nodes};
use crate::store::kinds::int_or_percent::resolve;
use crate::store::{Object, object};

impl Look<'_> {
    /// Both numbers are rounded up of the nodes that are to have a pod.
    fn limits(&self) -> (i64, i64) {
        let desired = self.nodes.iter().filter(|n| nodes::takes(self.set, n).start).count() as i64;
        let rolling = &self.set["spec"]["updateStrategy"]["rollingUpdate"];
        let surge = resolve(&rolling["maxSurge"], desired, true);
        let unavailable = resolve(&rolling["maxUnavailable"], desired, true);
        // Both 0 cannot be stored, but 0 % of something can come to nothing.
        (surge, if surge == 0 { unavailable.max(1) } else { unavailable })
    }

    pub(super) fn surges(&self) -> bool {
        let strategy = &self.set["spec"]["updateStrategy"];
        strategy["type"] == "RollingUpdate" && self.limits().0 > 0
    }

    /// The new and the old pod of a node, as far as they are not on their way out; `None` if
    /// there are more than one of either.
    fn pair(&self, pods: &[Object]) -> Option<(Option<Object>, Option<Object>)> {
        let (mut new, mut old) = (None, None);
        for pod in pods.iter().filter(|p| !object::deleting(p)) {
            let slot = if hash_of(pod) == self.hash { &mut new } else { &mut old };
            if slot.replace(pod.clone()).is_some() {
                return None;
            }
        }
        Some((new, old))
    }

    /// Which pods are replaced now.
    pub(super) fn renew(&self) -> Plan {
        let (surge, unavailable) = self.limits();
        if surge > 0 { self.renew_with_surge(surge) } else { self.renew_in_place(unavailable) }
    }

    fn renew_in_place(&self, most: i64) -> Plan {
        let mut down = 0;
        let (mut broken, mut working) = (Vec::new(), Vec::new());
        for (_, pods) in self.expected() {
            match self.pair(pods) {
                Some((Some(new), None)) => down += i64::from(!self.is_available(&new)),
                Some((None, Some(old))) if self.is_available(&old) => working.push(old),
                Some((None, Some(old))) => {
                    down += 1;
                    broken.push(old);
                }
                _ => down += 1,
            }
        }
        // What does not work is replaced at once.
        let count = usize::try_from(most - down).unwrap_or(0).min(working.len());
        broken.extend(working.drain(..count));
        Plan { create: Vec::new(), delete: broken }
    }

    fn renew_with_surge(&self, most: i64) -> Plan {
        let mut plan = Plan::default();
        let (mut extra, mut candidates) = (0, Vec::new());
        for (node, pods) in self.expected() {
            match self.pair(pods) {
                None => extra += 1,
                Some((_, None)) => {}
                // The old one does not work: nothing is lost by a second one beside it.
                Some((None, Some(old))) if !self.is_available(&old) => {
                    plan.create.push(node.to_owned());
                }
                Some((None, Some(_))) => candidates.push(node.to_owned()),
                Some((Some(new), Some(old))) => {
                    if self.is_available(&new) {
                        plan.delete.push(old);
                    } else {
                        extra += 1;
                    }
                }
            }
        }
        let count = usize::try_from(most - extra).unwrap_or(0).min(candidates.len());
        plan.create.extend(candidates.drain(..count));
        plan
    }

    /// The nodes that are to have a pod, and what they have.
    fn expected(&self) -> impl Iterator<Item = (&str, &[Object])> {
        self.nodes
            .iter()
            .filter(|n| nodes::takes(self.set, n).start)
            .map(|n| (object::name(n), self.on(object::name(n))))
    }
}
