//! The formats of `podlab trace`.

use std::io::{self, Write};

use podlab_export::har::Har;
use podlab_export::lanes::Lanes;
use podlab_export::otlp::Otlp;
use podlab_export::pcapng::Pcapng;
use podlab_server::routes::event_json;
use podlab_trace::{Event, State, text};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line of text for an event.
    Table,
    /// One JSON object a line.
    Jsonl,
    /// A space-time diagram in text: a column for each program, messages as arrows.
    Lanes,
    /// Packets, for Wireshark and tshark.
    Pcapng,
    /// HTTP Archive, for browsers' network panels.
    Har,
    /// OpenTelemetry spans as OTLP/JSON.
    Otlp,
    /// The page in one HTML file: it plays without a server.
    Html,
}

/// Writes events in a format.
pub enum Sink<'a> {
    /// See [`Format::Table`].
    Table(&'a mut dyn Write),
    /// See [`Format::Jsonl`].
    Jsonl(&'a mut dyn Write),
    /// See [`Format::Lanes`].
    Lanes(Lanes, &'a mut dyn Write),
    /// See [`Format::Pcapng`].
    Pcapng(Pcapng<&'a mut dyn Write>),
    /// See [`Format::Har`].
    Har(Har, &'a mut dyn Write),
    /// See [`Format::Otlp`].
    Otlp(Otlp, &'a mut dyn Write),
}

impl<'a> Sink<'a> {
    /// Begins. `epoch_ns` is what the world's wall clock showed at its beginning.
    pub fn new(format: Format, epoch_ns: u64, out: &'a mut dyn Write) -> io::Result<Sink<'a>> {
        Ok(match format {
            Format::Table => Sink::Table(out),
            // A page is not written event by event: see `film`.
            Format::Jsonl | Format::Html => Sink::Jsonl(out),
            Format::Lanes => Sink::Lanes(Lanes::new(), out),
            Format::Pcapng => Sink::Pcapng(Pcapng::new(out, epoch_ns)?),
            Format::Har => Sink::Har(Har::new(epoch_ns), out),
            Format::Otlp => Sink::Otlp(Otlp::new(epoch_ns), out),
        })
    }

    /// Takes the next event; `state` is what is true after it.
    pub fn take(&mut self, state: &State, event: &Event, wanted: bool) -> io::Result<()> {
        match self {
            Sink::Table(out) if wanted => writeln!(out, "{}", text::line(state, event)),
            Sink::Jsonl(out) if wanted => writeln!(out, "{}", event_json(event)),
            Sink::Table(_) | Sink::Jsonl(_) => Ok(()),
            Sink::Lanes(lanes, _) => {
                lanes.take(event, wanted);
                Ok(())
            }
            Sink::Pcapng(file) => file.take(event, wanted),
            Sink::Har(har, _) => {
                har.take(event, wanted);
                Ok(())
            }
            Sink::Otlp(otlp, _) => {
                otlp.take(event, wanted);
                Ok(())
            }
        }
    }

    /// Writes the rest.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Sink::Table(out) | Sink::Jsonl(out) => out.flush(),
            Sink::Lanes(lanes, out) => out.write_all(lanes.finish().as_bytes()),
            Sink::Pcapng(file) => file.finish().map(drop),
            Sink::Har(har, out) => writeln!(out, "{:#}", har.finish()),
            Sink::Otlp(otlp, out) => writeln!(out, "{:#}", otlp.finish()),
        }
    }
}
