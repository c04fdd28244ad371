//! `--tls` of the commands that serve.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use podlab_server::tls::{Tls, certificate_in};

use crate::problem::Problem;

/// Below the state folder: the certificate that we made ourselves.
const FOLDER: &str = "tls";

/// How to speak TLS.
#[derive(clap::Args)]
pub struct Args {
    /// Speaks TLS, with a certificate made here (browsers warn of it once).
    #[arg(long)]
    tls: bool,
    /// Speaks TLS with this certificate: PEM, its issuers after it.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate: PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Args {
    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls || self.tls_cert.is_some() { "https" } else { "http" }
    }

    /// Certificate and key, if TLS is spoken; one of our own is for these names and addresses.
    ///
    /// # Errors
    /// If a file cannot be read, or cannot be used.
    pub fn open(
        &self,
        state: Option<&Path>,
        names: &[String],
        addresses: &[IpAddr],
    ) -> Result<Option<Tls>, Problem> {
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let read = |path: &PathBuf| {
                fs::read(path).map_err(|e| {
                    Problem::usage(format!("{}: {e}", path.display()), "Give a PEM file.")
                })
            };
            let tls = Tls::new(&read(certificate)?, &read(key)?).map_err(|why| {
                let file = certificate.display();
                Problem::usage(
                    format!("{file}: {why}"),
                    "Give a certificate and its own key, both PEM.",
                )
            })?;
            return Ok(Some(tls));
        }
        if !self.tls {
            return Ok(None);
        }
        let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        all.extend(names.iter().cloned());
        all.extend(addresses.iter().map(ToString::to_string));
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|name| seen.insert(name.clone()));
        let dir = state.map(folder);
        Tls::own(dir.as_deref(), &all)
            .map(Some)
            .map_err(|why| Problem::failed(why, "Give one with --tls-cert and --tls-key."))
    }
}

impl Args {
    /// Our own certificate, PEM, for programs that trust none but those they know.
    pub fn to_trust(&self, state: Option<&Path>) -> Option<String> {
        if !self.tls || self.tls_cert.is_some() {
            return None;
        }
        fs::read_to_string(certificate_in(&folder(state?))).ok()
    }
}

/// Where our own certificate is kept.
pub fn folder(state: &Path) -> PathBuf {
    state.join(FOLDER)
}

/// What tells the user that browsers may trust it.
pub fn notice(tls: &Tls) -> String {
    format!("Certificate (SHA-256, as browsers show it):\n  {}", tls.fingerprint())
}
