//! The crate's verbs as a command, over HTTP:
//! `SERVER=127.0.0.1:7777/api/worlds/w1/kube cargo run -p podlab-kubectl --example kubectl -- get pods`
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "an example")]

use std::io::{IsTerminal as _, Read as _, Write as _};

use podlab_kubectl::{Kubectl, Sink, run};

#[path = "../tests/http/mod.rs"]
mod http;

struct Std<W>(W);

impl<W: std::io::Write + Send> Sink for Std<W> {
    fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).and_then(|()| self.0.flush()).is_ok()
    }
}

fn main() {
    let server =
        std::env::var("SERVER").unwrap_or_else(|_| "127.0.0.1:7777/api/worlds/w1/kube".into());
    let (host, base) = server.split_once('/').unwrap_or((&server, ""));
    let http = http::Http { host: host.into(), base: format!("/{base}") };
    let argv: Vec<String> = std::env::args().skip(1).collect();
    let mut stdin = String::new();
    if !std::io::stdin().is_terminal() && argv.iter().any(|a| a == "-" || a == "-i") {
        let _ = std::io::stdin().read_to_string(&mut stdin);
    }
    let (mut out, mut err) = (Std(std::io::stdout()), Std(std::io::stderr()));
    let mut k = Kubectl::new(&http, &stdin, &mut out, &mut err);
    let code = http::now(run(&mut k, &argv));
    let _ = std::io::stdout().flush();
    std::process::exit(code);
}
