//! Ports of a pod (`pkg/kubelet/.../portforward`): each connection of the client's becomes one
//! inside the pod, to its 127.0.0.1.

use std::collections::BTreeMap;

use axum::extract::ws::{Message, WebSocket};
use bytes::{BufMut as _, Bytes, BytesMut};
use podlab_world::Input;
use podlab_world::gateway::Outside;
use tokio::sync::mpsc;

use super::World;
use super::wire::{Wire, goodbye};
use crate::outside::Incoming;
use crate::spdy::{self, Frame, Reader, Writer};

/// How many connections one client may have at once.
const MAX_PAIRS: usize = 256;
/// What comes out of the world waits here, in pieces, until the client takes it.
const WAITING: usize = 16;

/// Hands on what comes out of one connection.
fn gather(id: u64, mut incoming: Incoming, all: mpsc::Sender<(u64, Outside)>) {
    tokio::spawn(async move {
        while let Some(event) = incoming.next().await {
            if all.send((id, event)).await.is_err() {
                return;
            }
        }
        // Who waits for an end gets one; after a real end it means nothing.
        let _ = all.send((id, Outside::Ended)).await;
    });
}

fn reason(port: u16, pod: &str, why: &str) -> String {
    format!(
        "error forwarding port {port} to pod {pod}, uid : failed to execute portforward in network \
         namespace of {pod}: failed to connect to localhost:{port} inside the pod: {why}"
    )
}

/// A pair of streams of the same request.
#[derive(Default)]
struct Pair {
    error: Option<u32>,
    data: Option<u32>,
    port: u16,
    /// The connection in the world.
    id: Option<u64>,
}

/// Ports over SPDY: a stream for data and one for errors for each connection.
pub async fn spdy(world: World, namespace: &str, pod: &str, mut wire: Wire) {
    let (mut reader, mut writer) = (Reader::default(), Writer::default());
    // By the number that the client gives each pair.
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    let (all, mut events) = mpsc::channel(WAITING);
    'all: loop {
        let mut out = BytesMut::new();
        tokio::select! {
            bytes = wire.recv() => {
                let Some(bytes) = bytes else { break };
                reader.take(&bytes);
                loop {
                    match reader.next() {
                        Ok(None) => break,
                        Err(_) | Ok(Some(Frame::GoAway)) => break 'all,
                        Ok(Some(Frame::Ping(id))) => spdy::pong(id, &mut out),
                        Ok(Some(Frame::Open { stream, headers, .. })) => {
                            writer.reply(stream, &mut out);
                            let Some(key) = join(&mut pairs, stream, &headers) else { break 'all };
                            let pair = pairs.get_mut(&key).expect("just joined");
                            if pair.id.is_none() && pair.error.is_some() && pair.data.is_some() {
                                match world.open(namespace, pod, pair.port).await {
                                    Ok((id, incoming)) => {
                                        pair.id = Some(id);
                                        gather(id, incoming, all.clone());
                                    }
                                    Err(_) => break 'all,
                                }
                            }
                        }
                        Ok(Some(Frame::Data { stream, bytes, end })) => {
                            let Some(id) = owner(&pairs, stream) else { continue };
                            if !bytes.is_empty() && world.send(id, bytes).await.is_err() {
                                break 'all;
                            }
                            if end && world.input(Input::Shut { id }).await.is_err() {
                                break 'all;
                            }
                        }
                        Ok(Some(Frame::Reset(stream))) => {
                            if let Some(id) = owner(&pairs, stream) {
                                pairs.retain(|_, p| p.id != Some(id));
                                world.drop(id).await;
                            }
                        }
                    }
                }
            }
            event = events.recv() => {
                let Some((id, event)) = event else { break };
                let Some((key, pair)) = pairs.iter().find(|(_, p)| p.id == Some(id)) else {
                    continue;
                };
                let (Some(data), Some(error)) = (pair.data, pair.error) else { continue };
                let over = match event {
                    Outside::Data(bytes) => {
                        spdy::data(data, &bytes, false, &mut out);
                        false
                    }
                    Outside::Opened | Outside::Exited(_) => false,
                    Outside::Failed(why) => {
                        spdy::data(error, reason(pair.port, pod, &why).as_bytes(), true, &mut out);
                        spdy::data(data, &[], true, &mut out);
                        true
                    }
                    Outside::Ended => {
                        spdy::data(data, &[], true, &mut out);
                        spdy::data(error, &[], true, &mut out);
                        true
                    }
                };
                if over {
                    let key = key.clone();
                    pairs.remove(&key);
                    // The client's side may still be open.
                    world.drop(id).await;
                }
            }
        }
        if !out.is_empty() && wire.send(out.freeze()).await.is_err() {
            break;
        }
    }
    for id in pairs.values().filter_map(|p| p.id) {
        world.drop(id).await;
    }
}

/// Puts a stream to the other of its pair. `None` if it says nothing useful, or there are too
/// many.
fn join(
    pairs: &mut BTreeMap<String, Pair>,
    stream: u32,
    headers: &[(String, String)],
) -> Option<String> {
    let get = |name: &str| headers.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
    let port: u16 = get("port")?.parse().ok().filter(|p| *p > 0)?;
    let kind = get("streamtype")?;
    // Without a number, the streams of a pair follow each other.
    let key = match get("requestid") {
        Some(number) => number.to_owned(),
        None if kind == "error" => format!("stream {stream}"),
        None => format!("stream {}", stream.checked_sub(2)?),
    };
    if pairs.len() >= MAX_PAIRS && !pairs.contains_key(&key) {
        return None;
    }
    let pair = pairs.entry(key.clone()).or_default();
    pair.port = port;
    match kind {
        "error" => pair.error = Some(stream),
        "data" => pair.data = Some(stream),
        _ => return None,
    }
    Some(key)
}

fn owner(pairs: &BTreeMap<String, Pair>, stream: u32) -> Option<u64> {
    pairs.values().find(|p| p.data == Some(stream)).and_then(|p| p.id)
}

/// Ports over channels: two for each port, data and errors, which begin with the port's number.
pub async fn channels(
    world: World,
    namespace: &str,
    pod: &str,
    ports: &[u16],
    mut socket: WebSocket,
) {
    let (all, mut events) = mpsc::channel(WAITING);
    let mut ids: Vec<Option<u64>> = Vec::new();
    for (n, port) in ports.iter().enumerate() {
        for channel in [2 * n, 2 * n + 1] {
            let mut hello = BytesMut::new();
            hello.put_u8(channel as u8);
            hello.put_u16_le(*port);
            if socket.send(Message::Binary(hello.freeze())).await.is_err() {
                return;
            }
        }
        match world.open(namespace, pod, *port).await {
            Ok((id, incoming)) => {
                ids.push(Some(id));
                gather(id, incoming, all.clone());
            }
            Err(_) => ids.push(None),
        }
    }
    while ids.iter().any(Option::is_some) {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let channel = usize::from(bytes.first().copied().unwrap_or(1));
                    let id = ids.get(channel / 2).copied().flatten();
                    if channel % 2 == 0
                        && bytes.len() > 1
                        && let Some(id) = id
                        && world.send(id, bytes.slice(1..)).await.is_err()
                    {
                        break;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            event = events.recv() => {
                let Some((id, event)) = event else { break };
                let Some(n) = ids.iter().position(|i| *i == Some(id)) else { continue };
                let message = match event {
                    Outside::Data(bytes) => Some((2 * n, bytes)),
                    Outside::Failed(why) => {
                        ids[n] = None;
                        Some((2 * n + 1, Bytes::from(reason(ports[n], pod, &why))))
                    }
                    Outside::Ended => {
                        ids[n] = None;
                        world.drop(id).await;
                        None
                    }
                    Outside::Opened | Outside::Exited(_) => None,
                };
                if let Some((channel, bytes)) = message {
                    let mut out = BytesMut::with_capacity(bytes.len() + 1);
                    out.put_u8(channel as u8);
                    out.put_slice(&bytes);
                    if socket.send(Message::Binary(out.freeze())).await.is_err() {
                        break;
                    }
                }
            }
        }
    }
    for id in ids.into_iter().flatten() {
        world.drop(id).await;
    }
    // The client may have gone first.
    let _ = socket.send(goodbye()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_find_their_pair() {
        let header = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        let of = |kind: &str, id: Option<&str>| {
            let mut all = vec![header("streamtype", kind), header("port", "80")];
            all.extend(id.map(|id| header("requestid", id)));
            all
        };
        let mut pairs = BTreeMap::new();
        let a = join(&mut pairs, 1, &of("error", Some("0"))).unwrap();
        assert_eq!(join(&mut pairs, 3, &of("data", Some("0"))), Some(a.clone()));
        assert_eq!((pairs[&a].error, pairs[&a].data, pairs[&a].port), (Some(1), Some(3), 80));
        let b = join(&mut pairs, 5, &of("error", None)).unwrap();
        assert_eq!(join(&mut pairs, 7, &of("data", None)), Some(b));
        assert_eq!(join(&mut pairs, 9, &[header("streamtype", "data")]), None);
    }
}
