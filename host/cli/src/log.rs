//! What a server tells of itself on standard error, for people or for programs.
//!
//! No line holds a secret: requests are named by the route that they matched, never by their path.

use std::fmt;

use serde_json::{Map, Value, json};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Lines for people.
    Text,
    /// One JSON object a line: `time` (ms since 1970), `level`, `message`, and what belongs to it.
    Json,
}

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// What went wrong.
    Warn,
    /// And what happened.
    Info,
    /// And every request.
    Debug,
}

/// What is written, and how.
#[derive(clap::Args)]
pub struct Args {
    /// How standard error tells what happens.
    #[arg(long, value_enum, value_name = "FORM", default_value = "text", env = "PODLAB_LOG")]
    log: Form,
    /// How much it tells [default: info for programs and of workshops, else warn].
    #[arg(long, value_enum, value_name = "LEVEL", env = "PODLAB_LOG_LEVEL")]
    log_level: Option<Level>,
}

impl Args {
    /// What is written if nothing is asked for.
    pub fn usual() -> Args {
        Args { log: Form::Text, log_level: None }
    }

    /// Begins to write; for people as much as `usual`.
    pub fn start(&self, usual: Level) {
        let usual = if self.log == Form::Json { Level::Info } else { usual };
        let level = match self.log_level.unwrap_or(usual) {
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
        };
        let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
        // A second start, which only tests make, keeps the first.
        let _ = match self.log {
            Form::Text => tracing::subscriber::set_global_default(
                builder.without_time().with_target(false).with_ansi(false).finish(),
            ),
            Form::Json => {
                tracing::subscriber::set_global_default(builder.event_format(Lines).finish())
            }
        };
    }
}

/// Writes events as JSON objects.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields(Map::new());
        let ms = podlab_server::app::now_nanos() / 1_000_000;
        fields.0.insert("time".into(), json!(ms));
        let level = event.metadata().level().to_string().to_lowercase();
        fields.0.insert("level".into(), json!(level));
        event.record(&mut fields);
        writeln!(writer, "{}", Value::Object(fields.0))
    }
}

/// The fields of an event.
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &tracing::field::Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.set(field, json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.set(field, json!(value));
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.set(field, json!(value));
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.set(field, json!(value));
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.set(field, json!(value));
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.set(field, json!(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_of_json_whatever_is_in_it() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Lines)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(seat = 3_u32, name = "a\n\"b\"", "joined");
        });
        let bytes = kept.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.lines().count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["seat"], 3);
        assert_eq!(value["name"], "a\n\"b\"");
        assert_eq!((&value["level"], &value["message"]), (&json!("info"), &json!("joined")));
        assert!(value["time"].as_u64().unwrap() > 1_600_000_000_000);
    }
}
