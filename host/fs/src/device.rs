//! Special files.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use podlab_sim::Rng;
use podlab_sim::sync::Signal;

use crate::errno::Errno;

/// What a special file does.
#[derive(Clone)]
pub enum Device {
    /// `/dev/null`: takes everything, gives nothing.
    Null,
    /// `/dev/zero`: gives zeros.
    Zero,
    /// `/dev/full`: gives zeros, and is full.
    Full,
    /// `/dev/urandom`, from a random stream of the world.
    Random(Arc<Mutex<Rng>>),
    /// `/dev/signals`: signal numbers as bytes, as with signalfd. Opening it installs a handler.
    Signals(SignalQueue),
    /// A file whose contents are made when it is read, as in `/proc`.
    Text(Arc<dyn Fn() -> String + Send + Sync>),
}

/// The most one read of an endless device gives, in bytes.
const CHUNK: usize = 64 << 10;

impl Device {
    /// A random device over `rng`.
    pub fn random(rng: Rng) -> Device {
        Device::Random(Arc::new(Mutex::new(rng)))
    }

    /// Reads; an empty answer is the end, or for signals "nothing yet".
    pub(crate) fn read(&self, len: usize, offset: u64) -> Bytes {
        match self {
            Device::Null => Bytes::new(),
            Device::Zero | Device::Full => Bytes::from(vec![0; len.min(CHUNK)]),
            Device::Random(rng) => {
                let mut out = vec![0; len.min(CHUNK)];
                rng.lock().expect("device lock").fill(&mut out);
                out.into()
            }
            Device::Signals(queue) => queue.take(len),
            Device::Text(make) => {
                let text = make().into_bytes();
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                let end = start.saturating_add(len).min(text.len());
                Bytes::copy_from_slice(&text[start..end])
            }
        }
    }

    pub(crate) fn write(&self, len: usize) -> Result<usize, Errno> {
        match self {
            Device::Null | Device::Zero | Device::Random(_) => Ok(len),
            Device::Full => Err(Errno::InsufficientSpace),
            Device::Signals(_) | Device::Text(_) => Err(Errno::NotPermitted),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Device::Signals(queue) => queue.len() as u64,
            Device::Text(make) => make().len() as u64,
            _ => 0,
        }
    }
}

/// Signals that wait for a program. Cheap to clone.
#[derive(Clone, Default)]
pub struct SignalQueue {
    state: Arc<Mutex<Pending>>,
    arrived: Signal,
}

#[derive(Default)]
struct Pending {
    numbers: VecDeque<u8>,
    opened: bool,
}

impl SignalQueue {
    /// No signals, no handler.
    pub fn new() -> SignalQueue {
        SignalQueue::default()
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.state.lock().expect("signals lock")
    }

    /// Sends a signal. A signal that is pending already is not added (as for standard signals).
    pub fn push(&self, number: u8) {
        {
            let mut pending = self.lock();
            if !pending.numbers.contains(&number) {
                pending.numbers.push_back(number);
            }
        }
        self.arrived.notify();
    }

    /// How many are pending.
    pub fn len(&self) -> usize {
        self.lock().numbers.len()
    }

    /// Whether none is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the program has installed a handler, that is, opened `/dev/signals`.
    pub fn opened(&self) -> bool {
        self.lock().opened
    }

    pub(crate) fn open(&self) {
        self.lock().opened = true;
    }

    /// Takes up to `max` pending signals.
    pub fn take(&self, max: usize) -> Bytes {
        let mut pending = self.lock();
        let n = pending.numbers.len().min(max);
        pending.numbers.drain(..n).collect::<Vec<u8>>().into()
    }

    /// Waits until one is pending.
    pub async fn ready(&self) {
        self.arrived.until(|| (!self.is_empty()).then_some(())).await;
    }
}
