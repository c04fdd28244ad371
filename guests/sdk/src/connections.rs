//! Accepting connections: so many at a time, until the program is asked to end.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::args::Args;
use crate::net::{TcpListener, TcpStream};
use crate::runtime::{Either, Flag, race, sleep, spawn, timeout};

/// Listens where the option says; nowhere if it says `-`.
///
/// # Errors
/// If it is no address, or is taken.
pub async fn listen(args: &Args, option: &str) -> Result<Option<TcpListener>, String> {
    listen_at(&args.text(option), option).await
}

/// Listens at `text`, the value of `option`; nowhere if it is `-`.
///
/// # Errors
/// If it is no address, or is taken.
pub async fn listen_at(text: &str, option: &str) -> Result<Option<TcpListener>, String> {
    if text == "-" {
        return Ok(None);
    }
    let addr: SocketAddr = text
        .parse()
        .map_err(|_| format!("--{option}: {text:?} is no address such as 0.0.0.0:8080"))?;
    let listener = TcpListener::bind(addr).await.map_err(|e| format!("{addr}: {e}"))?;
    crate::log::info("listening", &[("for", &option), ("address", &addr)]);
    Ok(Some(listener))
}

/// Runs `serve` for each connection, at most `most` at a time (more wait in the backlog), until
/// `stop`; then waits up to five seconds for those that are open.
pub async fn accept<F: Future<Output = ()> + 'static>(
    listener: TcpListener,
    most: usize,
    stop: &Flag,
    serve: impl Fn(TcpStream) -> F,
) {
    let open = Rc::new(Cell::new(0usize));
    let changed = Rc::new(RefCell::new(Flag::default()));
    let change = || {
        let flag = Flag::default();
        *changed.borrow_mut() = flag.clone();
        flag
    };
    while !stop.raised() {
        if open.get() >= most {
            race(change().wait(), stop.wait()).await;
            continue;
        }
        let stream = match race(listener.accept(), stop.wait()).await {
            Either::First(Ok(stream)) => stream,
            Either::First(Err(error)) => {
                // The caller went away, or there are too many sockets: neither is for ever.
                crate::log::warn("accept-failed", &[("error", &error)]);
                race(sleep(Duration::from_millis(100)), stop.wait()).await;
                continue;
            }
            Either::Second(()) => break,
        };
        open.set(open.get() + 1);
        let (open, changed, work) = (open.clone(), changed.clone(), serve(stream));
        spawn(async move {
            work.await;
            open.set(open.get() - 1);
            changed.borrow().raise();
        });
    }
    drop(listener);
    let drained = async {
        while open.get() > 0 {
            change().wait().await;
        }
    };
    timeout(Duration::from_secs(5), drained).await;
}
