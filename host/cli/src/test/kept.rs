//! Where the recordings of runs that failed are kept.
//!
//! Beside each recording lies the scenario with everything written out that was drawn from the
//! seed: the decisions outlive a change of what seeds draw.

use std::fs;
use std::path::{Path, PathBuf};

use podlab_lab::Report;
use podlab_world::Recording;

use crate::embedded;
use crate::problem::Problem;

/// A folder of recordings.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder that was asked for, else one below the state folder, if there is one.
    pub(super) fn of(given: Option<&Path>) -> Option<Folder> {
        match given {
            Some(dir) => Some(Folder(dir.into())),
            None => embedded::state_dir(None).map(|dir| Folder(dir.join("failures"))),
        }
    }

    /// Keeps a recording and its scenario, and says where.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn keep(
        &self,
        name: &str,
        yaml: &str,
        report: &Report,
        recording: Recording,
    ) -> Result<PathBuf, Problem> {
        let name: String = name
            .chars()
            .map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' })
            .collect();
        let path = self.0.join(format!("{name}.plrec"));
        fs::create_dir_all(&self.0).map_err(|e| Problem::file(&self.0, e))?;
        fs::write(&path, recording.encode()).map_err(|e| Problem::file(&path, e))?;
        if !yaml.is_empty() {
            let scenario = path.with_extension("yaml");
            fs::write(&scenario, header(report) + yaml).map_err(|e| Problem::file(&scenario, e))?;
        }
        Ok(path)
    }
}

/// What the file is, and what was drawn from the seed, as comments.
fn header(report: &Report) -> String {
    let mut out = format!(
        "# Pattern {}, scenario {}, seed {}: as it was run.\n",
        report.pattern, report.scenario, report.seed
    );
    for d in &report.decisions {
        let line = format!("# at {} {}: {}", podlab_trace::text::time(d.at), d.stream, d.choice);
        out += &line.replace(['\n', '\r'], " ");
        out.push('\n');
    }
    out
}
