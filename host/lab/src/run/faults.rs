//! Breaks and mends.

use podlab_world::{Fault, Input};

use super::Run;
use crate::report::Decision;

impl Run<'_> {
    /// Breaks what is due by plan. That a target is gone, or starts just now, is no error.
    pub(super) fn break_planned(&mut self, now: u64) -> Result<(), String> {
        while let Some(i) = self.planned.iter().position(|(at, _)| *at <= now) {
            let (at, p) = self.planned.remove(i);
            if self.fault(p.fault.clone()).is_err() {
                let choice =
                    format!("{} {}: no such target then", p.fault.name(), p.fault.target());
                self.decisions.push(Decision { at, stream: "refused".into(), choice });
                continue;
            }
            if let (Some(end), Some(lasts)) = (p.fault.end(), p.duration) {
                self.mends.push((at + lasts.0.as_nanos() as u64, end));
            }
        }
        Ok(())
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), String> {
        if fault.begins() && fault.end().is_some() {
            self.broken.push(fault.clone());
        } else if !fault.begins() {
            self.broken.retain(|f| f.end().as_ref() != Some(&fault));
        }
        let (kind, begins) = (fault.name(), fault.begins());
        match self.world.input(Input::Fault(fault)) {
            podlab_world::Outcome::Refused(why) => Err(format!("fault: {why}")),
            _ => {
                if begins {
                    *self.coverage.entry(kind.into()).or_default() += 1;
                }
                Ok(())
            }
        }
    }
}
