//! One command as it runs: its client, its streams.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::io::Sink;
use crate::transport::Transport;

/// A command that runs.
pub struct Kubectl<'a> {
    /// The API.
    pub client: Client<'a>,
    /// The namespace where none is named.
    pub namespace: String,
    /// Standard input.
    pub stdin: &'a str,
    /// Standard output.
    out: &'a mut dyn Sink,
    /// Standard error.
    err: &'a mut dyn Sink,
    /// Whether somebody still reads the output.
    open: bool,
}

impl<'a> Kubectl<'a> {
    /// A command over `transport`.
    pub fn new(
        transport: &'a dyn Transport,
        stdin: &'a str,
        out: &'a mut dyn Sink,
        err: &'a mut dyn Sink,
    ) -> Kubectl<'a> {
        let namespace = "default".into();
        Kubectl { client: Client::new(transport), namespace, stdin, out, err, open: true }
    }

    /// Writes to standard output.
    pub fn print(&mut self, text: impl AsRef<str>) {
        self.write(text.as_ref().as_bytes());
    }

    /// Writes bytes to standard output.
    pub fn write(&mut self, bytes: &[u8]) {
        self.open &= bytes.is_empty() || self.out.write(bytes);
    }

    /// Writes a line to standard output.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.print(format!("{}\n", text.as_ref()));
    }

    /// Writes a line to standard error.
    pub fn complain(&mut self, text: impl AsRef<str>) {
        self.err.write(format!("{}\n", text.as_ref()).as_bytes());
    }

    /// Writes bytes to standard error.
    pub fn write_error(&mut self, bytes: &[u8]) {
        self.err.write(bytes);
    }

    /// Shows warnings of the server.
    pub fn warn(&mut self, warnings: &[String]) {
        for warning in warnings {
            self.complain(format!("Warning: {warning}"));
        }
    }

    /// Whether nobody reads the output any more.
    pub fn is_closed(&self) -> bool {
        !self.open
    }

    /// The time of the world, ns since 1970.
    pub fn now(&self) -> i64 {
        self.client.transport.now()
    }

    /// The namespace that the command is about.
    pub fn namespace_of(&self, args: &Args) -> String {
        match args.get("namespace") {
            Some(given) if !given.is_empty() => given.to_owned(),
            _ => self.namespace.clone(),
        }
    }
}

/// `--dry-run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// It is for real.
    No,
    /// Only print what would be sent.
    Client,
    /// Send it, but change nothing.
    Server,
}

impl DryRun {
    /// Reads the flag.
    ///
    /// # Errors
    /// If its value is unknown.
    pub fn of(args: &Args) -> Result<DryRun> {
        match args.get("dry-run") {
            None | Some("none" | "") => Ok(DryRun::No),
            Some("client") => Ok(DryRun::Client),
            Some("server") => Ok(DryRun::Server),
            Some("unchanged") => Err(Failure::new(
                "--dry-run flag without a value was specified. A value must be set: \"none\", \"server\", or \"client\".",
            )),
            Some(other) => Err(Failure::new(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            ))),
        }
    }

    /// What follows the words of success.
    pub fn suffix(self) -> &'static str {
        match self {
            DryRun::No => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }

    /// The parameter of requests.
    pub fn param(self) -> &'static str {
        if self == DryRun::Server { "All" } else { "" }
    }
}

/// The texts of a map: labels, annotations, data.
pub fn texts(value: &Value) -> BTreeMap<&str, &str> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.as_str(), v.as_str().unwrap_or("")))
        .collect()
}
