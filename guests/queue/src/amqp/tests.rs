//! Conversations without a socket: what is answered to what, and to bytes nobody should send.

use proptest::prelude::*;

use super::session::{Session, Step};
use crate::broker::Broker;
use podlab_guest::amqp::method::{Header, Method, Properties, bit};
use podlab_guest::amqp::wire::{self, Kind, Long, PROTOCOL, Table, Value};

/// A client: its session, and what it has got so far.
struct Client {
    session: Session,
    input: Vec<u8>,
    step: Step,
}

fn table(of: &[(&str, Value)]) -> Table {
    Table(of.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect())
}

impl Client {
    /// One that has logged in and opened channel 1.
    fn open(broker: &mut Broker, id: u64) -> Client {
        let session = Session::new(id, "guest:guest", broker);
        let mut client = Client { session, input: PROTOCOL.to_vec(), step: Step::More };
        let able = table(&[
            ("connection.blocked", Value::Bool(true)),
            ("consumer_cancel_notify", Value::Bool(true)),
        ]);
        let properties = table(&[("capabilities", Value::Table(able))]);
        let (mechanism, locale) = ("PLAIN".to_owned(), "en_US".to_owned());
        let response = Long(b"\0guest\0guest".to_vec());
        client.put(0, &Method::ConnectionStartOk { properties, mechanism, response, locale });
        client.put(0, &Method::ConnectionTuneOk { channel_max: 9, frame_max: 4096, heartbeat: 0 });
        let (host, capabilities) = ("/".to_owned(), String::new());
        client.put(0, &Method::ConnectionOpen { host, capabilities, insist: 0 });
        client.put(1, &Method::ChannelOpen { reserved: String::new() });
        let answers = client.talk(broker);
        assert!(matches!(answers.last(), Some((1, Method::ChannelOpenOk { .. }))), "{answers:?}");
        client
    }

    fn put(&mut self, channel: u16, method: &Method) {
        wire::write_frame(Kind::Method, channel, &method.payload(), &mut self.input);
    }

    fn put_content(&mut self, key: &str, flags: u8, properties: Properties, body: &[u8]) {
        let (exchange, key) = (String::new(), key.to_owned());
        self.put(1, &Method::BasicPublish { ticket: 0, exchange, key, flags });
        let header = Header { size: body.len() as u64, properties };
        wire::write_frame(Kind::Header, 1, &header.payload(), &mut self.input);
        if !body.is_empty() {
            wire::write_frame(Kind::Body, 1, body, &mut self.input);
        }
    }

    /// Lets the broker take in what was put, and reads the methods it answers with.
    fn talk(&mut self, broker: &mut Broker) -> Vec<(u16, Method)> {
        let mut answers = Vec::new();
        loop {
            self.step = self.session.feed(broker, &mut self.input);
            let out = std::mem::take(&mut self.session.out);
            let mut rest = &out[..];
            while let Some((frame, used)) = wire::frame(rest, 1 << 20).unwrap() {
                rest = &rest[used..];
                if frame.kind == Kind::Method {
                    answers.push((frame.channel, Method::read(&frame.payload).unwrap()));
                }
            }
            broker.amqp.sent(0, broker.now());
            if self.step != Step::More || !self.session.pending(&self.input) {
                return answers;
            }
        }
    }

    fn ask(&mut self, broker: &mut Broker, method: &Method) -> Vec<(u16, Method)> {
        self.put(1, method);
        self.talk(broker)
    }

    fn declare(&mut self, broker: &mut Broker, queue: &str, arguments: Table) {
        let queue = queue.to_owned();
        let declare = Method::QueueDeclare { ticket: 0, queue, flags: 0, arguments };
        let answers = self.ask(broker, &declare);
        assert!(matches!(answers[..], [(1, Method::QueueDeclareOk { .. })]), "{answers:?}");
    }
}

fn consume(queue: &str, flags: u8) -> Method {
    let (queue, tag, arguments) = (queue.to_owned(), String::new(), Table::default());
    Method::BasicConsume { ticket: 0, queue, tag, flags, arguments }
}

#[test]
fn consumers_take_turns_and_hold_no_more_than_they_may() {
    let broker = &mut Broker::new(1 << 20, 5);
    let (mut a, mut b) = (Client::open(broker, 1), Client::open(broker, 2));
    a.declare(broker, "q", Table::default());
    for client in [&mut a, &mut b] {
        client.ask(broker, &Method::BasicQos { prefetch_size: 0, prefetch_count: 2, global: 0 });
        client.ask(broker, &consume("q", 0));
    }
    for n in 0..6u8 {
        a.put_content("q", 0, Properties::default(), &[n]);
    }
    let deliveries = |answers: &[(u16, Method)]| -> Vec<u64> {
        let tag = |m: &Method| match m {
            Method::BasicDeliver { delivery, .. } => Some(*delivery),
            _ => None,
        };
        answers.iter().filter_map(|(_, m)| tag(m)).collect()
    };
    assert_eq!(deliveries(&a.talk(broker)), [1, 2]);
    assert_eq!(deliveries(&b.talk(broker)), [1, 2]);
    assert_eq!(broker.amqp.queues().next().unwrap().1.ready.len(), 2);
    let answers = a.ask(broker, &Method::BasicAck { delivery: 0, multiple: 1 });
    assert_eq!(deliveries(&answers), [3, 4]);
    // The other goes away: what it held goes to who has room.
    b.session.leave(broker);
    let answers = a.ask(broker, &Method::BasicAck { delivery: 4, multiple: 1 });
    assert_eq!(deliveries(&answers), [5, 6]);
    a.ask(broker, &Method::BasicAck { delivery: 6, multiple: 1 });
    assert_eq!(broker.bytes(), 0);
}

#[test]
fn a_full_broker_reads_no_further_until_there_is_room() {
    let broker = &mut Broker::new(2000, 5);
    let (mut publisher, mut other) = (Client::open(broker, 1), Client::open(broker, 2));
    publisher.declare(broker, "q", Table::default());
    publisher.put_content("q", 0, Properties::default(), &[0; 1500]);
    assert!(publisher.talk(broker).is_empty());
    publisher.put_content("q", 0, Properties::default(), &[1; 1500]);
    let answers = publisher.talk(broker);
    assert!(matches!(answers[..], [(0, Method::ConnectionBlocked { .. })]), "{answers:?}");
    assert_eq!(publisher.step, Step::Blocked);
    assert!(publisher.talk(broker).is_empty() && broker.bytes() <= 2000);
    let get = Method::BasicGet { ticket: 0, queue: "q".into(), no_ack: 1 };
    assert!(matches!(other.ask(broker, &get)[..], [(1, Method::BasicGetOk { .. })]));
    let answers = publisher.talk(broker);
    assert!(matches!(answers[..], [(0, Method::ConnectionUnblocked {})]), "{answers:?}");
    assert!(matches!(other.ask(broker, &get)[..], [(1, Method::BasicGetOk { .. })]));
    assert_eq!(broker.bytes(), 0);
    // What may never fit is refused at once, and room kept for half a message is given back.
    publisher.put_content("q", 0, Properties::default(), &[2; 3000]);
    let answers = publisher.talk(broker);
    assert!(matches!(answers[..], [(1, Method::ChannelClose { code: 406, .. })]), "{answers:?}");
    let publish =
        Method::BasicPublish { ticket: 0, exchange: String::new(), key: "q".into(), flags: 0 };
    other.put(1, &publish);
    let header = Header { size: 1000, properties: Properties::default() };
    wire::write_frame(Kind::Header, 1, &header.payload(), &mut other.input);
    other.talk(broker);
    assert!(broker.bytes() > 1000);
    other.session.leave(broker);
    assert_eq!(broker.bytes(), 0);
}

#[test]
fn what_does_not_belong_here_has_its_code() {
    let header = Header { size: 1, properties: Properties::default() }.payload();
    let publish =
        Method::BasicPublish { ticket: 0, exchange: String::new(), key: "q".into(), flags: 0 };
    let frame = |kind, channel, payload: &[u8]| {
        let mut out = Vec::new();
        wire::write_frame(kind, channel, payload, &mut out);
        out
    };
    let method = |channel, method: &Method| frame(Kind::Method, channel, &method.payload());
    let get = Method::BasicGet { ticket: 0, queue: String::new(), no_ack: 0 };
    let immediate = Method::BasicPublish {
        ticket: 0,
        exchange: String::new(),
        key: String::new(),
        flags: bit::IMMEDIATE,
    };
    for (bytes, wanted) in [
        (method(2, &get), 504),
        (method(1, &Method::ChannelOpen { reserved: String::new() }), 504),
        (method(10, &Method::ChannelOpen { reserved: String::new() }), 530),
        (method(0, &get), 503),
        (method(1, &Method::BasicQosOk {}), 503),
        (frame(Kind::Method, 1, &[0, 60, 0, 99]), 503),
        (frame(Kind::Method, 1, &[0, 60, 0, 80, 1]), 502),
        (frame(Kind::Header, 1, &header), 505),
        (frame(Kind::Body, 1, b"x"), 505),
        ([method(1, &publish), frame(Kind::Body, 1, b"x")].concat(), 505),
        ([method(1, &publish), method(1, &get)].concat(), 505),
        (
            [method(1, &publish), frame(Kind::Header, 1, &header), frame(Kind::Body, 1, b"xy")]
                .concat(),
            505,
        ),
        ([method(1, &publish), frame(Kind::Header, 1, b"\0\x3c\0\0")].concat(), 502),
        (frame(Kind::Header, 0, &header), 503),
        (method(1, &immediate), 540),
        (method(1, &Method::TxSelect {}), 540),
        (method(1, &Method::ChannelFlow { active: 0 }), 540),
        (frame(Kind::Heartbeat, 1, b""), 501),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 501),
        (frame(Kind::Body, 1, &[0; 5000]), 501),
    ] {
        let broker = &mut Broker::new(1 << 20, 5);
        let mut client = Client::open(broker, 1);
        client.input.extend(&bytes);
        let answers = client.talk(broker);
        match answers.last() {
            Some((0, Method::ConnectionClose { code, text, .. })) => {
                assert_eq!(*code, wanted, "{text}");
                assert!(text.contains(" - "), "{text}");
            }
            other => panic!("{wanted}: {other:?}"),
        }
        client.put(0, &Method::ConnectionCloseOk {});
        client.talk(broker);
        assert_eq!(client.step, Step::End, "{wanted}");
        assert_eq!(broker.bytes(), 0);
    }
    // Another protocol altogether is told which one this is.
    let broker = &mut Broker::new(1 << 20, 5);
    for other in [&b"AMQP\0\x01\0\0"[..], b"GET / HTTP/1.1\r\n"] {
        let mut session = Session::new(9, "guest:guest", broker);
        assert_eq!(session.feed(broker, &mut other.to_vec()), Step::End);
        assert_eq!(session.out, PROTOCOL);
    }
}

#[test]
fn a_letter_that_goes_round_and_round_ends() {
    let broker = &mut Broker::new(1 << 20, 5);
    let mut client = Client::open(broker, 1);
    let to = |key: &str| {
        table(&[
            ("x-dead-letter-exchange", Value::text("")),
            ("x-dead-letter-routing-key", Value::text(key)),
            ("x-max-length", Value::number(0)),
        ])
    };
    client.declare(broker, "a", to("b"));
    client.declare(broker, "b", to("a"));
    client.put_content("a", 0, Properties::default(), b"x");
    assert!(client.talk(broker).is_empty());
    assert_eq!(broker.bytes(), 0);
    let dead: Vec<u64> = broker.amqp.queues().map(|(_, q)| q.counters.dead).collect();
    assert_eq!(dead, [1, 1]);
}

#[test]
fn a_letter_that_was_rejected_once_ends_as_well() {
    let broker = &mut Broker::new(1 << 20, 5);
    let mut client = Client::open(broker, 1);
    let dead_to = |key: &str, length| {
        table(&[
            ("x-dead-letter-exchange", Value::text("")),
            ("x-dead-letter-routing-key", Value::text(key)),
            ("x-max-length", Value::number(length)),
        ])
    };
    client.declare(broker, "work", dead_to("full", 10));
    client.declare(broker, "full", dead_to("full", 1));
    // Both are rejected by hand and go to a queue that has room for one, and whose own dead letters
    // come back to it.
    for _ in 0..2 {
        client.put_content("work", 0, Properties::default(), b"x");
        client.ask(broker, &Method::BasicGet { ticket: 0, queue: "work".into(), no_ack: 0 });
        client.ask(broker, &Method::BasicNack { delivery: 0, flags: bit::MULTIPLE });
    }
    let waiting: Vec<_> = broker.amqp.queues().map(|(n, q)| (n, q.ready.len())).collect();
    assert_eq!(waiting, [("full", 1), ("work", 0)]);
}

#[test]
fn a_queue_that_is_deleted_tells_its_consumers_and_forgets_what_they_hold() {
    let broker = &mut Broker::new(1 << 20, 5);
    let (mut a, mut b) = (Client::open(broker, 1), Client::open(broker, 2));
    a.declare(broker, "q", Table::default());
    b.ask(broker, &consume("q", 0));
    a.put_content("q", 0, Properties::default(), b"x");
    a.talk(broker);
    assert!(matches!(b.talk(broker)[..], [(1, Method::BasicDeliver { .. })]));
    a.ask(broker, &Method::QueueDelete { ticket: 0, queue: "q".into(), flags: 0 });
    assert!(matches!(b.talk(broker)[..], [(1, Method::BasicCancel { .. })]));
    // A new queue of that name does not get what belonged to the old one.
    a.declare(broker, "q", Table::default());
    assert!(b.ask(broker, &Method::BasicNack { delivery: 1, flags: bit::NACK_REQUEUE }).is_empty());
    let (_, queue) = broker.amqp.queues().next().unwrap();
    assert_eq!((queue.ready.len(), queue.unacked, broker.bytes()), (0, 0, 0));
}

/// A queue that is short, and whose dead letters go to another.
fn declaration(queue: &str) -> Method {
    let arguments = table(&[
        ("x-max-length", Value::number(3)),
        ("x-dead-letter-exchange", Value::text("")),
        ("x-dead-letter-routing-key", Value::text("r")),
    ]);
    Method::QueueDeclare { ticket: 0, queue: queue.to_owned(), flags: 0, arguments }
}

/// Something a client may send: mostly sensible, sometimes not.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let queue = || prop_oneof![Just("q".to_owned()), Just("r".to_owned()), Just(String::new())];
    let channel = || prop_oneof![50 => Just(1u16), 1 => 0..4u16];
    let number = || prop_oneof![20 => 0..5u64, 1 => any::<u64>()];
    let method = prop_oneof![
        2 => queue().prop_map(|queue| declaration(&queue)),
        1 => (queue(), 0..32u8).prop_map(|(queue, flags)| Method::QueueDeclare {
            ticket: 0,
            queue,
            flags,
            arguments: Table::default(),
        }),
        2 => (queue(), any::<u8>()).prop_map(|(queue, flags)| consume(&queue, flags & 3)),
        6 => (queue(), 0..2u8).prop_map(|(queue, no_ack)| Method::BasicGet { ticket: 0, queue, no_ack }),
        4 => (number(), 0..2u8).prop_map(|(delivery, multiple)| Method::BasicAck { delivery, multiple }),
        4 => (number(), 0..4u8).prop_map(|(delivery, flags)| Method::BasicNack { delivery, flags }),
        1 => (0..4u16, 0..2u8).prop_map(|(prefetch_count, global)| Method::BasicQos {
            prefetch_size: 0,
            prefetch_count,
            global
        }),
        1 => queue().prop_map(|queue| Method::QueuePurge { ticket: 0, queue, no_wait: 0 }),
        1 => queue().prop_map(|queue| Method::QueueDelete { ticket: 0, queue, flags: 0 }),
        1 => Just(Method::BasicRecover { requeue: 1 }),
        1 => Just(Method::ConfirmSelect { no_wait: 0 }),
        1 => Just(Method::ChannelOpen { reserved: String::new() }),
        1 => Just(Method::ChannelCloseOk {}),
        1 => Just(Method::ChannelClose { code: 200, text: String::new(), class: 0, method: 0 }),
    ];
    let framed = |kind, channel, payload: &[u8]| {
        let mut out = Vec::new();
        wire::write_frame(kind, channel, payload, &mut out);
        out
    };
    let publish = (queue(), 0..2u8, 0..300usize).prop_map(move |(key, flags, size)| {
        let publish = Method::BasicPublish { ticket: 0, exchange: String::new(), key, flags };
        let header = Header { size: size as u64, properties: Properties::default() };
        let mut out = framed(Kind::Method, 1, &publish.payload());
        out.extend(framed(Kind::Header, 1, &header.payload()));
        if size > 0 {
            out.extend(framed(Kind::Body, 1, &vec![7; size]));
        }
        out
    });
    let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        60 => (channel(), method).prop_map(move |(c, m)| framed(Kind::Method, c, &m.payload())),
        40 => publish,
        1 => (channel(), bytes()).prop_map(move |(c, b)| framed(Kind::Method, c, &b)),
        1 => (channel(), bytes()).prop_map(move |(c, b)| framed(Kind::Header, c, &b)),
        1 => bytes(),
    ]
}

proptest! {
    /// Whatever two clients send: no panic, the bound on memory holds, and when they have gone, what is
    /// counted is what waits.
    #[test]
    fn whatever_is_sent_the_books_balance(
        sent in proptest::collection::vec((0..2usize, anything()), 0..60),
    ) {
        const LIMIT: usize = 3000;
        let broker = &mut Broker::new(LIMIT, 5);
        let mut clients = [Client::open(broker, 1), Client::open(broker, 2)];
        for queue in ["q", "r"] {
            clients[0].ask(broker, &declaration(queue));
        }
        for (n, bytes) in sent {
            let client = &mut clients[n];
            if client.step == Step::End {
                continue;
            }
            client.input.extend(bytes);
            let answers = client.talk(broker);
            if let Some((channel, _)) =
                answers.iter().find(|(_, m)| matches!(m, Method::ChannelClose { .. }))
            {
                client.put(*channel, &Method::ChannelCloseOk {});
                client.put(*channel, &Method::ChannelOpen { reserved: String::new() });
                client.talk(broker);
            }
            // A dead letter is a little longer than the message it was.
            prop_assert!(broker.bytes() <= LIMIT + 2000, "{}", broker.bytes());
        }
        for client in &mut clients {
            client.session.leave(broker);
        }
        let waiting: usize =
            broker.amqp.queues().flat_map(|(_, q)| q.ready.values()).map(|m| m.size()).sum();
        prop_assert_eq!(broker.bytes(), waiting);
        prop_assert!(broker.amqp.queues().all(|(_, q)| q.unacked == 0 && q.consumers.is_empty()));
    }
}
