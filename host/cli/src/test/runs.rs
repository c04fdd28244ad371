//! Runs on several threads.

use std::collections::VecDeque;
use std::fs;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use indicatif::{ProgressBar, ProgressStyle};
use podlab_lab::Report;
use podlab_trace::Verdict;

use super::{Args, Format, Job};
use crate::problem::Problem;

/// Runs the jobs, and gives back their reports in the order of the jobs. Unless it is to keep
/// going, the last report is that of the first job that failed, however many threads there are.
pub(super) fn all(jobs: VecDeque<Job<'_>>, args: &Args) -> Result<Vec<Report>, Problem> {
    let total = jobs.len();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = args.jobs.unwrap_or(processors).clamp(1, total.max(1));
    let queue = Mutex::new(jobs);
    // The first job that failed; those after it need not be run.
    let first = AtomicUsize::new(usize::MAX);
    let bar = if args.format == Format::Text {
        ProgressBar::new(total as u64)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let (sender, receiver) = mpsc::channel();
    let mut reports: Vec<(usize, Report)> = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (queue, first, sender) = (&queue, &first, sender.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(job) = next else { return };
                    if job.order > first.load(Ordering::SeqCst) {
                        return;
                    }
                    let finished = job.runner.run(job.pattern, job.name, job.scenario, job.seed);
                    if finished.report.verdict == Verdict::Fail && !args.keep_going {
                        first.fetch_min(job.order, Ordering::SeqCst);
                    }
                    let bad = finished.report.verdict != Verdict::Pass;
                    let recording = (bad && args.record.is_some()).then(|| finished.world.export());
                    if sender.send((job.order, finished.report, recording)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut reports = Vec::with_capacity(total);
        for (order, report, recording) in receiver {
            bar.set_message(format!("{}/{} seed {}", report.pattern, report.scenario, report.seed));
            bar.inc(1);
            if let (Some(dir), Some(recording)) = (&args.record, recording) {
                let name = format!("{}-{}-{}.plrec", report.pattern, report.scenario, report.seed);
                let path = dir.join(name);
                let written =
                    fs::create_dir_all(dir).and_then(|()| fs::write(&path, recording.encode()));
                written.map_err(|e| Problem::file(&path, e))?;
            }
            reports.push((order, report));
        }
        Ok::<_, Problem>(reports)
    })?;
    bar.finish_and_clear();
    reports.sort_by_key(|(order, _)| *order);
    reports.retain(|(order, _)| *order <= first.load(Ordering::SeqCst));
    Ok(reports.into_iter().map(|(_, report)| report).collect())
}
