//! The smallest scenario that fails as a run did.

use std::collections::BTreeSet;
use std::path::PathBuf;

use podlab_lab::shrink::{Shrunk, shrink};
use podlab_trace::Verdict;

use super::kept::Folder;
use super::runs::{Ran, bar};
use super::{Args, Job};
use crate::problem::Problem;

/// What a failure was shrunk to, and where it is kept.
pub(super) struct Smallest {
    /// What is left.
    pub shrunk: Shrunk,
    /// Its recording; the scenario lies beside it.
    pub recording: Option<PathBuf>,
}

/// Shrinks the first failure of each scenario.
pub(super) fn all(
    ran: &mut [Ran],
    jobs: &[Job<'_>],
    args: &Args,
    folder: Option<&Folder>,
) -> Result<(), Problem> {
    if args.no_shrink || args.shrink_runs == 0 {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for ran in ran.iter_mut().filter(|r| r.report.verdict == Verdict::Fail) {
        if seen.insert((ran.report.pattern.clone(), ran.report.scenario.clone())) {
            ran.smallest = one(ran, &jobs[ran.order], args, folder)?;
        }
    }
    Ok(())
}

fn one(
    ran: &Ran,
    job: &Job<'_>,
    args: &Args,
    folder: Option<&Folder>,
) -> Result<Option<Smallest>, Problem> {
    let bar = bar(args.shrink_runs.into(), args);
    let report = &ran.report;
    let name = format!("{}/{} seed {}", report.pattern, report.scenario, report.seed);
    bar.set_message(format!("looking for the smallest scenario that fails like {name}"));
    let found = shrink(job.scenario, report, &ran.script, args.shrink_runs, |scenario| {
        bar.inc(1);
        job.runner.run(job.pattern, job.name, scenario, job.seed).report
    });
    bar.finish_and_clear();
    let Some(shrunk) = found else { return Ok(None) };
    let recording = match folder {
        Some(folder) => {
            let again = job.runner.run(job.pattern, job.name, &shrunk.scenario, job.seed);
            let name = format!("{}-{}-{}-smallest", report.pattern, report.scenario, report.seed);
            Some(folder.keep(&name, &shrunk.yaml, &again.report, again.world.export())?)
        }
        None => None,
    };
    Ok(Some(Smallest { shrunk, recording }))
}
