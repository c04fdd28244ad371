//! `curl`, as far as asking a service over plain http goes.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use podlab_guest::http::{Client, Reply, Url, reason};
use podlab_guest::runtime::block_on_keeping;

use super::{Fault, Outcome, named, usage};
use crate::io::Io;
use crate::options::Given;

/// See `options::parse`.
pub const OPTIONS: &str = "sSifIkLvgH:X:d:o:w:m:A:b:e:u: silent=s show-error=S include=i fail=f head=I \
     insecure=k location=L verbose=v globoff=g header=H request=X data=d data-raw=d data-binary=d \
     output=o write-out=w max-time=m connect-timeout=m user-agent=A cookie=b referer=e url=u";
/// Redirects that are followed.
const REDIRECTS: usize = 50;

/// What is asked.
struct Ask {
    method: String,
    url: Url,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// `curl`: prints the body; curl's own exit statuses for what curl's users look for.
pub fn curl(given: &Given, io: &mut Io) -> Outcome {
    let mut urls = given.rest.iter().map(String::as_str).chain(given.values('u'));
    let (Some(url), None) = (urls.next(), urls.next()) else { return Err(usage()) };
    let limit = match given.value('m') {
        None => Duration::from_secs(300),
        Some(text) => podlab_guest::args::duration(text)
            .ok_or_else(|| Fault::Usage("-m needs seconds".to_owned()))?,
    };
    let mut ask = ask(given, url)?;
    let began = Instant::now();
    let mut left = REDIRECTS;
    let reply = loop {
        let reply = match send(&ask, limit) {
            Ok(reply) => reply,
            Err(error) => return failed(given, io, &ask.url, &error, began.elapsed()),
        };
        if given.has('v') {
            talk(io, &ask, &reply)?;
        }
        let to = reply.headers.get("location").filter(|_| (300..400).contains(&reply.status));
        match to.filter(|_| given.has('L')).map(|to| target(&ask.url, to)) {
            Some(Ok(url)) if left > 0 => {
                left -= 1;
                ask.url = url;
                if reply.status == 303 {
                    (ask.method, ask.body) = ("GET".to_owned(), Vec::new());
                }
            }
            Some(Ok(_)) => {
                let text = format!("Maximum ({REDIRECTS}) redirects followed");
                return say(given, io, 47, &text);
            }
            Some(Err(why)) => return say(given, io, 1, &why),
            None => break reply,
        }
    };
    if given.has('f') && reply.status >= 400 {
        let text = format!("The requested URL returned error: {}", reply.status);
        return say(given, io, 22, &text);
    }
    let mut out = Vec::new();
    if given.has('i') || given.has('I') {
        out.extend(format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status)).into_bytes());
        for (name, value) in &reply.headers.0 {
            out.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        out.extend(b"\r\n");
    }
    out.extend(&reply.body);
    match given.value('o') {
        Some(file) if file != "-" => match crate::base(file) {
            "null" if file == "/dev/null" => {}
            _ => std::fs::write(file, &out).map_err(named(file))?,
        },
        _ => io.out.write_all(&out)?,
    }
    if let Some(format) = given.value('w') {
        let text = written(format, &ask.url, &reply, began.elapsed());
        io.out.write_all(text.as_bytes())?;
    }
    Ok(0)
}

fn ask(given: &Given, url: &str) -> Result<Ask, Fault> {
    let url = Url::parse(url).map_err(Fault::Usage)?;
    let body: Vec<&str> = given.values('d').collect();
    let default = match (given.has('I'), body.is_empty()) {
        (true, _) => "HEAD",
        (_, false) => "POST",
        _ => "GET",
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    for header in given.values('H') {
        let pair = header.split_once(':');
        let (name, value) = pair.ok_or_else(|| Fault::Usage("-H needs 'NAME: VALUE'".into()))?;
        headers.push((name.trim().into(), value.trim().into()));
    }
    for (flag, name) in [('A', "User-Agent"), ('b', "Cookie"), ('e', "Referer")] {
        headers.extend(given.value(flag).map(|v| (name.to_owned(), v.to_owned())));
    }
    let mut otherwise = |name: &str, value: &str| {
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    };
    otherwise("Accept", "*/*");
    if !body.is_empty() {
        otherwise("Content-Type", "application/x-www-form-urlencoded");
    }
    let method = given.value('X').unwrap_or(default).to_owned();
    Ok(Ask { method, url, headers, body: body.join("&").into_bytes() })
}

fn send(ask: &Ask, limit: Duration) -> io::Result<Reply> {
    let (method, url, body) = (ask.method.clone(), ask.url.clone(), ask.body.clone());
    let headers = ask.headers.clone();
    block_on_keeping(async move {
        let mut client = Client::new("curl/8.10.1", limit).keep(false);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        client.send(&method, &url, &headers, &body).await
    })
}

/// Where a redirect leads.
fn target(from: &Url, to: &str) -> Result<Url, String> {
    if to.starts_with('/') { Ok(from.at(to)) } else { Url::parse(to) }
}

/// What `-v` shows.
fn talk(io: &mut Io, ask: &Ask, reply: &Reply) -> io::Result<()> {
    writeln!(io.err, "> {} {} HTTP/1.1", ask.method, ask.url.target)?;
    if !ask.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
        writeln!(io.err, "> Host: {}:{}", ask.url.host, ask.url.port)?;
    }
    for (name, value) in &ask.headers {
        writeln!(io.err, "> {name}: {value}")?;
    }
    writeln!(io.err, ">\n< HTTP/1.1 {} {}", reply.status, reason(reply.status))?;
    for (name, value) in &reply.headers.0 {
        writeln!(io.err, "< {name}: {value}")?;
    }
    writeln!(io.err, "<")
}

fn failed(given: &Given, io: &mut Io, url: &Url, error: &io::Error, took: Duration) -> Outcome {
    use io::ErrorKind as K;
    let (host, port, ms) = (&url.host, url.port, took.as_millis());
    let (status, text) = match error.kind() {
        K::NotFound => (6, format!("Could not resolve host: {host}")),
        K::TimedOut => (28, format!("Operation timed out after {ms} milliseconds")),
        K::ConnectionAborted => (52, "Empty reply from server".to_owned()),
        K::ConnectionReset | K::UnexpectedEof | K::InvalidData => {
            (56, format!("Recv failure: {error}"))
        }
        _ => (7, format!("Failed to connect to {host} port {port} after {ms} ms: {error}")),
    };
    if let Some(format) = given.value('w') {
        let nothing = Reply { status: 0, headers: Default::default(), body: Vec::new() };
        io.out.write_all(written(format, url, &nothing, took).as_bytes())?;
    }
    say(given, io, status, &text)
}

fn say(given: &Given, io: &mut Io, status: i32, text: &str) -> Outcome {
    if !given.has('s') || given.has('S') {
        writeln!(io.err, "curl: ({status}) {text}")?;
    }
    Ok(status)
}

/// What `-w` asks for.
fn written(format: &str, url: &Url, reply: &Reply, took: Duration) -> String {
    let code = format!("{:03}", reply.status);
    let total = format!("{:.6}", took.as_secs_f64());
    let size = reply.body.len().to_string();
    let whole = format!("http://{}:{}{}", url.host, url.port, url.target);
    let known = [
        ("%{http_code}", code.as_str()),
        ("%{response_code}", code.as_str()),
        ("%{time_total}", total.as_str()),
        ("%{size_download}", size.as_str()),
        ("%{url_effective}", whole.as_str()),
        ("\\n", "\n"),
        ("\\t", "\t"),
        ("\\r", "\r"),
    ];
    known.iter().fold(format.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use crate::applets::tests::{folder, out, ran};

    /// Answers connections in turn with `answers`; what they asked.
    fn server<const N: usize>(
        answers: [&'static str; N],
    ) -> (u16, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = move |answer: &'static str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&buffer[..n]).into_owned()
        };
        (port, std::thread::spawn(move || answers.into_iter().map(asked).collect()))
    }

    #[test]
    fn a_page_under_another_name() {
        let (port, server) = server(["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"]);
        let url = format!("http://127.0.0.1:{port}/a?b");
        assert_eq!(out(&["curl", "-sS", "-H", "Host: shop.example", &url], ""), "hi");
        let asked = server.join().unwrap().remove(0);
        assert!(asked.starts_with("GET /a?b HTTP/1.1\r\n"), "{asked}");
        assert_eq!(asked.to_lowercase().matches("\r\nhost:").count(), 1, "{asked}");
        assert!(asked.contains("\r\nHost: shop.example\r\n"), "{asked}");
    }

    #[test]
    fn heads_codes_and_failures() {
        let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
        let (port, asked) = server([missing, missing, missing]);
        let url = format!("127.0.0.1:{port}/x");
        let (status, text, _) = ran(&["curl", "-si", &url], "");
        let whole = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!((status, text.as_str()), (0, whole));
        let null = format!("{}/null", folder("curl"));
        assert_eq!(out(&["curl", "-s", "-o", &null, "-w", "%{http_code}\\n", &url], ""), "404\n");
        let (status, _, err) = ran(&["curl", "-fsS", "-d", "k=v", &url], "");
        assert_eq!(
            (status, err.as_str()),
            (22, "curl: (22) The requested URL returned error: 404\n")
        );
        assert!(asked.join().unwrap()[2].starts_with("POST /x"));
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (status, text, _) =
            ran(&["curl", "-s", "-w", "%{http_code}", &format!("127.0.0.1:{free}")], "");
        assert_eq!((status, text.as_str()), (7, "000"));
        assert_eq!(ran(&["curl"], "").0, 2);
    }

    #[test]
    fn redirects_are_followed_if_asked_for() {
        let away = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
        let (port, asked) = server([away, away, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"]);
        let url = format!("127.0.0.1:{port}/");
        assert_eq!(out(&["curl", "-s", &url], ""), "");
        assert_eq!(out(&["curl", "-sL", &url], ""), "x");
        assert!(asked.join().unwrap()[2].starts_with("GET /there "));
    }
}
