//! Errors as users see them: what is wrong, what to do, and an exit code.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub struct Problem {
    code: u8,
    message: String,
    remedy: String,
}

/// What a command comes to.
pub type Done = Result<ExitCode, Problem>;

impl Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Problem {
    /// 3: the command was given something it cannot use.
    pub fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { code: 3, message: message.into(), remedy: remedy.into() }
    }

    /// 3: it could not be done.
    pub fn failed(message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { code: 3, message: message.into(), remedy: remedy.into() }
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path, error: impl Display) -> Problem {
        Problem::usage(
            format!("{}: {error}", path.display()),
            "Is the path right, and may it be used?",
        )
    }

    /// Tells the user.
    pub fn report(&self) -> ExitCode {
        eprintln!("podlab: {}", self.message);
        if !self.remedy.is_empty() {
            eprintln!("{}", self.remedy);
        }
        ExitCode::from(self.code)
    }
}
