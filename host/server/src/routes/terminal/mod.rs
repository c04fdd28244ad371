//! `/api/worlds/{id}/terminal`: the page's terminal, over a WebSocket. The commands are
//! [`podlab_kubectl`]'s, over the world's API: what changes the world is an input, as from any
//! kubectl; nothing is a process of this machine.
//!
//! Messages are JSON objects. The client sends
//! `{"run": LINE, "namespace": NS}`, `{"interrupt": true}`, `{"input": TEXT}`, `{"end": true}`,
//! `{"complete": LINE, "namespace": NS}`; the server `{"out": TEXT}`, `{"err": TEXT}`,
//! `{"done": EXIT CODE}`, `{"completions": [TEXT], "from": BYTE, "line": LINE}`.
//! One command runs at a time.

mod transport;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use podlab_kubectl::complete::complete;
use podlab_kubectl::line::{MAX_LINE, Output, execute};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use super::Answer;
use super::kube::Asker;
use super::kube_streams::World;
use crate::app::{App, Served};
use crate::workshop::helm::Helm;
use transport::{Inside, Typed};

/// So much output may wait for a client that does not read.
const MAX_WAITING: usize = 8 << 20;
/// A message to the client holds about this much.
const PIECE: usize = 64 << 10;
/// What is typed ahead of a program.
const MAX_TYPED: usize = 64;
/// A client that takes nothing for this long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// The terminal of the world's owner.
pub async fn open(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    helm: Helm,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Answer {
    start(app, Asker::owner(id), helm, &headers, upgrade)
}

/// The terminal of the user of a capability.
pub async fn open_as(
    State(app): State<Arc<App>>,
    Path((id, capability)): Path<(String, String)>,
    helm: Helm,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Answer {
    let asker = Asker::of(&app, id, &capability)?;
    start(app, asker, helm, &headers, upgrade)
}

fn start(
    app: Arc<App>,
    asker: Asker,
    helm: Helm,
    headers: &HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Answer {
    app.world(&asker.world)?;
    let served = app.stream(&asker.world)?;
    let host = headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or("localhost");
    let server = format!("http://{host}{}", asker.base);
    let (typed, input) = mpsc::channel(MAX_TYPED);
    let inside = Inside {
        world: World::new(app, asker.world),
        user: asker.user,
        server,
        input: Arc::new(Mutex::new(input)),
    };
    let limit = MAX_LINE + (64 << 10);
    Ok(upgrade.max_message_size(limit).max_frame_size(limit).on_upgrade(move |socket| {
        let terminal = Terminal { socket, inside: Arc::new(inside), typed };
        async move {
            tokio::select! {
                () = terminal.serve(served) => {}
                () = helm.lost() => {}
            }
        }
    }))
}

/// What a command writes, on its way to the client.
struct Written {
    sender: mpsc::UnboundedSender<(bool, Vec<u8>)>,
    waiting: Arc<AtomicUsize>,
}

impl Written {
    fn push(&self, error: bool, bytes: &[u8]) -> bool {
        let waiting = self.waiting.fetch_add(bytes.len(), Relaxed) + bytes.len();
        self.sender.send((error, bytes.to_vec())).is_ok() && waiting <= MAX_WAITING
    }
}

impl Output for Written {
    fn out(&mut self, bytes: &[u8]) -> bool {
        self.push(false, bytes)
    }

    fn err(&mut self, bytes: &[u8]) -> bool {
        self.push(true, bytes)
    }
}

type Running = Pin<Box<dyn Future<Output = i32> + Send>>;
type Completing = Pin<Box<dyn Future<Output = Value> + Send>>;

struct Terminal {
    socket: WebSocket,
    inside: Arc<Inside>,
    typed: mpsc::Sender<Typed>,
}

/// The client is gone, or takes nothing.
struct Gone;

impl Terminal {
    async fn serve(mut self, served: Served) {
        // However it ends, there is nobody to tell.
        let _ = self.run().await;
        drop(served);
    }

    async fn run(&mut self) -> Result<(), Gone> {
        let (sender, mut written) = mpsc::unbounded_channel::<(bool, Vec<u8>)>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut running: Option<Running> = None;
        let mut completing: Option<Completing> = None;
        loop {
            tokio::select! {
                biased;
                // What the user says counts first: the output of a command must not hold it up.
                message = self.socket.recv() => {
                    let text = match message {
                        Some(Ok(Message::Text(text))) => text,
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => continue,
                        _ => return Err(Gone),
                    };
                    let Ok(asked) = serde_json::from_str::<Value>(&text) else { continue };
                    let namespace = asked["namespace"].as_str().unwrap_or("default").to_owned();
                    if let Some(line) = asked["run"].as_str() {
                        if running.is_some() {
                            continue;
                        }
                        // What was typed for an earlier program is not for this one.
                        while self.inside.input.lock().await.try_recv().is_ok() {}
                        let output: Box<dyn Output> = Box::new(Written {
                            sender: sender.clone(),
                            waiting: waiting.clone(),
                        });
                        let (inside, line) = (self.inside.clone(), line.to_owned());
                        running = Some(Box::pin(async move {
                            let output = StdMutex::new(output);
                            execute(&line, &namespace, &*inside, &output).await
                        }));
                    } else if let Some(line) = asked["complete"].as_str() {
                        let (inside, line) = (self.inside.clone(), line.to_owned());
                        completing = Some(Box::pin(async move {
                            let (from, all) = complete(&line, &namespace, &*inside).await;
                            json!({"completions": all, "from": from, "line": line})
                        }));
                    } else if asked["interrupt"] == true {
                        if running.take().is_some() {
                            while let Ok((_, bytes)) = written.try_recv() {
                                waiting.fetch_sub(bytes.len(), Relaxed);
                            }
                            // As a shell says of a command that ^C ended.
                            self.send(&json!({"done": 130})).await?;
                        }
                    } else if let Some(text) = asked["input"].as_str() {
                        // A program that reads nothing loses what is typed ahead of it.
                        let _ = self.typed.try_send(Typed::Bytes(Bytes::from(text.to_owned())));
                    } else if asked["end"] == true {
                        let _ = self.typed.try_send(Typed::End);
                    }
                }
                // What was written before a command ended is sent before its end.
                Some((error, bytes)) = written.recv() => {
                    self.pass(error, bytes, &mut written, &waiting).await?;
                }
                code = wait(&mut running), if running.is_some() => {
                    running = None;
                    while let Ok((error, bytes)) = written.try_recv() {
                        self.pass(error, bytes, &mut written, &waiting).await?;
                    }
                    self.send(&json!({"done": code})).await?;
                }
                answer = wait(&mut completing), if completing.is_some() => {
                    completing = None;
                    self.send(&answer).await?;
                }
            }
        }
    }

    /// Sends what was written, pieces of the same kind together.
    async fn pass(
        &mut self,
        error: bool,
        first: Vec<u8>,
        written: &mut mpsc::UnboundedReceiver<(bool, Vec<u8>)>,
        waiting: &AtomicUsize,
    ) -> Result<(), Gone> {
        let mut kind = error;
        let mut bytes = first;
        loop {
            let next = if bytes.len() < PIECE { written.try_recv().ok() } else { None };
            if let Some((error, more)) = &next
                && *error == kind
            {
                bytes.extend_from_slice(more);
                continue;
            }
            waiting.fetch_sub(bytes.len(), Relaxed);
            let text = String::from_utf8_lossy(&bytes);
            let name = if kind { "err" } else { "out" };
            self.send(&json!({ name: text })).await?;
            match next {
                Some((error, more)) => (kind, bytes) = (error, more),
                None => return Ok(()),
            }
        }
    }

    async fn send(&mut self, value: &Value) -> Result<(), Gone> {
        let message = Message::Text(value.to_string().into());
        match tokio::time::timeout(PATIENCE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// The end of what runs; never, if nothing runs.
async fn wait<T>(running: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match running {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
