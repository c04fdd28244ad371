//! Round trips and bulk over TCP with plain `std`, for figures: the same program runs natively and in
//! a world.
//!
//! `server [ADDR]`, `client N SIZE [ADDR]`, `bulk BYTES [ADDR]`, `spin N` (arithmetic only).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

const ADDR: &str = "127.0.0.1:7000";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["server"] => server(ADDR),
        ["server", addr] => server(addr),
        ["client", n, size] => client(n, size, ADDR),
        ["client", n, size, addr] => client(n, size, addr),
        ["spin", rounds] => spin(rounds),
        ["bulk", bytes] => bulk(bytes, ADDR),
        ["bulk", bytes, addr] => bulk(bytes, addr),
        _ => {
            Err("pingpong server [ADDR] | client N SIZE [ADDR] | bulk BYTES [ADDR] | spin N".into())
        }
    };
    if let Err(message) = result {
        eprintln!("pingpong: {message}");
        std::process::exit(2);
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// One connection after the other; the first byte says what it wants: e(cho) or s(ink).
fn server(addr: &str) -> Result<()> {
    let listener = TcpListener::bind(addr)?;
    println!("listening");
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut wish = [0];
        stream.read_exact(&mut wish)?;
        let mut buffer = vec![0; 64 << 10];
        let mut total = 0u64;
        loop {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            total += n as u64;
            if wish == *b"e" {
                stream.write_all(&buffer[..n])?;
            }
        }
        if wish == *b"s" {
            stream.write_all(&total.to_be_bytes())?;
        }
    }
}

fn connect(addr: &str, wish: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.write_all(wish)?;
    Ok(stream)
}

fn client(n: &str, size: &str, addr: &str) -> Result<()> {
    let (n, size): (u64, usize) = (n.parse()?, size.parse()?);
    let mut stream = connect(addr, b"e")?;
    let (message, mut answer) = (vec![7u8; size], vec![0u8; size]);
    let start = Instant::now();
    for _ in 0..n {
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
    }
    println!(
        "{{\"roundTrips\":{n},\"size\":{size},\"seconds\":{:.6}}}",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn bulk(bytes: &str, addr: &str) -> Result<()> {
    let bytes: u64 = bytes.parse()?;
    let mut stream = connect(addr, b"s")?;
    let piece = vec![7u8; 64 << 10];
    let (start, mut left) = (Instant::now(), bytes);
    while left > 0 {
        let n = left.min(piece.len() as u64);
        stream.write_all(&piece[..n as usize])?;
        left -= n;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut total = [0; 8];
    stream.read_exact(&mut total)?;
    if u64::from_be_bytes(total) != bytes {
        return Err("bytes were lost".into());
    }
    println!("{{\"bytes\":{bytes},\"seconds\":{:.6}}}", start.elapsed().as_secs_f64());
    Ok(())
}

/// A tight loop: what a program computes between two host calls.
fn spin(rounds: &str) -> Result<()> {
    let rounds: u64 = rounds.parse()?;
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..rounds {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    println!("{state:x}");
    Ok(())
}
