//! How long a container that ended waits before it is started again
//! (`pkg/kubelet/kuberuntime/kuberuntime_manager.go` doBackOff, `client-go/util/flowcontrol`).

use std::time::Duration;

use podlab_sim::Time;

/// The first wait (`initialBackoff`).
pub(crate) const FIRST: Duration = Duration::from_secs(10);
/// The longest (`maxContainerBackOff`, `MaxImageBackOff`).
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// Waits that double, until it went well for twice the longest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff(Option<(Duration, Time)>);

impl Backoff {
    fn live(&self, event: Time) -> Option<Duration> {
        self.0.filter(|(_, updated)| event.since(*updated) <= LONGEST * 2).map(|(wait, _)| wait)
    }

    /// How long to wait after what happened at `event`, and until when.
    pub(crate) fn due(&self, event: Time) -> (Duration, Time) {
        let wait = self.live(event).unwrap_or(Duration::ZERO);
        (wait, event + wait)
    }

    /// It is tried again at `now`, after what happened at `event`.
    pub(crate) fn again(&mut self, event: Time, now: Time) {
        let wait = self.live(event).map_or(FIRST, |w| (w * 2).min(LONGEST));
        self.0 = Some((wait, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_table() {
        let mut backoff = Backoff::default();
        let mut now = Time::from_secs(100);
        let mut waits = Vec::new();
        for _ in 0..8 {
            now += Duration::from_secs(1);
            let (wait, due) = backoff.due(now);
            waits.push(wait.as_secs());
            backoff.again(now, due);
            now = due;
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        // It ran for just ten minutes: not enough; a moment longer is.
        assert_eq!(backoff.due(now + Duration::from_secs(600)).0.as_secs(), 300);
        let exit = now + Duration::from_secs(601);
        assert_eq!(backoff.due(exit).0.as_secs(), 0);
        backoff.again(exit, exit);
        assert_eq!(backoff.due(exit + Duration::from_secs(1)).0.as_secs(), 10);
    }
}
