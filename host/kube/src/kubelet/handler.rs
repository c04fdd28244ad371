//! What probes and hooks do: a command in the container, an HTTP request, a connection. Requests
//! come from the node's own network, as the kubelet's do.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use k8s_openapi::api::core::v1::{HTTPGetAction, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use podlab_net::Errno;
use podlab_trace::Stream;

use super::cell::Ctx;
use super::exec;

/// How much of an answer is read, in bytes (`maxRespBodyLength`).
const ANSWER: usize = 10 << 10;

/// Runs `argv` in container `i`: its exit code and what it wrote. Dropped, it is killed.
pub(crate) async fn exec(ctx: &Ctx, i: usize, argv: Vec<String>) -> Result<(i32, String), String> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = written.clone();
    let output = Arc::new(Mutex::new(move |_: Stream, bytes: &[u8]| {
        let mut written = sink.lock().expect("output lock");
        let room = ANSWER.saturating_sub(written.len());
        written.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }));
    let name = ctx.cell.lock().containers[i].spec.name.clone();
    let running = exec::start(&ctx.shared, &ctx.cell, &name, argv, output, false, false)?;
    let guard = KillOnDrop(running.clone());
    let exit = running.wait().await;
    drop(guard);
    let text = String::from_utf8_lossy(&written.lock().expect("output lock")).into_owned();
    Ok((exit.code, text))
}

struct KillOnDrop(Arc<dyn crate::runtime::Running>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if self.0.exit().is_none() {
            self.0.kill();
        }
    }
}

/// The number of a port that may be given by its name.
fn port(ctx: &Ctx, i: usize, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(n) => i64::from(*n),
        IntOrString::String(name) => {
            let spec = ctx.cell.lock().containers[i].spec.clone();
            let found = spec.ports.iter().flatten().find(|p| p.name.as_deref() == Some(name));
            match found {
                Some(port) => i64::from(port.container_port),
                None => name.parse().unwrap_or(0),
            }
        }
    };
    u16::try_from(number).ok().filter(|n| *n > 0).ok_or_else(|| {
        let text = match port {
            IntOrString::Int(n) => n.to_string(),
            IntOrString::String(s) => s.clone(),
        };
        format!("couldn't find port: {text:?}")
    })
}

/// Where a request goes: the pod, or the host that is named.
async fn address(
    ctx: &Ctx,
    i: usize,
    host: Option<&str>,
    to: &IntOrString,
) -> Result<SocketAddr, String> {
    let port = port(ctx, i, to)?;
    let ip: IpAddr = match host.filter(|h| !h.is_empty()) {
        None => ctx.cell.address().ok_or("the pod has no address")?.into(),
        Some(host) => match host.parse() {
            Ok(ip) => ip,
            Err(_) => {
                let found = ctx.node.stack.resolve(host).await;
                *found
                    .ok()
                    .as_ref()
                    .and_then(|f| f.first())
                    .ok_or_else(|| format!("dial tcp: lookup {host}: no such host"))?
            }
        },
    };
    Ok(SocketAddr::new(ip, port))
}

/// As Go words a failed connection.
fn dial(to: SocketAddr, error: Errno) -> String {
    let why = match error {
        Errno::ConnRefused => "connect: connection refused",
        Errno::TimedOut => "connect: connection timed out",
        Errno::Unreachable => "connect: no route to host",
        Errno::ConnReset | Errno::ConnAborted => "read: connection reset by peer",
        _ => return format!("dial tcp {to}: {error:?}"),
    };
    format!("dial tcp {to}: {why}")
}

/// Whether a connection comes about.
pub(crate) async fn tcp(ctx: &Ctx, i: usize, action: &TCPSocketAction) -> Result<(), String> {
    let to = address(ctx, i, action.host.as_deref(), &action.port).await?;
    ctx.node.stack.connect(to).await.map(drop).map_err(|e| dial(to, e))
}

/// Makes a GET request: the status code and the first of the body.
pub(crate) async fn http(
    ctx: &Ctx,
    i: usize,
    action: &HTTPGetAction,
) -> Result<(u16, String), String> {
    let to = address(ctx, i, action.host.as_deref(), &action.port).await?;
    let path = action.path.as_deref().unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut host = to.to_string();
    let mut lines = String::new();
    let (mut agent, mut accept) = (true, true);
    for header in action.http_headers.iter().flatten() {
        let clean = |s: &str| s.replace(['\r', '\n'], " ");
        match header.name.to_ascii_lowercase().as_str() {
            "host" => {
                host = clean(&header.value);
                continue;
            }
            "user-agent" => agent = false,
            "accept" => accept = false,
            _ => {}
        }
        lines += &format!("{}: {}\r\n", clean(&header.name), clean(&header.value));
    }
    if agent {
        lines += "User-Agent: kube-probe/1.32\r\n";
    }
    if accept {
        lines += "Accept: */*\r\n";
    }
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n");
    let fail = |why: String| format!("Get \"{}://{to}{path}\": {why}", scheme(action));
    if scheme(action) == "https" {
        return Err(fail("http: server gave HTTP response to HTTPS client".into()));
    }
    let stream = ctx.node.stack.connect(to).await.map_err(|e| fail(dial(to, e)))?;
    let broken = |e: Errno| match e {
        Errno::ConnReset => fail(format!("read tcp {to}: read: connection reset by peer")),
        e => fail(format!("{e:?}")),
    };
    stream.write_all(Bytes::from(request)).await.map_err(broken)?;
    let mut answer = Vec::new();
    loop {
        let bytes = match stream.read(4096).await {
            Ok(bytes) => bytes,
            // What came before the reset counts, if it is an answer.
            Err(_) if complete(&answer) => break,
            Err(e) => return Err(broken(e)),
        };
        answer.extend_from_slice(&bytes);
        if bytes.is_empty() || complete(&answer) || answer.len() > ANSWER {
            break;
        }
    }
    if answer.is_empty() {
        return Err(fail("EOF".into()));
    }
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut words = head.split_whitespace();
    let version = words.next().unwrap_or("");
    match words.next().and_then(|w| w.parse().ok()) {
        Some(code) if version.starts_with("HTTP/") => Ok((code, body.to_owned())),
        _ => Err(fail(format!(
            "net/http: HTTP/1.x transport connection broken: malformed HTTP response {:?}",
            head.lines().next().unwrap_or("")
        ))),
    }
}

pub(crate) fn scheme(action: &HTTPGetAction) -> String {
    action.scheme.as_deref().unwrap_or("HTTP").to_ascii_lowercase()
}

/// Whether the whole answer is there, as far as its length is said.
fn complete(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    String::from_utf8_lossy(&answer[..end])
        .lines()
        .filter_map(|l| l.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, v)| v.trim().parse::<usize>().ok())
        .is_some_and(|want| answer.len() - end - 4 >= want)
}
