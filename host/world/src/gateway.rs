//! Connections between the outside and the world's network.
//!
//! The outside (a browser, kubectl, a scenario's client) lives on real time, or on the time of
//! whoever drives the world. What it sends enters as inputs; what comes back is left here, with
//! the instant at which it arrived, until the driver takes it. Nobody inside ever waits for the
//! outside to read: that would let real time into the world.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use podlab_net::{Stack, TcpStream};
use podlab_sim::sync::{Receiver, Sender, channel};
use podlab_sim::{Handle, Task};

/// What waits to be taken is dropped beyond this many bytes: the outside does not read.
const MAX_WAITING: usize = 64 << 20;
/// How many connections from outside may be open at once.
const MAX_OPEN: usize = 4096;
/// How long a connection from outside is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Something that came out of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideEvent {
    /// Which connection (or exec).
    pub id: u64,
    /// When, in ns of virtual time.
    pub at: u64,
    /// What.
    pub what: Outside,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outside {
    /// The connection stands.
    Opened,
    /// Bytes (of an exec: its standard output and error).
    Data(Bytes),
    /// The other side sends no more. Nothing follows.
    Ended,
    /// It failed: "refused", "timeout", "NXDOMAIN", ... Nothing follows.
    Failed(String),
    /// The program of an exec ended with this code. Nothing follows.
    Exited(i32),
}

/// The gateway of one world.
#[derive(Clone)]
pub struct Gateway {
    sim: Handle,
    stack: Stack,
    outbox: Outbox,
    open: Arc<Mutex<BTreeMap<u64, Open>>>,
}

/// Where what came out waits. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    sim: Handle,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<OutsideEvent>,
    bytes: usize,
}

struct Open {
    task: Task,
    sender: Option<Sender<Bytes>>,
}

impl Outbox {
    /// Leaves something for the outside, at the current instant.
    pub fn put(&self, id: u64, what: Outside) {
        let at = self.sim.now().as_nanos();
        let mut waiting = self.waiting.lock().expect("outbox lock");
        let size = if let Outside::Data(bytes) = &what { bytes.len() } else { 0 };
        if waiting.bytes + size > MAX_WAITING {
            // The outside is gone or asleep. Its stream is broken now; the world is not.
            if size > 0 {
                return;
            }
        }
        waiting.bytes += size;
        waiting.events.push_back(OutsideEvent { id, at, what });
    }

    /// Takes all that waits.
    pub fn take(&self) -> Vec<OutsideEvent> {
        let mut waiting = self.waiting.lock().expect("outbox lock");
        waiting.bytes = 0;
        waiting.events.drain(..).collect()
    }
}

impl Gateway {
    /// A gateway whose clients stand at `stack`, outside the cluster.
    pub fn new(sim: &Handle, stack: Stack) -> Gateway {
        let outbox = Outbox { sim: sim.clone(), waiting: Arc::default() };
        Gateway { sim: sim.clone(), stack, outbox, open: Arc::default() }
    }

    /// Where what came out waits.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Opens a connection to `service.namespace:port` or `address:port`.
    ///
    /// # Errors
    /// If the target is not of that form, or too many are open.
    pub fn open(&self, id: u64, target: &str) -> Result<(), String> {
        self.open_from(id, self.stack.clone(), target)
    }

    /// Opens a connection that begins at `stack`.
    ///
    /// # Errors
    /// As [`open`](Gateway::open).
    pub fn open_from(&self, id: u64, stack: Stack, target: &str) -> Result<(), String> {
        let (host, port) = parse(target)?;
        let mut open = self.open.lock().expect("gateway lock");
        open.retain(|_, o| !o.task.is_finished());
        if open.len() >= MAX_OPEN {
            return Err(format!("{MAX_OPEN} connections from outside are open already"));
        }
        if open.contains_key(&id) {
            return Err(format!("connection {id} is open already"));
        }
        let (sender, receiver) = channel();
        let (sim, outbox) = (self.sim.clone(), self.outbox.clone());
        let task = self.sim.spawn(async move {
            if let Err(reason) = carry(&sim, &stack, &outbox, id, &host, port, receiver).await {
                outbox.put(id, Outside::Failed(reason));
            }
        });
        open.insert(id, Open { task, sender: Some(sender) });
        Ok(())
    }

    /// Sends bytes over a connection. Bytes for one that has ended go nowhere.
    pub fn send(&self, id: u64, bytes: Bytes) {
        let open = self.open.lock().expect("gateway lock");
        let sender = open.get(&id).and_then(|o| o.sender.clone());
        drop(open);
        if let Some(sender) = sender {
            // A receiver that is gone means that the connection has ended; its end was told.
            let _ = sender.send(bytes);
        }
    }

    /// The outside sends no more.
    pub fn shut(&self, id: u64) {
        let sender = {
            let mut open = self.open.lock().expect("gateway lock");
            open.get_mut(&id).and_then(|o| o.sender.take())
        };
        drop(sender);
    }

    /// The outside has gone away: the connection is closed.
    pub fn drop_connection(&self, id: u64) {
        let gone = self.open.lock().expect("gateway lock").remove(&id);
        if let Some(gone) = gone {
            gone.task.abort();
        }
    }
}

fn parse(target: &str) -> Result<(String, u16), String> {
    let wrong =
        || format!("{target:?} is not a target: write service.namespace:port or address:port");
    let (host, port) = target.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || port == 0 || host.len() > 253 {
        return Err(wrong());
    }
    Ok((host.into(), port))
}

/// `web` and `web.shop` are Services; anything longer is a full name.
fn full_name(host: &str) -> String {
    match host.split('.').count() {
        1 => format!("{host}.default.svc.cluster.local"),
        2 => format!("{host}.svc.cluster.local"),
        3 if host.ends_with(".svc") => format!("{host}.cluster.local"),
        _ => host.into(),
    }
}

async fn carry(
    sim: &Handle,
    stack: &Stack,
    outbox: &Outbox,
    id: u64,
    host: &str,
    port: u16,
    mut receiver: Receiver<Bytes>,
) -> Result<(), String> {
    let address: IpAddr = match host.parse() {
        Ok(address) => address,
        Err(_) => {
            let found = stack.resolve(&full_name(host)).await.map_err(|e| e.to_string())?;
            *found.first().ok_or("NXDOMAIN")?
        }
    };
    let connect = stack.connect(SocketAddr::new(address, port));
    let stream = match sim.timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok(stream)) => Arc::new(stream),
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("timeout".into()),
    };
    outbox.put(id, Outside::Opened);
    // Both directions at once; the writer ends with this task.
    let writer = {
        let stream = stream.clone();
        sim.spawn(async move {
            while let Some(bytes) = receiver.recv().await {
                if stream.write_all(bytes).await.is_err() {
                    return;
                }
            }
            // A connection that has ended has nothing left to shut.
            let _ = stream.shutdown_write();
        })
    };
    let _writer = AbortOnDrop(writer);
    read(&stream, outbox, id).await
}

async fn read(stream: &TcpStream, outbox: &Outbox, id: u64) -> Result<(), String> {
    loop {
        let bytes = stream.read(64 << 10).await.map_err(|e| e.to_string())?;
        if bytes.is_empty() {
            outbox.put(id, Outside::Ended);
            return Ok(());
        }
        outbox.put(id, Outside::Data(bytes));
    }
}

struct AbortOnDrop(Task);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_services_or_addresses() {
        assert_eq!(parse("web:80"), Ok(("web".into(), 80)));
        assert_eq!(parse("10.0.0.1:8080"), Ok(("10.0.0.1".into(), 8080)));
        assert_eq!(parse("[::1]:80"), Ok(("::1".into(), 80)));
        for bad in ["web", "web:", ":80", "web:0", "web:70000"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(full_name("web"), "web.default.svc.cluster.local");
        assert_eq!(full_name("web.shop"), "web.shop.svc.cluster.local");
        assert_eq!(full_name("web.shop.svc"), "web.shop.svc.cluster.local");
    }
}
