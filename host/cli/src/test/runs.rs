//! Runs on several threads.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use indicatif::{ProgressBar, ProgressStyle};
use podlab_lab::Report;
use podlab_lab::scenario::Step;
use podlab_trace::Verdict;

use super::kept::Folder;
use super::picture::Picture;
use super::smallest::Smallest;
use super::{Args, Format, Job};
use crate::problem::Problem;

/// What is known of a run.
pub(super) struct Ran {
    /// Which job it was.
    pub order: usize,
    /// What came of it.
    pub report: Report,
    /// Unless it passed: the steps that were done.
    pub script: Vec<Step>,
    /// Unless it passed, and where a report shows it: what happened around the failure.
    pub picture: Option<Picture>,
    /// Its recording, and it written out, where they were kept.
    pub recording: Option<PathBuf>,
    /// The smallest scenario that fails in the same way.
    pub smallest: Option<Smallest>,
}

/// How far it has come, for people.
pub(super) fn bar(total: u64, args: &Args) -> ProgressBar {
    let bar = match args.format {
        Format::Text => ProgressBar::new(total),
        _ => ProgressBar::hidden(),
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Runs the jobs, and gives back what came of them in the order of the jobs. Unless it is to keep
/// going, the last one is the first job that failed, however many threads there are.
pub(super) fn all(
    jobs: &[Job<'_>],
    args: &Args,
    folder: Option<&Folder>,
) -> Result<Vec<Ran>, Problem> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = args.jobs.unwrap_or(processors).clamp(1, jobs.len().max(1));
    let next = AtomicUsize::new(0);
    // The first job that failed; those after it need not be run.
    let first = AtomicUsize::new(usize::MAX);
    let bar = bar(jobs.len() as u64, args);
    let (sender, receiver) = mpsc::channel();
    let mut all: Vec<Ran> = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (next, first, sender) = (&next, &first, sender.clone());
            scope.spawn(move || {
                loop {
                    let order = next.fetch_add(1, Ordering::SeqCst);
                    let Some(job) = jobs.get(order) else { return };
                    if order > first.load(Ordering::SeqCst) {
                        return;
                    }
                    let ran = one(order, job, args, folder);
                    let failed = ran.as_ref().is_ok_and(|r| r.report.verdict == Verdict::Fail);
                    if failed && !args.keep_going {
                        first.fetch_min(order, Ordering::SeqCst);
                    }
                    if sender.send(ran).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut all = Vec::with_capacity(jobs.len());
        for ran in receiver {
            let ran = ran?;
            let r = &ran.report;
            bar.set_message(format!("{}/{} seed {}", r.pattern, r.scenario, r.seed));
            bar.inc(1);
            all.push(ran);
        }
        Ok::<_, Problem>(all)
    })?;
    bar.finish_and_clear();
    all.sort_by_key(|r| r.order);
    all.retain(|r| r.order <= first.load(Ordering::SeqCst));
    Ok(all)
}

fn one(order: usize, job: &Job<'_>, args: &Args, folder: Option<&Folder>) -> Result<Ran, Problem> {
    let finished = job.runner.run(job.pattern, job.name, job.scenario, job.seed);
    let report = finished.report;
    if report.verdict == Verdict::Pass {
        let (script, picture) = (Vec::new(), None);
        return Ok(Ran { order, report, script, picture, recording: None, smallest: None });
    }
    let picture = args.report.is_some().then(|| Picture::of(&report, finished.world.trace()));
    let recording = match (folder, &args.record) {
        (Some(folder), Some(_)) => {
            let whole = podlab_lab::shrink::written_out(job.scenario, &finished.script);
            let name = format!("{}-{}-{}", report.pattern, report.scenario, report.seed);
            let yaml = whole.to_yaml().unwrap_or_default();
            Some(folder.keep(&name, &yaml, &report, finished.world.export())?)
        }
        _ => None,
    };
    Ok(Ran { order, report, script: finished.script, picture, recording, smallest: None })
}
