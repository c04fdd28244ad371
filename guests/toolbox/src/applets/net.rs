//! The tools that use the network.

use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::http::{Client, Url};
use podlab_guest::net::{Stdin, TcpListener, TcpStream, resolve};
use podlab_guest::runtime::{block_on_keeping, spawn, timeout};

use super::{Fault, Outcome, named, usage};
use crate::io::{Io, MOST, Source};
use crate::options::Given;

fn invalid(text: impl Into<String>) -> Fault {
    Fault::Usage(text.into())
}

fn seconds(given: &Given, flag: char, default: u64) -> Result<Duration, Fault> {
    match given.value(flag) {
        None => Ok(Duration::from_secs(default)),
        Some(text) => podlab_guest::args::duration(text)
            .ok_or_else(|| invalid(format!("-{flag} needs seconds"))),
    }
}

/// `wget`: prints if `-O -`, else writes a file of the page's name, as wget does.
pub fn wget(given: &Given, io: &mut Io) -> Outcome {
    let [url] = &given.rest[..] else { return Err(usage()) };
    let url = Url::parse(url).map_err(invalid)?;
    let limit = seconds(given, 'T', 30)?;
    let body = given.value('d').unwrap_or("").as_bytes().to_vec();
    let default = match (given.has('x'), given.has('d')) {
        (true, _) => "HEAD",
        (_, true) => "POST",
        _ => "GET",
    };
    let method = given.value('m').unwrap_or(default).to_owned();
    let mut headers: Vec<(String, String)> = Vec::new();
    for header in given.values('H') {
        let (name, value) =
            header.split_once(':').ok_or_else(|| invalid("--header needs NAME: VALUE"))?;
        headers.push((name.trim().into(), value.trim().into()));
    }
    if given.has('d') && !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type")) {
        headers.push(("Content-Type".into(), "application/x-www-form-urlencoded".into()));
    }
    let page = crate::base(url.target.split('?').next().unwrap_or("")).to_owned();
    let page = if page.is_empty() { "index.html".to_owned() } else { page };
    let reply = block_on_keeping(async move {
        let mut client = Client::new("Wget", limit).keep(false);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        client.send(&method, &url, &headers, &body).await
    })?;
    if given.has('S') {
        writeln!(io.err, "  HTTP/1.1 {}", reply.status)?;
        for (name, value) in &reply.headers.0 {
            writeln!(io.err, "  {name}: {value}")?;
        }
    }
    if reply.status >= 400 {
        writeln!(io.err, "wget: server returned error: HTTP/1.1 {}", reply.status)?;
        return Ok(1);
    }
    match given.value('O').unwrap_or(&page) {
        _ if given.has('x') => {}
        "-" => io.out.write_all(&reply.body)?,
        file => {
            std::fs::write(file, &reply.body).map_err(named(file))?;
            if !given.has('q') {
                writeln!(io.err, "'{file}' saved")?;
            }
        }
    }
    Ok(0)
}

/// `nc`: standard input there, what comes here; `-z` only connects.
pub fn nc(given: &Given, io: &mut Io) -> Outcome {
    let listen = given.has('l');
    let (host, port) = match (&given.rest[..], given.value('p')) {
        ([], Some(port)) if listen => (String::new(), port.to_owned()),
        ([port], None) if listen => (String::new(), port.clone()),
        ([host, port], None) if !listen => (host.clone(), port.clone()),
        _ => return Err(usage()),
    };
    let port: u16 = port.parse().map_err(|_| invalid("the port is no number"))?;
    let (limit, name) =
        (given.value('w').map(|_| seconds(given, 'w', 0)).transpose()?, host.clone());
    let connected = block_on_keeping(async move {
        let connect = async {
            if listen {
                let listener = TcpListener::bind(([0, 0, 0, 0], port).into()).await?;
                listener.accept().await
            } else {
                TcpStream::connect(&host, port).await
            }
        };
        match limit {
            None => connect.await,
            Some(limit) => {
                timeout(limit, connect).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    });
    if given.has('v') {
        match &connected {
            Ok(_) => writeln!(io.err, "{name} ({port}) open")?,
            Err(error) => writeln!(io.err, "nc: {name} ({port}): {}", super::plain(error))?,
        }
    }
    if given.has('z') || given.has('v') && connected.is_err() {
        return Ok(i32::from(connected.is_err()));
    }
    let stream = Rc::new(connected?);
    let sending = stream.clone();
    let mut errors = io.err.clone();
    let input = match &mut io.input {
        Source::Stdin => None,
        piped => {
            let mut bytes = Vec::new();
            piped.take(MOST as u64).read_to_end(&mut bytes)?;
            Some(bytes)
        }
    };
    spawn(async move {
        let send = async {
            if let Some(bytes) = input {
                sending.write_all(&bytes).await?;
            } else {
                let stdin = Stdin::default();
                loop {
                    let bytes = stdin.read(16 << 10).await?;
                    if bytes.is_empty() {
                        break;
                    }
                    sending.write_all(&bytes).await?;
                }
            }
            sending.shutdown_write()
        };
        if let Err(error) = send.await {
            let _nobody_reads = writeln!(errors, "nc: {error}");
        }
    });
    loop {
        let from = stream.clone();
        let next = block_on_keeping(async move {
            match limit {
                None => Some(from.read(16 << 10).await),
                Some(limit) => timeout(limit, from.read(16 << 10)).await,
            }
        });
        let Some(bytes) = next.transpose()?.filter(|b| !b.is_empty()) else { return Ok(0) };
        io.out.write_all(&bytes)?;
        io.out.flush()?;
    }
}

/// `nslookup`.
pub fn nslookup(given: &Given, io: &mut Io) -> Outcome {
    let [name, ..] = &given.rest[..] else { return Err(usage()) };
    let host = name.clone();
    let found = block_on_keeping(async move { resolve(&host, 0).await });
    let found = match found {
        Ok(found) if !found.is_empty() => found,
        _ => {
            writeln!(io.out, "** server can't find {name}: NXDOMAIN")?;
            return Ok(1);
        }
    };
    writeln!(io.out, "Name:\t{name}")?;
    for addr in found {
        writeln!(io.out, "Address: {}", addr.ip())?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use crate::applets::tests::{folder, out, ran};

    /// Answers one connection with `answer`, after it has read something; what it read.
    fn once(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&buffer[..n]).into_owned()
        });
        (port, server)
    }

    #[test]
    fn wget_fetches() {
        let (port, server) = once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        let url = format!("http://127.0.0.1:{port}/a?b");
        assert_eq!(out(&["wget", "-qO-", "--header", "X: y", &url], ""), "hi");
        let asked = server.join().unwrap();
        assert!(
            asked.starts_with("GET /a?b HTTP/1.1\r\n") && asked.contains("\r\nX: y\r\n"),
            "{asked}"
        );

        let (port, server) = once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let file = format!("{}/f", folder("wget"));
        let url = format!("127.0.0.1:{port}/x");
        out(&["wget", "-q", "-O", &file, "--post-data", "k=v", &url], "");
        assert!(server.join().unwrap().starts_with("POST /x"));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "ok");

        let (port, server) = once("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        let (status, _, err) = ran(&["wget", "-qO-", &format!("127.0.0.1:{port}")], "");
        assert_eq!((status, err.as_str()), (1, "wget: server returned error: HTTP/1.1 404\n"));
        server.join().unwrap();
        assert_eq!(ran(&["wget"], "").0, 2);
        assert_eq!(ran(&["wget", "https://x"], "").0, 2);
    }

    #[test]
    fn nc_talks_and_probes() {
        let (port, server) = once("answer");
        assert_eq!(out(&["nc", "127.0.0.1", &port.to_string()], "question"), "answer");
        assert_eq!(server.join().unwrap(), "question");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        assert_eq!(out(&["nc", "-z", "-w", "1", "127.0.0.1", &port], ""), "");
        drop(listener);
        assert_eq!(ran(&["nc", "-z", "127.0.0.1", &port], "").0, 1);
        assert_eq!(ran(&["nc", "127.0.0.1", "x"], "").0, 2);
        assert_eq!(out(&["nslookup", "127.0.0.1"], ""), "Name:\t127.0.0.1\nAddress: 127.0.0.1\n");
    }
}
