//! A world's API as the terminal's commands see it: no HTTP between them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use podlab_kube::api::{
    Body as KubeBody, Request as KubeRequest, Response as KubeResponse, Streaming,
};
use podlab_kubectl::transport::{
    Body, Event, Future, Pieces, Request, Response, Session, Transport,
};
use podlab_world::gateway::Outside;
use tokio::sync::{Mutex, mpsc};

use crate::app::Served;
use crate::outside::Incoming;
use crate::routes::kube::Following;
use crate::routes::kube_streams::World;

/// What a program that was started by exec is given to read.
#[derive(Debug)]
pub enum Typed {
    /// Bytes.
    Bytes(Bytes),
    /// There is no more.
    End,
}

/// What is typed while a command runs.
pub type Input = Arc<Mutex<mpsc::Receiver<Typed>>>;

/// The API of a world, for one user.
pub struct Inside {
    /// The world.
    pub world: World,
    /// Who asks.
    pub user: String,
    /// The address that `cluster-info` shows.
    pub server: String,
    /// What is typed.
    pub input: Input,
}

impl Inside {
    fn request(&self, request: &Request) -> KubeRequest {
        let mut asked = KubeRequest::new(request.method, &request.target)
            .with_body(request.content_type, request.body.clone());
        request.accept.clone_into(&mut asked.accept);
        asked.user.clone_from(&self.user);
        asked
    }

    async fn ask(&self, request: Request) -> Result<Response, String> {
        let asked = self.request(&request);
        let answer = self.world.change(move |live| live.api(asked)).await;
        let KubeResponse { status, warnings, body, .. } = answer.map_err(|e| e.message)?;
        let body = match body {
            KubeBody::Full(bytes) => Body::Full(bytes.to_vec()),
            stream => {
                let served = self.world.app().stream(self.world.id()).map_err(|e| e.message)?;
                let live = self.world.app().world(self.world.id()).map_err(|e| e.message)?;
                let following = Following::new(stream, live, Some(served));
                Body::Stream(Box::new(Followed(following)))
            }
        };
        Ok(Response { status, warnings, body })
    }

    async fn start(
        &self,
        target: String,
        stdin: Vec<u8>,
        follow: bool,
    ) -> Result<Box<dyn Session>, Response> {
        let refused = |status: u16, text: String| Response {
            status,
            warnings: Vec::new(),
            body: Body::Full(text.into_bytes()),
        };
        let mut asked = KubeRequest::new("GET", &target);
        asked.user.clone_from(&self.user);
        let streaming = self.world.change(move |live| live.streaming(&asked)).await;
        let spec = match streaming {
            Ok(Ok(Streaming::Session(spec, ..))) => spec,
            Ok(Ok(Streaming::Forward { .. })) => return Err(refused(400, "not a session".into())),
            Ok(Err(KubeResponse { status, body: KubeBody::Full(bytes), .. })) => {
                return Err(refused(status, String::from_utf8_lossy(&bytes).into_owned()));
            }
            Ok(Err(other)) => return Err(refused(other.status, String::new())),
            Err(error) => return Err(refused(500, error.message)),
        };
        let served =
            self.world.app().stream(self.world.id()).map_err(|e| refused(429, e.message))?;
        let (id, incoming) = match self.world.change(move |live| live.session(spec)).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(why)) => return Err(refused(500, why)),
            Err(error) => return Err(refused(500, error.message)),
        };
        if !stdin.is_empty() {
            self.world.send(id, stdin.into()).await.map_err(|e| refused(500, e.message))?;
        }
        if !follow {
            let shut = podlab_world::Input::Shut { id };
            self.world.input(shut).await.map_err(|e| refused(500, e.message))?;
        }
        let input = follow.then(|| self.input.clone());
        Ok(Box::new(Running {
            world: self.world.clone(),
            id,
            incoming,
            input,
            over: false,
            _served: served,
        }))
    }
}

impl Transport for Inside {
    fn send(&self, request: Request) -> Future<'_, Result<Response, String>> {
        Box::pin(self.ask(request))
    }

    fn now(&self) -> i64 {
        let now = self
            .world
            .app()
            .world(self.world.id())
            .map_or(0, |live| live.epoch().saturating_add(live.view().now()));
        i64::try_from(now).unwrap_or(i64::MAX)
    }

    fn pause(&self, millis: u64) -> Future<'_, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(millis)))
    }

    fn exec(
        &self,
        target: String,
        stdin: Vec<u8>,
        follow: bool,
    ) -> Future<'_, Result<Box<dyn Session>, Response>> {
        Box::pin(self.start(target, stdin, follow))
    }

    fn server(&self) -> String {
        self.server.clone()
    }
}

struct Followed(Following);

impl Pieces for Followed {
    fn next(&mut self) -> Future<'_, Option<Vec<u8>>> {
        Box::pin(async { self.0.next().await.map(|piece| piece.to_vec()) })
    }
}

/// A program that runs; it is dropped when nobody waits for it any more.
struct Running {
    world: World,
    id: u64,
    incoming: Incoming,
    input: Option<Input>,
    over: bool,
    _served: Served,
}

impl Running {
    async fn event(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        loop {
            let typed = async {
                match &self.input {
                    Some(input) => input.lock().await.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                out = self.incoming.next() => {
                    let event = match out {
                        // The first byte says which of the outputs it is.
                        Some(Outside::Data(piece)) if piece.len() > 1 => {
                            let bytes = piece[1..].to_vec();
                            return Some(if piece[0] == 2 { Event::Err(bytes) } else { Event::Out(bytes) });
                        }
                        Some(Outside::Data(_) | Outside::Opened) => continue,
                        Some(Outside::Exited(code)) => Event::Exit(code),
                        Some(Outside::Failed(why)) => Event::Failed(why),
                        Some(Outside::Ended) | None => Event::Failed("the output was not read in time".into()),
                    };
                    self.over = true;
                    return Some(event);
                }
                typed = typed => {
                    let done = match typed {
                        Some(Typed::Bytes(bytes)) => self.world.send(self.id, bytes).await,
                        Some(Typed::End) | None => {
                            self.input = None;
                            self.world.input(podlab_world::Input::Shut { id: self.id }).await
                        }
                    };
                    if let Err(error) = done {
                        self.over = true;
                        return Some(Event::Failed(error.message));
                    }
                }
            }
        }
    }
}

impl Session for Running {
    fn next(&mut self) -> Future<'_, Option<Event>> {
        Box::pin(self.event())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            let (world, id) = (self.world.clone(), self.id);
            tokio::spawn(async move { world.drop(id).await });
        }
    }
}
