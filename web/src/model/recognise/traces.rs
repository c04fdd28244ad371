//! Small traces made by hand: each shows what the programs of one pattern do, or something that
//! only looks alike.

use bytes::Bytes;
use podlab_trace::Trace;
use podlab_trace::event::{Dir, FileOp, Kind, PlaceId, Seq, Verb};

#[derive(Default)]
struct Script {
    trace: Trace,
    now: u64,
    conns: u64,
    pods: u8,
}

/// A connection, and which exchange of it comes next.
struct Line {
    conn: u64,
    client: PlaceId,
    server: PlaceId,
}

impl Script {
    fn emit(&mut self, place: PlaceId, kind: Kind) -> Seq {
        self.now += 50_000;
        self.trace.emit(self.now, place, kind)
    }

    fn pod<const N: usize>(&mut self, pod: &str, containers: [&str; N]) -> [PlaceId; N] {
        self.pods += 1;
        self.trace.place(self.now, "node-1", "default", pod, "");
        containers.map(|c| self.trace.place(self.now, "node-1", "default", pod, c))
    }

    fn connect(&mut self, client: PlaceId, server: PlaceId) -> Line {
        self.conns += 1;
        let conn = self.conns;
        let addr = "10.244.0.1:8080".parse().unwrap();
        let connect = Kind::Connect {
            conn,
            from: addr,
            to: addr,
            target: addr,
            via: String::new(),
            peer: server,
        };
        self.emit(client, connect);
        self.emit(server, Kind::Accept { conn });
        Line { conn, client, server }
    }

    fn bytes(&mut self, line: &Line, dir: Dir, bytes: &[u8]) -> Seq {
        let (from, to) = match dir {
            Dir::ToServer => (line.client, line.server),
            Dir::ToClient => (line.server, line.client),
        };
        let (conn, len, payload) = (line.conn, bytes.len() as u32, Bytes::copy_from_slice(bytes));
        let data = Kind::Data { conn, dir, offset: 0, len, payload, arrives: self.now, retries: 0 };
        let seq = self.emit(from, data);
        self.trace.took(to, seq);
        seq
    }

    fn say(&mut self, line: &Line, answers: Seq, summary: &str, body: &str) -> Seq {
        let dir = if answers == 0 { Dir::ToServer } else { Dir::ToClient };
        let head = match dir {
            Dir::ToServer => format!("{summary} HTTP/1.1\r\nHost: x\r\n\r\n"),
            Dir::ToClient => format!("HTTP/1.1 {summary}\r\n\r\n"),
        };
        let place = if answers == 0 { line.client } else { line.server };
        self.bytes(line, dir, format!("{head}{body}").as_bytes());
        let began = self.now;
        let (body_len, body) = (body.len() as u64, Bytes::from(body.to_owned()));
        let (conn, protocol, summary) = (line.conn, "http/1.1".into(), summary.into());
        let message = Kind::Message {
            conn,
            dir,
            exchange: 1,
            protocol,
            summary,
            head,
            body_len,
            body,
            began,
            arrives: began,
            answers,
            malformed: false,
        };
        self.trace.emit(self.now, place, message)
    }

    /// A request and its answer, with what the one that is asked does in between.
    fn http(
        &mut self,
        (from, to): (PlaceId, PlaceId),
        (ask, body): (&str, &str),
        inside: impl FnOnce(&mut Script),
        (status, answer): (&str, &str),
    ) {
        let line = self.connect(from, to);
        let asked = self.say(&line, 0, ask, body);
        inside(self);
        self.say(&line, asked, status, answer);
    }

    fn file(&mut self, place: PlaceId, op: FileOp, path: &str, volume: &str) {
        let (path, volume) = (path.into(), volume.into());
        let (to, error) = (String::new(), String::new());
        let payload = Bytes::from_static(b"x");
        self.emit(place, Kind::File { op, path, volume, to, offset: 0, len: 1, payload, error });
    }

    fn lease(&mut self, name: &str, holder: &str) {
        let object =
            serde_json::json!({"metadata": {"name": name}, "spec": {"holderIdentity": holder}});
        let (api_version, object_kind) = ("coordination.k8s.io/v1".into(), "Lease".into());
        let (namespace, object) = ("default".into(), object.to_string());
        let (verb, version) = (Verb::Modified, 1);
        let name = name.into();
        self.emit(
            0,
            Kind::Object { verb, api_version, object_kind, namespace, name, version, object },
        );
    }
}

/// A server that writes a log, and a neighbour that reads and sends it.
pub fn sidecar() -> Trace {
    let mut s = Script::default();
    let [a, b] = s.pod("p", ["x", "y"]);
    let ([user], [store]) = (s.pod("u", ["u"]), s.pod("s", ["s"]));
    for _ in 0..3 {
        s.http(
            (user, a),
            ("GET /", ""),
            |s| s.file(a, FileOp::Write, "/var/log/l", "v"),
            ("200 OK", "hi"),
        );
        s.file(b, FileOp::Read, "/logs/l", "v");
        s.http((b, store), ("POST /append", "line"), |_| {}, ("200 OK", "ok"));
    }
    s.trace
}

fn fleet(backends: usize) -> Trace {
    let mut s = Script::default();
    let [app, near] = s.pod("p", ["x", "y"]);
    let [user] = s.pod("u", ["u"]);
    let far: Vec<_> = (0..backends).map(|i| s.pod(&format!("far-{i}"), ["f"])[0]).collect();
    let local = s.connect(app, near);
    let lines: Vec<_> = far.iter().map(|f| s.connect(near, *f)).collect();
    for i in 0..6 {
        let far = &lines[i % lines.len()];
        s.http(
            (user, app),
            ("GET /product", ""),
            |s| {
                // A protocol that nobody here reads.
                s.bytes(&local, Dir::ToServer, b"get a\r\n");
                s.bytes(far, Dir::ToServer, b"get a\r\n");
                s.bytes(far, Dir::ToClient, b"VALUE a\r\n");
                s.bytes(&local, Dir::ToClient, b"VALUE a\r\n");
            },
            ("200 OK", "a"),
        );
    }
    s.trace
}

/// An application that knows localhost only, and who chooses among three for it.
pub fn ambassador() -> Trace {
    fleet(3)
}

/// The same with nobody to choose from.
pub fn one_backend() -> Trace {
    fleet(1)
}

fn translated(answer: &str, outside: &str) -> Trace {
    let mut s = Script::default();
    let [app, near] = s.pod("p", ["x", "y"]);
    let [monitor] = s.pod("m", ["m"]);
    for _ in 0..3 {
        s.http(
            (monitor, near),
            ("GET /metrics", ""),
            |s| s.http((near, app), ("GET /status", ""), |_| {}, ("200 OK", answer)),
            ("200 OK", outside),
        );
    }
    s.trace
}

/// Figures in one form, told in another.
pub fn adapter() -> Trace {
    translated("{\"requests\": 3}", "# TYPE requests counter\nrequests_total 3\n")
}

/// Figures that are passed on as they are.
pub fn proxy() -> Trace {
    translated("{\"requests\": 3}", "{\"requests\": 3}")
}

fn candidates(count: usize) -> Trace {
    let mut s = Script::default();
    let api = s.trace.place(0, "", "kube-system", "", "kube-apiserver");
    let who: Vec<_> = (0..count).map(|i| s.pod(&format!("c-{i}"), ["e"])[0]).collect();
    let at = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    for (i, place) in who.iter().enumerate() {
        let body = "{\"metadata\":{\"name\":\"lock\"}}";
        let status = if i == 0 { "201 Created" } else { "409 Conflict" };
        s.http((*place, api), (&format!("POST {at}"), body), |_| {}, (status, "{}"));
    }
    for _ in 0..3 {
        s.http((who[0], api), (&format!("PUT {at}/lock"), "{}"), |_| {}, ("200 OK", "{}"));
        s.lease("lock", "c-0");
    }
    s.trace
}

/// Three that want one Lease.
pub fn election() -> Trace {
    candidates(3)
}

/// One that does.
pub fn alone() -> Trace {
    candidates(1)
}

fn pieces(twice: bool) -> Trace {
    let mut s = Script::default();
    let ([queue], [boss]) = (s.pod("q", ["q"]), s.pod("b", ["b"]));
    let [[one], [two]] = [s.pod("w-0", ["w"]), s.pod("w-1", ["w"])];
    for i in 0..6 {
        let work = format!("piece {i}");
        if !twice && i == 3 {
            // One that waits has asked before there was work.
            let wait = s.connect(two, queue);
            let asked = s.say(&wait, 0, "POST /jobs/take", "");
            s.http((boss, queue), ("POST /jobs", &work), |_| {}, ("201 Created", ""));
            s.say(&wait, asked, "200 OK", &work);
            continue;
        }
        s.http((boss, queue), ("POST /jobs", &work), |_| {}, ("201 Created", ""));
        let takers = match (twice, i % 2) {
            (true, _) => vec![one, two],
            (false, 0) => vec![one],
            _ => vec![two],
        };
        for who in takers {
            s.http((who, queue), ("POST /jobs/take", ""), |_| {}, ("200 OK", &work));
            s.http(
                (who, queue),
                (&format!("POST /jobs/ack?n={i}"), ""),
                |_| {},
                ("204 No Content", ""),
            );
        }
    }
    s.trace
}

/// Each piece of work goes to one of two.
pub fn queue() -> Trace {
    pieces(false)
}

/// Each piece of news goes to both.
pub fn broadcast() -> Trace {
    pieces(true)
}

fn fan(at_once: bool) -> Trace {
    let mut s = Script::default();
    let ([root], [user]) = (s.pod("r", ["r"]), s.pod("u", ["u"]));
    let leaves: Vec<_> = (0..4).map(|i| s.pod(&format!("leaf-{i}"), ["l"])[0]).collect();
    for _ in 0..2 {
        s.http(
            (user, root),
            ("GET /search?q=a", ""),
            |s| {
                let lines: Vec<_> = leaves.iter().map(|l| s.connect(root, *l)).collect();
                if at_once {
                    let asked: Vec<_> =
                        lines.iter().map(|l| s.say(l, 0, "GET /part?q=a", "")).collect();
                    for (line, asked) in lines.iter().zip(asked) {
                        s.say(line, asked, "200 OK", "part");
                    }
                } else {
                    for line in &lines {
                        let asked = s.say(line, 0, "GET /part?q=a", "");
                        s.say(line, asked, "200 OK", "part");
                    }
                }
            },
            ("200 OK", "all parts"),
        );
    }
    s.trace
}

/// One request, four at once, one answer.
pub fn scatter() -> Trace {
    fan(true)
}

/// The same, but each waits for the one before.
pub fn one_after_the_other() -> Trace {
    fan(false)
}
