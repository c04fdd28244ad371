//! `/api/worlds/{id}/stream`: the trace as it grows, over a WebSocket.
//!
//! Frames are [`podlab_trace::wire::Frame`]s, gathered for about 50 ms. A reader that is slow is
//! simply sent larger and fewer pieces, read from the trace when it is ready for them; the world
//! never knows.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query, State};
use podlab_trace::wire::{Frame, VERSION};
use podlab_trace::{Seq, Trace};
use tokio::time::Instant;

use super::{Answer, number};
use crate::app::{App, Served};
use crate::live::{Live, View};
use crate::workshop::viewer::Viewer;

/// Events are gathered for this long.
const GATHER: Duration = Duration::from_millis(50);
/// The clock is sent at least this often.
const CLOCK: Duration = Duration::from_millis(250);
/// How many bytes of events one frame holds, about.
const PIECE: usize = 256 << 10;
/// A client that takes nothing for this long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// `GET /api/worlds/{id}/stream?from=SEQ`. Without `from`, the stream begins with the present:
/// a keyframe of it. With `from`, it goes on with event SEQ (1 is the first), and with a keyframe
/// only if SEQ is not kept any more.
pub async fn open(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    viewer: Viewer,
    upgrade: WebSocketUpgrade,
) -> Answer {
    let live = app.world(&id)?;
    let from = number(&query, "from", 0)?;
    let served = app.stream_for(viewer)?;
    Ok(upgrade
        .max_message_size(4 << 10)
        .on_upgrade(move |socket| serve(socket, live, from, served)))
}

struct Reader {
    socket: WebSocket,
    live: Arc<Live>,
    next: Seq,
    rewinds: u64,
    clock: Option<(u64, u32, Seq, u64, bool, String)>,
    clock_sent: Instant,
}

/// The client is gone, or takes nothing.
struct Gone;

async fn serve(socket: WebSocket, live: Arc<Live>, from: Seq, served: Served) {
    let view = live.view();
    let mut reader = Reader {
        socket,
        next: from,
        rewinds: view.rewinds,
        live,
        clock: None,
        clock_sent: Instant::now(),
    };
    // However it ends, the client knows how to come back: with `from`.
    let _ = reader.run(view).await;
    drop(served);
}

/// The event to begin with and, unless the client has it, what was true before it.
fn beginning(trace: &Trace, from: Seq) -> (Seq, Option<podlab_trace::State>) {
    let (first, last) = (trace.first(), trace.last());
    if from == 1 && first <= 1 {
        return (1, Some(podlab_trace::State::default()));
    }
    if from >= first && from > 0 && from <= last + 1 {
        return (from, None);
    }
    if from == 0 || from > last + 1 {
        return (last + 1, Some(trace.state()));
    }
    match trace.keyframe(first) {
        Some((seq, state)) => (seq, Some(state)),
        None => (last + 1, Some(trace.state())),
    }
}

impl Reader {
    async fn run(&mut self, view: View) -> Result<(), Gone> {
        self.hello(&view.trace, self.next).await?;
        let mut changes = self.live.changes();
        let mut tick = tokio::time::interval(CLOCK);
        loop {
            changes.mark_unchanged();
            let view = self.live.view();
            if view.rewinds != self.rewinds {
                self.rewinds = view.rewinds;
                let last = view.trace.last();
                self.send(&Frame::Rewound { last, now: view.now() }).await?;
                // The page keeps what still holds. What it had not got yet, it gets now.
                self.next = self.next.min(last + 1);
            }
            self.events(&view.trace).await?;
            self.clock(&view).await?;
            if let Some(reason) = view.gone {
                self.send(&Frame::Gone { reason: reason.clone() }).await?;
                return self.close(&reason).await;
            }
            tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                    // Pings are answered by the library; nothing else means anything.
                    Some(Ok(_)) => {}
                },
                _ = tick.tick() => {}
                changed = changes.changed() => {
                    changed.map_err(|_| Gone)?;
                    tokio::time::sleep(GATHER).await;
                }
            }
        }
    }

    async fn hello(&mut self, trace: &Trace, from: Seq) -> Result<(), Gone> {
        let (from, keyframe) = beginning(trace, from);
        self.next = from;
        let frame = Frame::Hello {
            version: VERSION,
            world: self.live.id().into(),
            pattern: self.live.pattern().into(),
            seed: self.live.seed(),
            epoch: self.live.epoch(),
            from,
            keyframe,
        };
        self.send(&frame).await
    }

    /// Sends what the client has not got yet, piece by piece.
    async fn events(&mut self, trace: &Trace) -> Result<(), Gone> {
        loop {
            if self.next < trace.first() {
                // Too slow: what comes next is not kept any more.
                self.hello(trace, self.next.max(1)).await?;
            }
            let (first, count, bytes) = trace.read_encoded(self.next, PIECE);
            if count == 0 {
                return Ok(());
            }
            self.next = first + u64::from(count);
            self.send(&Frame::Events { first, count, bytes }).await?;
            if self.live.view().rewinds != self.rewinds {
                return Ok(());
            }
        }
    }

    async fn clock(&mut self, view: &View) -> Result<(), Gone> {
        let (now, last) = (view.now(), view.trace.last());
        let clock = (now, view.speed(), last, view.future, view.lagging, view.stopped.clone());
        // Passing time alone is no news; the page counts it by itself between clocks.
        let same = self.clock.as_ref().is_some_and(|c| {
            (c.1, c.2, c.3, c.4, &c.5) == (clock.1, clock.2, clock.3, clock.4, &clock.5)
        });
        if same && self.clock_sent.elapsed() < CLOCK {
            return Ok(());
        }
        let frame = Frame::Clock {
            now,
            speed: view.speed(),
            last,
            future: view.future,
            lagging: view.lagging,
            stopped: view.stopped.clone(),
        };
        self.clock = Some(clock);
        self.clock_sent = Instant::now();
        self.send(&frame).await
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), Gone> {
        let message = Message::Binary(frame.encode().into());
        match tokio::time::timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn close(&mut self, reason: &str) -> Result<(), Gone> {
        // A close frame's reason is at most 123 bytes (RFC 6455, 5.5).
        let mut reason = reason.to_owned();
        while reason.len() > 120 {
            reason.pop();
        }
        let frame = CloseFrame { code: close_code::AWAY, reason: reason.into() };
        let closed = self.socket.send(Message::Close(Some(frame)));
        match tokio::time::timeout(Duration::from_secs(1), closed).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}
