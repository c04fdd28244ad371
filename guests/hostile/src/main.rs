//! What a hostile program does, one way an argument: a world must contain each of them. And the
//! decent programs that must not notice.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("spin") => {
            let mut x = 0u64;
            loop {
                x = black_box(x.wrapping_add(1));
            }
        }
        Some("trap") => panic!("on purpose"),
        Some("recurse") => println!("{}", recurse(1)),
        Some("allocate") => {
            let mut kept = Vec::new();
            loop {
                kept.push(black_box(vec![1u8; 1 << 20]));
            }
        }
        Some("flood") => flood(&std::env::args().nth(2).unwrap_or("127.0.0.1:7001".into())),
        Some("fill-disk") => fill(),
        Some("leak-handles") => {
            let mut kept = Vec::new();
            loop {
                match std::fs::File::open("/") {
                    Ok(file) => kept.push(file),
                    Err(error) => return println!("after {} handles: {error}", kept.len()),
                }
            }
        }
        // A poll that is always ready at once must still let time pass.
        Some("zero-poll") => loop {
            std::thread::sleep(Duration::from_nanos(0));
            podlab_zero();
        },
        Some("shout") => loop {
            println!("{}", "x".repeat(1000));
        },
        Some("leak-files") => leak_files(),
        // Decent programs.
        Some("pace") => pace(),
        Some("doze") => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        Some("signals") => signals(),
        Some("cat") => {
            let mut text = String::new();
            match std::io::stdin().read_to_string(&mut text) {
                Ok(n) => println!("{n} bytes: {text}"),
                Err(error) => println!("{error}"),
            }
        }
        Some("exit") => {
            let code = std::env::args().nth(2).and_then(|c| c.parse().ok());
            std::process::exit(code.unwrap_or(0));
        }
        _ => {
            eprintln!(
                "hostile spin | trap | recurse | allocate | flood [ADDR] | fill-disk | leak-handles | leak-files \
                 | zero-poll | shout | pace | doze | signals | cat | exit CODE"
            );
            std::process::exit(2);
        }
    }
}

/// Looks at a socket that has nothing, and returns at once.
fn podlab_zero() {
    thread_local! {
        static SOCKET: Option<std::net::UdpSocket> = {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").ok();
            socket.inspect(|s| { let _fine = s.set_nonblocking(true); })
        };
    }
    SOCKET.with(|s| {
        if let Some(socket) = s {
            let _nothing = black_box(socket.recv(&mut [0; 1]));
        }
    });
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(n: u64) -> u64 {
    let block = black_box([n; 64]);
    recurse(block[7] + 1) + block[0]
}

fn flood(addr: &str) {
    let listener = TcpListener::bind(addr);
    let mut kept = Vec::new();
    loop {
        match TcpStream::connect(addr) {
            Ok(stream) => kept.push(stream),
            Err(error) => {
                println!("after {} connections: {error}", kept.len());
                drop(listener);
                return;
            }
        }
    }
}

fn fill() {
    let piece = vec![0u8; 1 << 20];
    let mut written = 0u64;
    let mut file = match std::fs::File::create("/fill") {
        Ok(file) => file,
        Err(error) => return println!("no file: {error}"),
    };
    loop {
        match file.write(&piece) {
            Ok(n) => written += n as u64,
            Err(error) => return println!("after {written} bytes: {error}"),
        }
    }
}

/// Small files without end: it is names, not bytes, that fill the disk.
fn leak_files() {
    for n in 0u64.. {
        if let Err(error) = std::fs::write(format!("/file-{n}"), []) {
            return println!("after {n} files: {error}");
        }
    }
}

/// A line a second, with the milliseconds it came late.
fn pace() {
    let start = Instant::now();
    for n in 1u32.. {
        std::thread::sleep((Duration::from_secs(1) * n).saturating_sub(start.elapsed()));
        let late = start.elapsed().saturating_sub(Duration::from_secs(1) * n);
        println!("tick {n} late {} ms", late.as_millis());
    }
}

/// Says which signals come; SIGTERM ends it in its own way.
fn signals() {
    let mut file = match std::fs::File::open("/dev/signals") {
        Ok(file) => file,
        Err(error) => return println!("no signals: {error}"),
    };
    println!("waiting");
    let mut signal = [0];
    while let Ok(1) = file.read(&mut signal) {
        println!("signal {}", signal[0]);
        if signal == [15] {
            std::process::exit(0);
        }
    }
}
