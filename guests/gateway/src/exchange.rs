//! One request: where it goes, how it gets there, and what comes back.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::http::{Fault, Head, Reader, Request, Rest};
use podlab_guest::net::TcpStream;
use podlab_guest::runtime::{Either, race, timeout};

use crate::api::status;
use crate::canary::Why;
use crate::chance::Chance;
use crate::cluster::{Behind, Cluster};
use crate::fields::{self, Caller, Sent};
use crate::figures::Figures;
use crate::objects::Backend;
use crate::table::Route;
use crate::upstream::Upstreams;

/// Bytes of the head of an answer.
const HEAD: usize = 64 << 10;
/// Heads before the answer that are not the answer (1xx).
const INTERIM: usize = 10;

/// What is borne, and how the gateway behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// To connect to who answers.
    pub connect: Duration,
    /// From one piece of a message to the next.
    pub patience: Duration,
    /// Bytes of a request's body.
    pub body: u64,
    /// Addresses tried for one request.
    pub tries: usize,
    /// Whether callers are believed what they say of others before them.
    pub trusted: bool,
    /// Whether each request is written to the log.
    pub log: bool,
}

/// All that requests need.
pub struct Gateway {
    /// Where they go.
    pub cluster: Rc<Cluster>,
    /// Connections to there.
    pub upstreams: Upstreams,
    /// What was done.
    pub figures: Figures,
    /// Chance.
    pub chance: Chance,
    /// What is borne.
    pub settings: Settings,
}

/// How a request ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the caller was told; 499 if it went away.
    pub status: u16,
    /// Whose rule it was, and whether it went to the canary.
    pub route: Option<(Route, bool)>,
    /// Why it did or did not.
    pub why: Option<Why>,
    /// Who answered.
    pub address: Option<SocketAddr>,
    /// What went wrong.
    pub error: Option<String>,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// Whether the connection can be used for another request.
    pub keep: bool,
}

/// Why there is no answer yet.
enum Failure {
    /// Nobody got the request, or it does no harm to send it again.
    Again(String),
    /// It may have been dealt with: this is the end.
    Refuse(u16, String),
    /// The caller went away.
    Gone,
}

/// An answer whose body is yet to come.
struct Answer {
    reader: Reader,
    head: Head,
    status: u16,
    rest: Rest,
    /// Whether the whole request was sent.
    sent: bool,
}

/// Who asks.
pub struct From<'a> {
    /// Reads what it sends.
    pub reader: &'a mut Reader,
    /// What is left of its request's body.
    pub rest: Rest,
    /// Where it called.
    pub port: u16,
    /// Whether its connection ends after this request.
    pub close: bool,
}

impl Gateway {
    /// Deals with one request.
    pub async fn exchange(&self, request: &Request, from: &mut From<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        match self.answered(request, from, &mut outcome).await {
            Ok(()) => {}
            Err(Failure::Gone) => (outcome.status, outcome.keep) = (499, false),
            Err(Failure::Refuse(status, why)) => {
                // A body that nobody has read would be taken for the next request.
                outcome.keep = from.rest == Rest::Done && !from.close;
                outcome.status = status;
                let stream = from.reader.stream();
                let answer = refusal(request, status, &why, outcome.keep);
                outcome.error = Some(why);
                let told = timeout(self.settings.patience, stream.write_all(&answer)).await;
                outcome.keep &= matches!(told, Some(Ok(())));
            }
            Err(Failure::Again(_)) => unreachable!("tries come to an end"),
        }
        outcome
    }

    async fn answered(
        &self,
        request: &Request,
        from: &mut From<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        let refuse = |status, why: &str| Err(Failure::Refuse(status, why.to_owned()));
        if !self.cluster.known() {
            return refuse(503, "the routes are not known yet: the API server has not answered");
        }
        if request.method == "CONNECT" {
            return refuse(405, "this is no proxy to anywhere");
        }
        let host = host(request);
        let found = self.cluster.table().find(host, &request.path).cloned();
        let Some(route) = found else {
            return refuse(404, &format!("no Ingress is for {host}{}", request.path));
        };
        let (backend, ready) = self.choose(request, route, outcome)?;
        if matches!(from.rest, Rest::Length(n) if n > self.settings.body) {
            return refuse(413, &format!("a body of more than {} bytes", self.settings.body));
        }
        let answer = self.ask(request, from, &backend, &ready, outcome).await?;
        self.pass_on(request, from, answer, outcome).await
    }

    /// The backend, and who is ready behind it.
    fn choose(
        &self,
        request: &Request,
        route: Route,
        outcome: &mut Outcome,
    ) -> Result<(Backend, Vec<SocketAddr>), Failure> {
        if let Some((canary, backend)) = &route.canary {
            let (taken, why) = canary.takes(&request.headers, |most| self.chance.below(most));
            outcome.why = Some(why);
            // A canary that is not there takes nothing.
            if let (true, Behind::Ready(ready)) = (taken, self.cluster.behind(backend)) {
                let backend = backend.clone();
                outcome.route = Some((route, true));
                return Ok((backend, ready));
            }
        }
        let backend = route.backend.clone();
        outcome.route = Some((route, false));
        let why = match self.cluster.behind(&backend) {
            Behind::Ready(ready) => return Ok((backend, ready)),
            Behind::Nobody => "no endpoint is ready".to_owned(),
            Behind::Unknown(why) => why,
        };
        Err(Failure::Refuse(503, format!("{backend}: {why}")))
    }

    /// Asks one after the other until one answers.
    async fn ask(
        &self,
        request: &Request,
        from: &mut From<'_>,
        backend: &Backend,
        ready: &[SocketAddr],
        outcome: &mut Outcome,
    ) -> Result<Answer, Failure> {
        let (mut tried, mut last, mut late) = (Vec::new(), String::new(), true);
        while tried.len() < self.settings.tries {
            // Who is ready may be known better now than when the request came.
            let now = match self.cluster.behind(backend) {
                Behind::Ready(now) if !tried.is_empty() => now,
                _ => ready.to_owned(),
            };
            let chosen = self.upstreams.choose(backend, &now, &tried, &self.chance);
            let Some(address) = chosen else { break };
            if !tried.is_empty() {
                self.figures.retried();
            }
            tried.push(address);
            outcome.address = Some(address);
            // A kept connection may end just now, which says nothing about who is there: only what
            // may be sent twice goes over it.
            if harmless(request, from.rest)
                && let Some(stream) = self.upstreams.kept(address).await
            {
                match self.over(request, from, stream).await {
                    Err(Failure::Again(_)) => {}
                    other => return other,
                }
            }
            let why = match self.upstreams.connect(address, self.settings.connect).await {
                Ok(stream) => match self.over(request, from, stream).await {
                    Err(Failure::Again(why)) => (false, why),
                    other => return other,
                },
                Err(error) => (error.kind() == io::ErrorKind::TimedOut, error.to_string()),
            };
            self.upstreams.failed(address);
            late &= why.0;
            last = format!("{backend}: {address}: {}", why.1);
        }
        Err(Failure::Refuse(if late { 504 } else { 502 }, last))
    }

    /// Sends the request, and reads the head of the answer.
    async fn over(
        &self,
        request: &Request,
        from: &mut From<'_>,
        stream: Rc<TcpStream>,
    ) -> Result<Answer, Failure> {
        let whole = from.rest == Rest::Done;
        let (id, host) =
            (format!("{:016x}{:016x}", self.chance.next(), self.chance.next()), host(request));
        let (peer, port, trusted) = (request.peer.as_str(), from.port, self.settings.trusted);
        let caller = Caller { peer, port, host, id: &id, trusted };
        let head = fields::request(request, from.rest, &caller);
        let harmless = harmless(request, from.rest);
        let again = |why: String| match harmless {
            true => Failure::Again(why),
            false => Failure::Refuse(502, why),
        };
        match timeout(self.settings.patience, stream.write_all(&head)).await {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(again(error.to_string())),
            None => return Err(Failure::Refuse(504, "the request was not taken in time".into())),
        }
        let mut reader = Reader::new(stream.clone());
        let mut early = None;
        if !whole {
            if request.headers.has_token("expect", "100-continue") {
                let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
                from.reader.stream().write_all(go_on).await.map_err(|_| Failure::Gone)?;
            }
            let chunked = from.rest == Rest::Chunks;
            // An answer may come before all is sent: a refusal, say.
            match race(self.send(from, &stream, chunked), reader.head(HEAD)).await {
                Either::First(sent) => sent?,
                Either::Second(head) => early = Some(head),
            }
        }
        let mut left = INTERIM;
        loop {
            let head = match early.take() {
                Some(head) => head,
                None => timeout(self.settings.patience, reader.head(HEAD))
                    .await
                    .ok_or_else(|| Failure::Refuse(504, "no answer in time".to_owned()))?,
            };
            let head = match head {
                Ok(Some(head)) => head,
                Ok(None) => return Err(again("closed before it answered".to_owned())),
                Err(Fault::Io(error)) => return Err(again(error.to_string())),
                Err(Fault::Refused(refusal)) => {
                    return Err(Failure::Refuse(502, format!("no HTTP: {}", refusal.reason)));
                }
            };
            let bad = |why: &str| Failure::Refuse(502, why.to_owned());
            let status = status(&head).ok_or_else(|| bad("what answered speaks no HTTP/1"))?;
            if (100..200).contains(&status) && status != 101 && left > 0 {
                left -= 1;
                continue;
            }
            if status < 200 {
                return Err(bad("an interim answer instead of an answer"));
            }
            let rest = Rest::of_answer(&request.method, status, &head.headers);
            let rest = rest.map_err(|refusal| bad(refusal.reason))?;
            return Ok(Answer { reader, head, status, rest, sent: from.rest == Rest::Done });
        }
    }

    /// Sends the body of the request on, piece by piece.
    async fn send(
        &self,
        from: &mut From<'_>,
        to: &TcpStream,
        chunked: bool,
    ) -> Result<(), Failure> {
        let mut left = self.settings.body;
        loop {
            let piece = timeout(self.settings.patience, from.reader.piece(&mut from.rest)).await;
            let piece = match piece {
                None => return Err(Failure::Refuse(408, "the body came too slowly".to_owned())),
                Some(Err(Fault::Io(_))) => return Err(Failure::Gone),
                Some(Err(Fault::Refused(r))) => {
                    return Err(Failure::Refuse(r.status, r.reason.into()));
                }
                Some(Ok(piece)) => piece,
            };
            let Some(rest) = left.checked_sub(piece.len() as u64) else {
                let why = format!("a body of more than {} bytes", self.settings.body);
                return Err(Failure::Refuse(413, why));
            };
            left = rest;
            let over = piece.is_empty();
            let piece = if chunked { chunk(piece) } else { piece };
            match timeout(self.settings.patience, to.write_all(&piece)).await {
                Some(Ok(())) if over => return Ok(()),
                Some(Ok(())) => {}
                // It may have answered, and closed.
                Some(Err(_)) => return Ok(()),
                None => return Err(Failure::Refuse(504, "the body was not taken in time".into())),
            }
        }
    }

    /// Passes an answer on, piece by piece.
    async fn pass_on(
        &self,
        request: &Request,
        from: &mut From<'_>,
        mut answer: Answer,
        outcome: &mut Outcome,
    ) -> Result<(), Failure> {
        outcome.status = answer.status;
        let close = from.close || from.rest != Rest::Done;
        let Head { line, headers, .. } = &answer.head;
        let framing = (request.minor, close);
        let (head, sent) = fields::answer(answer.status, &line[2], headers, answer.rest, framing);
        let to = from.reader.stream();
        let mut out = head;
        loop {
            let piece =
                timeout(self.settings.patience, answer.reader.piece(&mut answer.rest)).await;
            let Some(Ok(piece)) = piece else {
                // What was said about its length does not hold: only closing can tell the caller.
                outcome.error = Some("the answer ended in its middle".to_owned());
                outcome.keep = false;
                let _gone = to.write_all(&out).await;
                return Ok(());
            };
            let over = piece.is_empty();
            outcome.bytes += piece.len() as u64;
            out.extend(if sent == Sent::Chunked { chunk(piece) } else { piece });
            match timeout(self.settings.patience, to.write_all(&out)).await {
                Some(Ok(())) => out.clear(),
                Some(Err(_)) | None => return Err(Failure::Gone),
            }
            if over {
                break;
            }
        }
        let again = !headers.has_token("connection", "close") && line[0] == "HTTP/1.1";
        let framed = sent == Sent::Plain || headers.has_token("transfer-encoding", "chunked");
        if let (true, Some(address)) =
            (again && framed && answer.sent && answer.reader.is_empty(), outcome.address)
        {
            self.upstreams.keep(address, answer.reader.into_stream());
        }
        outcome.keep = !close && sent != Sent::UntilClose;
        Ok(())
    }
}

/// Whether a request can be sent twice: it does no harm (RFC 9110, 9.2.2), and is still there.
fn harmless(request: &Request, rest: Rest) -> bool {
    rest == Rest::Done && !matches!(request.method.as_str(), "POST" | "PATCH")
}

/// A piece of a body as a chunk; an empty one ends it.
fn chunk(piece: Vec<u8>) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", piece.len()).into_bytes();
    out.extend(piece);
    out.extend(b"\r\n");
    out
}

/// Whom a request is for: what its target says comes before its Host field (RFC 9112, 3.2.2).
pub fn host(request: &Request) -> &str {
    let target = request.target.strip_prefix("http://");
    let of_target = target.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    of_target.or_else(|| request.headers.get("host")).unwrap_or_default()
}

/// An answer of our own.
pub fn refusal(request: &Request, status: u16, why: &str, keep: bool) -> Vec<u8> {
    let phrase = podlab_guest::http::reason(status);
    let body = format!("{status} {phrase}: {why}\n");
    let mut out = format!(
        "HTTP/1.1 {status} {phrase}\r\nServer: gateway\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n",
        body.len()
    );
    out.push_str(if keep { "\r\n" } else { "Connection: close\r\n\r\n" });
    if request.method != "HEAD" {
        out.push_str(&body);
    }
    out.into_bytes()
}
