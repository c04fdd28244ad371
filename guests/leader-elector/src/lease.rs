//! A Lease of coordination.k8s.io/v1 as an elector reads and writes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// What a Lease says of leadership.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Who leads; empty after it was given up.
    pub holder: String,
    /// For how long, from when somebody saw it renewed.
    pub seconds: u64,
    /// How often the holder has changed.
    pub transitions: u64,
    /// Since when it leads.
    pub acquired: String,
    /// When it said so last, by its own clock: only ever compared with what it said before.
    pub renewed: String,
}

impl Record {
    /// What an object says.
    pub fn of(lease: &Value) -> Record {
        let spec = &lease["spec"];
        let text = |name: &str| spec[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| spec[name].as_u64().unwrap_or_default();
        Record {
            holder: text("holderIdentity"),
            seconds: number("leaseDurationSeconds"),
            transitions: number("leaseTransitions"),
            acquired: text("acquireTime"),
            renewed: text("renewTime"),
        }
    }

    /// Puts it into an object, and leaves everything else there as it is.
    pub fn put(&self, lease: &mut Value) {
        lease["spec"]["holderIdentity"] = json!(self.holder);
        lease["spec"]["leaseDurationSeconds"] = json!(self.seconds);
        lease["spec"]["leaseTransitions"] = json!(self.transitions);
        lease["spec"]["acquireTime"] = json!(self.acquired);
        lease["spec"]["renewTime"] = json!(self.renewed);
    }

    /// A new object with it.
    pub fn object(&self, namespace: &str, name: &str) -> Value {
        let mut lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "namespace": namespace, "name": name },
            "spec": {},
        });
        self.put(&mut lease);
        lease
    }
}

/// A time as Kubernetes' MicroTime: `2026-01-31T12:00:00.000000Z`.
pub fn micro_time(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days to a date, counting years from March (Howard Hinnant, "chrono-compatible low-level date
    // algorithms").
    let z = days + 719_468;
    let (era, day) = (z / 146_097, z % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march = (5 * day_of_year + 2) / 153;
    let (date, month) = (day_of_year - (153 * march + 2) / 5 + 1, march % 12 + 3);
    let (month, next) = if month > 12 { (month - 12, 1) } else { (month, 0) };
    let year = year_of_era + era * 400 + next;
    format!(
        "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}.{:06}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
        since.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_kubernetes_does() {
        let at = |s, us: u32| micro_time(UNIX_EPOCH + Duration::new(s, us * 1000));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_400, 5), "2000-02-29T00:00:00.000005Z");
        assert_eq!(at(1_767_225_599, 999_999), "2025-12-31T23:59:59.999999Z");
        assert_eq!(at(1_772_323_200, 0), "2026-03-01T00:00:00.000000Z");
    }

    #[test]
    fn what_others_put_into_an_object_stays() {
        let mut lease =
            json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "strategy": "x" } });
        let record = Record { holder: "me".into(), transitions: 3, ..Record::default() };
        record.put(&mut lease);
        assert_eq!(lease["metadata"]["labels"]["a"], "b");
        assert_eq!(lease["spec"]["strategy"], "x");
        assert_eq!(Record::of(&lease), record);
    }
}
