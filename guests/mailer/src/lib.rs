//! Sends mail: each task is one, handed to a server that may have got it before.

use std::path::PathBuf;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::handover::{self, Figures};
use podlab_guest::http::{Client, Url};
use podlab_guest::runtime::{Flag, sleep};
use serde_json::Value;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "mailer",
    version: env!("CARGO_PKG_VERSION"),
    about: "Does tasks {\"to\": ADDRESS, \"subject\": TEXT}: hands each to a mail server.",
    options: &[
        opt("dir", "DIR", "/work", "where the tasks are"),
        opt("listen", "ADDR", "-", "HTTP: /healthz, /readyz, /stats; '-' for nowhere"),
        opt("server", "URL", "http://mail-sink:8080/mail", "the mail server"),
        opt("timeout", "TIME", "3s", "how long it may take"),
        opt("keys", "BOOL", "true", "whether each mail carries its task's key"),
        opt("least", "TIME", "0", "a task takes at least this long before the mail is sent"),
    ],
};

/// Works until `stop`, or until no more tasks will come.
///
/// # Errors
/// A wrong option, a directory that cannot be used.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let (dir, least) = (PathBuf::from(args.text("dir")), args.duration("least")?);
    let (url, keys) = (Url::parse(&args.text("server"))?, args.switch("keys"));
    let limit = args.duration("timeout")?;
    let figures = Figures::show(&args, &stop).await?;
    handover::serve(&dir, &stop, &figures, async |_, bytes| {
        let task: Value =
            serde_json::from_slice(bytes).map_err(|e| format!("this is no JSON: {e}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (to, subject) = (text(&task["task"]["to"]), text(&task["task"]["subject"]));
        if !to.contains('@') || to.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("{to:?} is no address"));
        }
        sleep(least).await;
        let (id, key) = (task["id"].to_string(), text(&task["key"]));
        let mut fields = vec![("X-Task", id.as_str()), ("Content-Type", "application/json")];
        if keys {
            fields.push(("Idempotency-Key", &key));
        }
        let body = serde_json::json!({ "to": to, "subject": subject }).to_string();
        let mut client = Client::new("mailer", limit).keep(false);
        let reply = client.send("POST", &url, &fields, body.as_bytes()).await;
        match reply {
            Ok(reply) if reply.status < 300 => Ok(reply.body),
            Ok(reply) => Err(format!("the mail server answered {}", reply.status)),
            Err(error) => Err(format!("the mail server: {error}")),
        }
    })
    .await
}
