//! Tasks as files, between a sidecar that gets them and a main container that does them.
//!
//! The contract, in a directory that both mount: `in/NAME` is a task, there as a whole or not at
//! all; the answer to it is `out/NAME.result` or, if it cannot be done, `out/NAME.error`; a file
//! `done` says that no more will come.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::args::Args;
use crate::http::{self, Handler, Limits, Response};
use crate::runtime::{Either, Flag, race, sleep, spawn};

/// From one look into the directory to the next.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of a task's file.
const MAX_TASK: u64 = 1 << 20;

/// Puts a file in place at one instant.
///
/// # Errors
/// As the file system has it.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".part");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

/// How a main container fares, for probes and people.
#[derive(Default)]
pub struct Figures {
    done: Cell<u64>,
    failed: Cell<u64>,
    busy: Cell<bool>,
}

impl Figures {
    /// Answers `/healthz`, `/readyz` and `/stats` where `--listen` says; nowhere if that is `-`.
    ///
    /// # Errors
    /// If it is no address, or is taken.
    pub async fn show(args: &Args, stop: &Flag) -> Result<Rc<Figures>, String> {
        let figures = Rc::new(Figures::default());
        let Some(listener) = crate::connections::listen(args, "listen").await? else {
            return Ok(figures);
        };
        let shown = figures.clone();
        let handler: Handler = Rc::new(move |request| {
            let answer = match request.path.as_str() {
                "/healthz" | "/readyz" => Response::text(200, "ok"),
                "/stats" => Response::json(200, shown.json()),
                _ => Response::text(404, "there are /healthz, /readyz and /stats"),
            };
            Box::pin(async move { answer })
        });
        let stop = stop.clone();
        spawn(async move {
            if let Err(error) = http::serve(listener, handler, Limits::default(), stop).await {
                crate::log::error("page-failed", &[("error", &error)]);
            }
        });
        Ok(figures)
    }

    fn json(&self) -> String {
        let (done, failed, busy) = (self.done.get(), self.failed.get(), self.busy.get());
        format!("{{\"done\":{done},\"failed\":{failed},\"busy\":{busy}}}")
    }
}

/// Does tasks until `stop`, or until no more will come. A task that was being done when the program
/// ended is there when it begins again.
///
/// # Errors
/// If the directory cannot be used.
pub async fn serve(
    dir: &Path,
    stop: &Flag,
    figures: &Figures,
    work: impl AsyncFn(&str, &[u8]) -> Result<Vec<u8>, String>,
) -> Result<(), String> {
    let wrong = |e: io::Error| format!("{}: {e}", dir.display());
    let (from, to) = (dir.join("in"), dir.join("out"));
    for folder in [&from, &to] {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    while !stop.raised() {
        let Some((name, path)) = next(&from).map_err(wrong)? else {
            if dir.join("done").exists() {
                crate::log::info("no-more-tasks", &[]);
                return Ok(());
            }
            race(sleep(LOOK), stop.wait()).await;
            continue;
        };
        let (result, error) = (to.join(format!("{name}.result")), to.join(format!("{name}.error")));
        if !result.exists() && !error.exists() {
            let done = async {
                let bytes = read(&path).map_err(|e| e.to_string())?;
                work(&name, &bytes).await
            };
            // Asked to end, it leaves the task where it is: whoever brought it gives it back.
            figures.busy.set(true);
            let Either::First(done) = race(done, stop.wait()).await else { break };
            figures.busy.set(false);
            let put = match &done {
                Ok(bytes) => {
                    figures.done.set(figures.done.get() + 1);
                    crate::log::info("task-done", &[("task", &name)]);
                    put(&result, bytes)
                }
                Err(why) => {
                    figures.failed.set(figures.failed.get() + 1);
                    crate::log::warn("task-failed", &[("task", &name), ("error", why)]);
                    put(&error, why.as_bytes())
                }
            };
            put.map_err(wrong)?;
        }
        // It may be gone already: taken back.
        let _gone = fs::remove_file(&path);
    }
    Ok(())
}

fn next(from: &Path) -> io::Result<Option<(String, PathBuf)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".part") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().next().map(|name| (name.clone(), from.join(name))))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MAX_TASK {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the task is too large"));
    }
    fs::read(path)
}
