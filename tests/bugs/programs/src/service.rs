//! Servers and calls between the programs of a pod.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::http::{self, Client, Limits, Request, Response, Url};
use podlab_guest::net::TcpListener;
use podlab_guest::runtime::Flag;

use crate::Ended;

/// A server on `port` whose answers may take time; `/healthz` is answered always.
pub async fn serve<F>(port: u16, stop: Flag, answer: impl Fn(Request) -> F + 'static) -> Ended
where
    F: Future<Output = Response> + 'static,
{
    let addr = SocketAddr::from(([0, 0, 0, 0], port));
    let listener = TcpListener::bind(addr).await.map_err(|e| format!("{addr}: {e}"))?;
    let handler: http::Handler = Rc::new(move |request| {
        if request.path == "/healthz" {
            return Box::pin(async { Response::text(200, "ok") });
        }
        Box::pin(answer(request))
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

/// An answer that is just this text.
pub fn reply(status: u16, text: impl Into<Vec<u8>>) -> Response {
    Response::new(status, "text/plain", text)
}

/// A server that answers at once.
pub async fn serve_now(
    port: u16,
    stop: Flag,
    answer: impl FnMut(Request) -> Response + 'static,
) -> Ended {
    let answer = RefCell::new(answer);
    serve(port, stop, move |request| {
        let response = (answer.borrow_mut())(request);
        async move { response }
    })
    .await
}

/// Calls to one server, each over a connection of its own.
pub struct Caller {
    client: Client,
    url: Url,
}

impl Caller {
    /// Calls `host:port`; an answer takes at most `limit` ms.
    pub fn new(server: &str, limit: u64) -> Result<Caller, String> {
        let client = Client::new("bugs", Duration::from_millis(limit)).keep(false);
        Ok(Caller { client, url: Url::parse(server)? })
    }

    /// Status and body.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn call(&mut self, method: &str, target: &str) -> Result<(u16, String), String> {
        self.send(method, target, "").await
    }

    /// The same, with a body.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(
        &mut self,
        method: &str,
        target: &str,
        body: &str,
    ) -> Result<(u16, String), String> {
        let reply = self.client.send(method, &self.url.at(target), &[], body.as_bytes()).await;
        let reply = reply.map_err(|e| e.to_string())?;
        Ok((reply.status, String::from_utf8_lossy(&reply.body).into_owned()))
    }
}

/// A parameter of a request as a number; 0 if there is none.
pub fn number(request: &Request, name: &str) -> u64 {
    request.parameter(name).and_then(|n| n.parse().ok()).unwrap_or(0)
}
