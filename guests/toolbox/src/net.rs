//! The tools that use the network.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::http::{Client, Url};
use podlab_guest::net::{Stdin, TcpListener, TcpStream, resolve};
use podlab_guest::runtime::{block_on, spawn};

use crate::Io;

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text.into())
}

/// `wget [-q] [-O FILE] [-T SECONDS] [--method M] [--post-data TEXT] URL`; prints unless `-O` says where.
pub fn wget(args: &[&str], io: &mut Io<'_>) -> io::Result<i32> {
    let (mut out, mut limit, mut method, mut body, mut url) = ("-", 30u64, "GET", "", None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value =
            || args.next().copied().ok_or_else(|| invalid(format!("{arg} needs a value")));
        match *arg {
            "-q" => {}
            "-O" | "-qO" => out = value()?,
            "-qO-" | "-O-" => out = "-",
            "-T" => limit = value()?.parse().map_err(|_| invalid("-T needs seconds"))?,
            "--method" => method = value()?,
            "--post-data" => (method, body) = ("POST", value()?),
            other => url = Some(other),
        }
    }
    let url = Url::parse(url.ok_or_else(|| invalid("usage: wget URL"))?).map_err(invalid)?;
    let (method, body) = (method.to_owned(), body.as_bytes().to_vec());
    let reply = block_on(async move {
        let mut client = Client::new("wget", Duration::from_secs(limit)).keep(false);
        client.send(&method, &url, &[], &body).await
    })?;
    if reply.status >= 400 {
        eprintln!("wget: server returned error: {}", reply.status);
        return Ok(1);
    }
    match out {
        "-" => io.out.write_all(&reply.body)?,
        file => std::fs::write(file, &reply.body)?,
    }
    Ok(0)
}

/// `nc HOST PORT`, `nc -l PORT`: standard input there, what comes here.
pub fn nc(args: &[&str], io: &mut Io<'_>) -> io::Result<i32> {
    let (listen, host, port) = match args {
        ["-l", port] | ["-l", "-p", port] => (true, "0.0.0.0", *port),
        [host, port] => (false, *host, *port),
        _ => return Err(invalid("usage: nc HOST PORT | nc -l PORT")),
    };
    let port: u16 = port.parse().map_err(|_| invalid("the port is no number"))?;
    let (host, input) = (host.to_owned(), io.input.take());
    let stream = block_on(async move {
        if listen {
            let listener = TcpListener::bind(([0, 0, 0, 0], port).into()).await?;
            listener.accept().await
        } else {
            TcpStream::connect(&host, port).await
        }
    })?;
    let stream = Rc::new(stream);
    let sending = stream.clone();
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
            eprintln!("nc: {error}");
        }
    });
    loop {
        let from = stream.clone();
        let bytes = block_on_beside(async move { from.read(16 << 10).await })?;
        if bytes.is_empty() {
            return Ok(0);
        }
        io.out.write_all(&bytes)?;
        io.out.flush()?;
    }
}

/// Runs a future while the sender lives on.
fn block_on_beside<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
    podlab_guest::runtime::block_on_keeping(future)
}

/// `nslookup NAME`.
pub fn nslookup(args: &[&str], io: &mut Io<'_>) -> io::Result<i32> {
    let [name, ..] = args else { return Err(invalid("usage: nslookup NAME")) };
    let host = (*name).to_owned();
    writeln!(io.out, "Name: {name}")?;
    for addr in block_on(async move { resolve(&host, 0).await })? {
        writeln!(io.out, "Address: {}", addr.ip())?;
    }
    Ok(0)
}
