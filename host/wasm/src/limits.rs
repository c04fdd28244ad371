//! How much memory a program may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wasmtime::{ResourceLimiter, Result};

use crate::metering::Meter;

/// What a program may take when its container sets no limit, in bytes.
const DEFAULT_MEMORY: usize = 1 << 30;
/// How many bytes of new memory cost one unit of fuel: the kernel has to clear them.
const BYTES_PER_FUEL: u64 = 16;
/// No table of a program is longer.
const MAX_TABLE: usize = 1 << 20;

/// The message of an end for lack of memory; the kubelet shows it as `OOMKilled`.
#[derive(Debug)]
pub(crate) struct OutOfMemory {
    pub(crate) wanted: usize,
    pub(crate) limit: usize,
}

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "out of memory: {} bytes wanted, the limit is {}", self.wanted, self.limit)
    }
}

impl std::error::Error for OutOfMemory {}

/// The memory of one program. A limit of the container ends the program, as the kernel's
/// out-of-memory killer does; a program without one is told that there is no more.
pub struct Limits {
    limit: Option<usize>,
    used: usize,
    shared: Arc<AtomicU64>,
    meter: Meter,
}

impl Limits {
    pub(crate) fn new(limit: Option<u64>, shared: Arc<AtomicU64>, meter: Meter) -> Limits {
        let limit = limit.map(|l| usize::try_from(l).unwrap_or(usize::MAX));
        Limits { limit, used: 0, shared, meter }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let wanted = self.used - current.min(self.used) + desired;
        if let Some(limit) = self.limit
            && wanted > limit
        {
            return Err(wasmtime::Error::new(OutOfMemory { wanted, limit }));
        }
        if wanted > DEFAULT_MEMORY.max(self.limit.unwrap_or(0))
            || maximum.is_some_and(|m| desired > m)
        {
            return Ok(false);
        }
        if current > 0 {
            self.meter.owe((desired.saturating_sub(current)) as u64 / BYTES_PER_FUEL);
        }
        self.used = wanted;
        self.shared.store(wanted as u64, Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        Ok(desired <= MAX_TABLE && maximum.is_none_or(|m| desired <= m))
    }

    fn instances(&self) -> usize {
        256
    }

    fn tables(&self) -> usize {
        256
    }

    fn memories(&self) -> usize {
        16
    }
}
