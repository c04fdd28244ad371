//! Streams over real sockets.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use podlab_trace::Seq;
use podlab_trace::wire::{Frame, VERSION, events};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::client::{Server, server};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Serves on a real port; `127.0.0.1:PORT`.
pub async fn listen(server: &Server) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn open(address: &str, id: &str, from: Option<Seq>) -> Socket {
    let query = from.map_or(String::new(), |f| format!("?from={f}"));
    let url = format!("ws://{address}/api/worlds/{id}/stream{query}");
    tokio_tungstenite::connect_async(url).await.expect("a stream").0
}

async fn frame(socket: &mut Socket) -> Option<Frame> {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(20), socket.next());
        match next.await.expect("the stream does not fall silent") {
            Some(Ok(Message::Binary(bytes))) => {
                return Some(Frame::decode(&bytes).expect("a frame"));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}

/// Reads until event `last`; checks that none is missing. The number of events.
async fn read_to(socket: &mut Socket, mut next: Seq, last: Seq) -> u64 {
    let mut n = 0;
    while next <= last {
        match frame(socket).await.expect("the stream goes on") {
            Frame::Events { first, count, bytes } => {
                assert_eq!(first, next);
                let all = events(count, &bytes).expect("events");
                assert!(all.iter().zip(first..).all(|(e, seq)| e.seq == seq));
                next += u64::from(count);
                n += u64::from(count);
            }
            Frame::Hello { from, keyframe, .. } => {
                // What was not kept is skipped, and made up for by a keyframe.
                assert!(from >= next && keyframe.is_some());
                next = from;
            }
            _ => {}
        }
    }
    n
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_a_keyframe_and_can_be_resumed() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    server.run_to(&id, 2.0).await;
    let last = server.app.world(&id).unwrap().view().trace.last();
    // From the beginning: everything.
    let mut socket = open(&address, &id, Some(1)).await;
    let Some(Frame::Hello { version, world, from, keyframe, .. }) = frame(&mut socket).await else {
        panic!("no hello")
    };
    assert_eq!(
        (version, world.as_str(), from, keyframe.is_some()),
        (VERSION, id.as_str(), 1, true)
    );
    assert_eq!(read_to(&mut socket, 1, last).await, last);
    drop(socket);
    // From where it was: only what is new.
    server.config_map(&id, "news").await;
    let new = server.app.world(&id).unwrap().view().trace.last();
    let mut socket = open(&address, &id, Some(last + 1)).await;
    let Some(Frame::Hello { from, keyframe, .. }) = frame(&mut socket).await else {
        panic!("no hello")
    };
    assert_eq!((from, keyframe), (last + 1, None));
    assert_eq!(read_to(&mut socket, last + 1, new).await, new - last);
    // From the present: a keyframe of it.
    let mut socket = open(&address, &id, None).await;
    let Some(Frame::Hello { from, keyframe, .. }) = frame(&mut socket).await else {
        panic!("no hello")
    };
    assert_eq!((from, keyframe.is_some()), (new + 1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_of_going_back_and_of_the_end() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    server.run_to(&id, 3.0).await;
    let mut socket = open(&address, &id, None).await;
    assert!(matches!(frame(&mut socket).await, Some(Frame::Hello { .. })));
    server.post(&format!("/api/worlds/{id}/time"), json!({ "seek": "1s" })).await;
    loop {
        if let Frame::Rewound { last, now } = frame(&mut socket).await.expect("the stream goes on")
        {
            assert_eq!(
                (last, now),
                (server.app.world(&id).unwrap().view().trace.last(), 1_000_000_000)
            );
            break;
        }
    }
    server.app.delete(&id).unwrap();
    loop {
        match frame(&mut socket).await {
            Some(Frame::Gone { reason }) => {
                assert!(reason.contains("deleted"));
                break;
            }
            Some(_) => {}
            None => panic!("the stream ended without a reason"),
        }
    }
    assert!(frame(&mut socket).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_does_not_slow_the_world() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    server.run_to(&id, 1.0).await;
    let mut slow = open(&address, &id, Some(1)).await;
    assert!(matches!(frame(&mut slow).await, Some(Frame::Hello { .. })));
    // It reads nothing while far more happens than sockets and buffers hold.
    let big = "x".repeat(200_000);
    for n in 0..60 {
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("big-{n}") }, "data": { "a": big } });
        let made = server
            .post(&format!("/api/worlds/{id}/kube/api/v1/namespaces/default/configmaps"), object)
            .await;
        assert_eq!(made.status.as_u16(), 201, "{}", made.text);
    }
    server.run_to(&id, 20.0).await;
    let last = server.app.world(&id).unwrap().view().trace.last();
    assert!(read_to(&mut slow, 1, last).await > 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_get_no_stream() {
    let server = server();
    let address = listen(&server).await;
    let id = server.world(json!({ "speed": 0 })).await;
    let mut request =
        format!("ws://{address}/api/worlds/{id}/stream").into_client_request().unwrap();
    request.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert!(tokio_tungstenite::connect_async(request).await.is_err());
    let mut own = format!("ws://{address}/api/worlds/{id}/stream").into_client_request().unwrap();
    own.headers_mut().insert("origin", format!("http://{address}").parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(own).await.expect("our own page may");
    // What a client says means nothing; it must not end the stream either.
    socket.send(Message::Text("hello".into())).await.unwrap();
    assert!(matches!(frame(&mut socket).await, Some(Frame::Hello { .. })));
    assert!(matches!(frame(&mut socket).await, Some(Frame::Events { .. } | Frame::Clock { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_on_a_stream_harms_nobody() {
    let server = server();
    let id = server.world(json!({ "speed": 0 })).await;
    let address = listen(&server).await;
    let mut chatty = open(&address, &id, None).await;
    let mut calm = open(&address, &id, None).await;
    for message in [Message::Text("{\"no\": 1}".into()), Message::Binary(vec![255; 4000].into())] {
        chatty.send(message).await.expect("it is taken, and means nothing");
    }
    assert!(frame(&mut chatty).await.is_some());
    // A message that is too large, and bytes that are no frame at all, end that stream only.
    let _ = chatty.send(Message::Binary(vec![0; 64 << 10].into())).await;
    while frame(&mut chatty).await.is_some() {}
    let mut torn = open(&address, &id, None).await;
    if let MaybeTlsStream::Plain(raw) = torn.get_mut() {
        use tokio::io::AsyncWriteExt as _;
        raw.write_all(&[0xff; 64]).await.expect("the bytes are sent");
    }
    while frame(&mut torn).await.is_some() {}
    assert!(frame(&mut calm).await.is_some());
    let status = server.get(&format!("/api/worlds/{id}")).await.json();
    assert_eq!(status["dead"], false);
}
