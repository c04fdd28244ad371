//! A small world's trace, made by hand: the sidecar pod, an origin, a store and a client.

use bytes::Bytes;
use podlab_trace::Trace;
use podlab_trace::event::{Dir, FileOp, Kind, PlaceId, Seq, Stream, Verb};

const MS: u64 = 1_000_000;

/// A container: its name, its image, and what it mounts where.
type Spec<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

struct Maker {
    trace: Trace,
    now: u64,
    conns: u64,
}

impl Maker {
    fn emit(&mut self, place: PlaceId, kind: Kind) -> Seq {
        self.now += 20_000;
        self.trace.emit(self.now, place, kind)
    }

    fn pod(
        &mut self,
        node: &str,
        name: &str,
        ip: &str,
        containers: &[Spec],
        volumes: &[&str],
    ) -> Vec<PlaceId> {
        let pod = self.trace.place(self.now, node, "default", name, "");
        let spec: Vec<_> = containers
            .iter()
            .map(|(c, image, mounts)| {
                let mounts: Vec<_> = mounts
                    .iter()
                    .map(|(n, p)| serde_json::json!({"name": n, "mountPath": p}))
                    .collect();
                serde_json::json!({"name": c, "image": image, "volumeMounts": mounts})
            })
            .collect();
        let status: Vec<_> = containers
            .iter()
            .map(|(c, ..)| serde_json::json!({"name": c, "ready": true, "restartCount": 0, "state": {"running": {}}}))
            .collect();
        let volumes: Vec<_> =
            volumes.iter().map(|v| serde_json::json!({"name": v, "emptyDir": {}})).collect();
        let object = serde_json::json!({"metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": node, "containers": spec, "volumes": volumes},
            "status": {"phase": "Running", "podIP": ip, "containerStatuses": status,
                       "conditions": [{"type": "Ready", "status": "True"}]}});
        self.object("Pod", name, object.to_string());
        let mut places = vec![pod];
        for (c, image, _) in containers {
            let place = self.trace.place(self.now, node, "default", name, c);
            self.emit(place, Kind::Start { run: 0, image: (*image).into(), args: vec![] });
            places.push(place);
        }
        places
    }

    fn object(&mut self, kind: &str, name: &str, object: String) {
        let (api_version, namespace) =
            ("v1".into(), if kind == "Node" { String::new() } else { "default".into() });
        let version = self.trace.last();
        self.emit(
            0,
            Kind::Object {
                verb: Verb::Added,
                api_version,
                object_kind: kind.into(),
                namespace,
                name: name.into(),
                version,
                object,
            },
        );
    }

    #[allow(clippy::too_many_arguments)]
    fn http(
        &mut self,
        from: PlaceId,
        to: PlaceId,
        via: &str,
        addr: &str,
        ask: &str,
        status: &str,
        body: &[u8],
    ) {
        self.conns += 1;
        let (conn, addr) = (self.conns, addr.parse().unwrap());
        let near = format!("10.244.9.9:{}", 40_000 + conn % 20_000).parse().unwrap();
        self.emit(
            from,
            Kind::Connect { conn, from: near, to: addr, target: addr, via: via.into(), peer: to },
        );
        self.emit(to, Kind::Accept { conn });
        let mut asked = 0;
        for (dir, place, summary, body) in
            [(Dir::ToServer, from, ask, &b""[..]), (Dir::ToClient, to, status, body)]
        {
            let head = match dir {
                Dir::ToServer => format!(
                    "{ask} HTTP/1.1\r\nHost: web\r\nUser-Agent: load/1\r\nAccept: */*\r\n\r\n"
                ),
                Dir::ToClient => format!(
                    "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                ),
            };
            let arrives = self.now + 103_000;
            let payload = Bytes::from([head.as_bytes(), body].concat());
            let data = self.emit(
                place,
                Kind::Data {
                    conn,
                    dir,
                    offset: 0,
                    len: payload.len() as u32,
                    payload,
                    arrives,
                    retries: 0,
                },
            );
            let began = self.now;
            let seq = self.emit(
                place,
                Kind::Message {
                    conn,
                    dir,
                    exchange: 1,
                    protocol: "http/1.1".into(),
                    summary: summary.into(),
                    head,
                    body_len: body.len() as u64,
                    body: Bytes::copy_from_slice(body),
                    began,
                    arrives,
                    answers: asked,
                    malformed: false,
                },
            );
            asked = seq;
            self.now += 103_000;
            self.trace.took(if dir == Dir::ToServer { to } else { from }, data);
        }
        self.emit(from, Kind::Close { conn });
    }

    fn file(&mut self, place: PlaceId, op: FileOp, path: &str, volume: &str, to: &str, data: &str) {
        let (payload, len) = (Bytes::from(data.to_owned()), data.len() as u64);
        self.emit(
            place,
            Kind::File {
                op,
                path: path.into(),
                volume: volume.into(),
                to: to.into(),
                offset: 0,
                len,
                payload,
                error: String::new(),
            },
        );
    }

    fn log(&mut self, place: PlaceId, line: &str) {
        self.emit(place, Kind::Log { stream: Stream::Stdout, line: line.into() });
    }
}

/// The trace of so many steps of a quarter of a second.
pub fn world(steps: u64) -> Trace {
    let mut m = Maker { trace: Trace::default(), now: 0, conns: 0 };
    for node in ["node-1", "node-2", "node-3"] {
        m.object("Node", node, format!(r#"{{"metadata":{{"name":"{node}"}}}}"#));
    }
    let kubelet = m.trace.place(m.now, "node-1", "", "", "kubelet");
    let client = m.trace.place(m.now, "", "", "", "client-1");
    let origin = m.pod("node-2", "origin", "10.244.2.2", &[("origin", "origin:v1", &[])], &[])[1];
    let store =
        m.pod("node-3", "log-store", "10.244.3.2", &[("store", "log-store:v1", &[])], &[])[1];
    let web = m.pod(
        "node-1",
        "web",
        "10.244.1.2",
        &[
            ("web", "web:v1", &[("content", "/content"), ("logs", "/logs")]),
            ("content-puller", "content-puller:v1", &[("content", "/content")]),
            ("log-saver", "log-saver:v1", &[("logs", "/logs")]),
        ],
        &["content", "logs"],
    );
    let load = m.pod("node-2", "load", "10.244.2.3", &[("load", "load:v1", &[])], &[])[1];
    for (name, ip) in [("web", "10.96.0.10"), ("origin", "10.96.0.11"), ("log-store", "10.96.0.12")]
    {
        m.object("Service", name, format!(r#"{{"spec":{{"clusterIP":"{ip}"}}}}"#));
    }
    for (place, addr) in [(web[1], "0.0.0.0:8080"), (origin, "0.0.0.0:80"), (store, "0.0.0.0:9000")]
    {
        m.emit(place, Kind::Listen { addr: addr.parse().unwrap(), udp: false });
    }
    let event = r#"{"type":"Normal","reason":"Started","message":"Started container web","involvedObject":{"kind":"Pod","name":"web"}}"#;
    m.object("Event", "web.1", event.into());
    for step in 0..steps {
        m.now = m.now.max(2_000 * MS + step * 250 * MS);
        let html = format!("<h1>Hello, version {}</h1>\n", step / 8);
        let from = if step % 5 == 0 { client } else { load };
        m.file(web[1], FileOp::Read, "/content/index.html", "content", "", &html);
        m.http(
            from,
            web[1],
            "default/web:80",
            "10.244.1.2:8080",
            "GET /index.html",
            "200 OK",
            html.as_bytes(),
        );
        let line = format!("10.244.2.3 \"GET /index.html\" 200 {}", html.len());
        m.file(web[1], FileOp::Write, "/logs/access.log", "logs", "", &line);
        m.log(web[1], &line);
        if step % 4 == 1 {
            m.http(
                web[2],
                origin,
                "default/origin:80",
                "10.244.2.2:80",
                "GET /content",
                "200 OK",
                html.as_bytes(),
            );
            m.file(web[2], FileOp::Write, "/content/.index.html.new", "content", "", &html);
            m.file(
                web[2],
                FileOp::Rename,
                "/content/.index.html.new",
                "content",
                "/content/index.html",
                "",
            );
        }
        if step % 3 == 2 {
            m.file(web[3], FileOp::Read, "/logs/access.log", "logs", "", &line);
            m.http(
                web[3],
                store,
                "default/log-store:9000",
                "10.244.3.2:9000",
                "POST /append",
                "200 OK",
                b"{\"stored\": 3}",
            );
        }
        if step % 6 == 3 {
            m.http(kubelet, web[1], "", "10.244.1.2:8080", "GET /healthz", "200 OK", b"ok");
            m.http(
                load,
                web[1],
                "default/web:80",
                "10.244.1.2:8080",
                "GET /nothing",
                "404 Not Found",
                b"not found\n",
            );
        }
    }
    m.trace
}
