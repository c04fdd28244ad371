//! A backend that does what its path says, well or badly.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Sends a text, says that nothing follows, and reads to the end.
pub fn ask(port: u16, text: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // Who refuses early may not read it all.
    let _refused = stream.write_all(text.as_bytes());
    let _gone = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A server on a thread.
pub struct Backend {
    pub port: u16,
    count: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Backend {
    pub fn start(name: &'static str) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::<AtomicUsize>::default();
        let open = Arc::<Mutex<Vec<TcpStream>>>::default();
        let (counted, kept) = (count.clone(), open.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                kept.lock().unwrap().push(stream.try_clone().unwrap());
                std::thread::spawn(move || while serve(name, &stream) {});
            }
        });
        Backend { port, count, open }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Closes all that are open.
    pub fn close_idle(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            // It may be closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Answers one request; whether there may be another.
fn serve(name: &str, mut stream: &TcpStream) -> bool {
    let mut seen = Vec::new();
    let head = loop {
        if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = seen.split_off(end + 4);
            break String::from_utf8(std::mem::replace(&mut seen, rest)).unwrap();
        }
        if !more(stream, &mut seen) {
            return false;
        }
    };
    let field = |name: &str| {
        let lower = head.to_lowercase();
        let line = lower.lines().find_map(|l| l.strip_prefix(name).map(str::to_owned));
        line.map(|l| l.trim().to_owned())
    };
    if let Some(length) = field("content-length:") {
        while seen.len() < length.parse().unwrap() && more(stream, &mut seen) {}
    } else if field("transfer-encoding:").is_some() {
        while !seen.ends_with(b"0\r\n\r\n") && more(stream, &mut seen) {}
        seen = unchunk(&seen);
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let body = match path {
        "/echo" => seen,
        "/never" => {
            std::thread::sleep(Duration::from_secs(2));
            return false;
        }
        "/slow" => {
            std::thread::sleep(Duration::from_millis(700));
            format!("{name}: {head}").into_bytes()
        }
        "/closed" | "/nonsense" | "/until-close" | "/cut" => {
            let text = match path {
                "/closed" => "",
                "/nonsense" => "hello, this is no HTTP\r\n\r\n",
                "/until-close" => "HTTP/1.1 200 OK\r\n\r\nall of it",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            };
            let _gone = stream.write_all(text.as_bytes());
            let _closed = stream.shutdown(Shutdown::Both);
            return false;
        }
        _ => format!("{name}: {head}").into_bytes(),
    };
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    if !head.starts_with("HEAD ") {
        answer.extend(body);
    }
    stream.write_all(&answer).is_ok()
}

fn more(mut stream: &TcpStream, seen: &mut Vec<u8>) -> bool {
    let mut piece = [0; 4096];
    let n = stream.read(&mut piece).unwrap_or(0);
    seen.extend(&piece[..n]);
    n > 0
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = bytes.iter().position(|b| *b == b'\n').unwrap();
        let line = std::str::from_utf8(&bytes[..end]).unwrap().trim();
        let size = usize::from_str_radix(line, 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend(&bytes[end + 1..end + 1 + size]);
        bytes = &bytes[end + 3 + size..];
    }
}
