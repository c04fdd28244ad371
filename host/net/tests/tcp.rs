//! TCP as programs see it.

mod world;

use std::time::Duration;

use bytes::Bytes;
use podlab_net::{Errno, LinkEnd, LinkEnds, LinkProps};
use podlab_sim::Time;
use podlab_trace::Kind;
use world::{World, bytes, pod, read_all};

#[test]
fn a_request_and_its_answer_over_localhost() {
    let mut w = World::new(1);
    let (server, client, say) = (w.a.clone(), w.a.clone(), w.say());
    w.spawn(async move {
        let listener = server.listen("0.0.0.0:80".parse().unwrap()).unwrap();
        let stream = listener.accept().await.unwrap();
        let got = read_all(&stream).await.unwrap();
        stream.write_all(Bytes::from([b"you said ", &got[..]].concat())).await.unwrap();
    });
    let h = w.handle();
    w.spawn(async move {
        h.yield_now().await;
        let stream = client.connect("127.0.0.1:80".parse().unwrap()).await.unwrap();
        say(format!("{:?}", stream.socket().local_addr().unwrap()));
        stream.write_all(bytes("hi")).await.unwrap();
        stream.shutdown_write().unwrap();
        say(String::from_utf8(read_all(&stream).await.unwrap()).unwrap());
    });
    assert_eq!(w.run(), ["0.000020000s 127.0.0.1:32768", "0.000040000s you said hi"]);
    assert_eq!(
        w.story(),
        [
            "listens on 0.0.0.0:80",
            "#1 connect 127.0.0.1:32768 to 127.0.0.1:80",
            "#1 -> 2 bytes",
            "#1 -> end of data",
            "#1 accept",
            "#1 <- 11 bytes",
            "#1 <- end of data",
            "no longer listens on 0.0.0.0:80",
            "#1 closed",
        ]
    );
}
