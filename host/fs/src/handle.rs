//! Open files and directories, and what is done to one of them.

use bytes::Bytes;
use podlab_trace::FileOp;

use crate::device::Device;
use crate::errno::Errno;
use crate::mounts::{FileEvent, Mounts, Node, Trail};
use crate::volume::{FileType, Ino, Stat, Volume};

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Make it if it is missing.
    pub create: bool,
    /// Fail if it exists.
    pub exclusive: bool,
    /// Empty it.
    pub truncate: bool,
    /// Fail if it is not a directory.
    pub directory: bool,
    /// Follow a symbolic link at the end of the path.
    pub follow: bool,
}

/// An open file, directory or device.
pub struct Handle {
    pub(crate) mounts: Mounts,
    pub(crate) trail: Trail,
    read: bool,
    pub(crate) write: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Node::Inode { volume, ino, .. } = self.trail.node() {
            volume.lock().close(*ino);
        }
    }
}

impl Handle {
    pub(crate) fn new(mounts: Mounts, trail: Trail) -> Handle {
        Handle::opened(mounts, trail, true, true)
    }

    pub(crate) fn opened(mounts: Mounts, trail: Trail, read: bool, write: bool) -> Handle {
        if let Node::Inode { volume, ino, .. } = trail.node() {
            volume.lock().open(*ino);
        }
        Handle { mounts, trail, read, write }
    }

    /// Another handle of the same thing.
    pub fn duplicate(&self) -> Handle {
        Handle::opened(self.mounts.clone(), self.trail.clone(), self.read, self.write)
    }

    /// The absolute path it was opened by.
    pub fn path(&self) -> &str {
        match self.trail.path() {
            "" => "/",
            path => path,
        }
    }

    /// What it is.
    pub fn kind(&self) -> FileType {
        self.trail.node().kind()
    }

    /// Whether it was opened for reading and for writing.
    pub fn mode(&self) -> (bool, bool) {
        (self.read, self.write)
    }

    /// The queue of signals, if this is `/dev/signals`.
    pub fn signals(&self) -> Option<&crate::SignalQueue> {
        match self.trail.node() {
            Node::Device(Device::Signals(queue)) => Some(queue),
            _ => None,
        }
    }

    /// How much longer a write takes now, in ns of virtual time: the caller waits that long.
    pub fn write_delay(&self) -> u64 {
        self.trail.node().volume().map_or(0, |v| v.fault().slow_ns)
    }

    fn inode(&self) -> Result<(&Volume, Ino, bool), Errno> {
        match self.trail.node() {
            Node::Inode { volume, ino, read_only } => Ok((volume, *ino, *read_only)),
            Node::Device(_) => Err(Errno::Invalid),
        }
    }

    /// Reads up to `len` bytes at `offset`; empty at the end (or, for signals, if none waits).
    ///
    /// # Errors
    /// If it is no file, or not open for reading.
    pub fn read(&self, len: usize, offset: u64) -> Result<Bytes, Errno> {
        if !self.read {
            return Err(Errno::BadDescriptor);
        }
        let (volume, ino) = match self.trail.node() {
            Node::Device(device) => return Ok(device.read(len, offset)),
            Node::Inode { volume, ino, .. } => (volume, *ino),
        };
        let (bytes, written) = {
            let tree = volume.lock();
            (tree.read(ino, offset, len)?, tree.written(ino))
        };
        // A follower at the end of its file looks often; that is nothing to tell.
        if !bytes.is_empty() {
            let mut event = FileEvent::new(FileOp::Read, self.trail.path(), Some(volume));
            (event.offset, event.len, event.payload) = (offset, bytes.len() as u64, &bytes);
            self.mounts.emit(event);
            self.mounts.trace.took(self.mounts.place, written);
        }
        Ok(bytes)
    }

    /// Writes at `offset`.
    ///
    /// # Errors
    /// If it is not open for writing, read-only or full.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
        self.write_at(bytes, Some(offset))
    }

    /// Writes at the end, wherever that is now.
    ///
    /// # Errors
    /// As [`write`](Handle::write).
    pub fn append(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.write_at(bytes, None)
    }

    fn write_at(&self, bytes: &[u8], offset: Option<u64>) -> Result<usize, Errno> {
        if !self.write {
            return Err(Errno::BadDescriptor);
        }
        let (volume, ino, read_only) = match self.trail.node() {
            Node::Device(device) => return device.write(bytes.len()),
            Node::Inode { volume, ino, read_only } => (volume, *ino, *read_only),
        };
        let (result, offset) = {
            let mut tree = volume.lock();
            let offset = offset.unwrap_or_else(|| tree.size(ino));
            let allowed = if read_only { Err(Errno::ReadOnly) } else { tree.may_write() };
            (allowed.and_then(|()| tree.write(ino, offset, bytes, volume.now())), offset)
        };
        let mut event = FileEvent::new(FileOp::Write, self.trail.path(), Some(volume));
        (event.offset, event.len, event.payload) = (offset, bytes.len() as u64, bytes);
        event.error = result.err();
        let seq = self.mounts.emit(event);
        result?;
        volume.lock().set_written(ino, seq);
        volume.changed().notify();
        Ok(bytes.len())
    }

    /// Cuts or extends it.
    ///
    /// # Errors
    /// As [`write`](Handle::write).
    pub fn set_size(&self, size: u64) -> Result<(), Errno> {
        if !self.write {
            return Err(Errno::BadDescriptor);
        }
        let (volume, ino, read_only) = self.inode()?;
        let result = {
            let mut tree = volume.lock();
            // Making a file shorter works on a full disk too.
            let allowed = match size <= tree.size(ino) {
                _ if read_only => Err(Errno::ReadOnly),
                true => tree.may_change(),
                false => tree.may_write(),
            };
            allowed.and_then(|()| tree.set_size(ino, size, volume.now()))
        };
        let mut event = FileEvent::new(FileOp::Truncate, self.trail.path(), Some(volume));
        (event.len, event.error) = (size, result.err());
        self.mounts.emit(event);
        volume.changed().notify();
        result
    }

    /// What is known about it.
    pub fn stat(&self) -> Stat {
        stat_of(self.trail.node())
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.stat().size
    }

    /// Sets its times, in ns since 1970; `None` leaves one as it is.
    ///
    /// # Errors
    /// If it is read-only.
    pub fn set_times(&self, atime: Option<u64>, mtime: Option<u64>) -> Result<(), Errno> {
        let (volume, ino, read_only) = self.inode()?;
        let mut tree = volume.lock();
        if read_only {
            return Err(Errno::ReadOnly);
        }
        tree.may_change()?;
        tree.set_times(ino, atime, mtime, volume.now());
        Ok(())
    }

    /// Whether both are the same file.
    pub fn is_same(&self, other: &Handle) -> bool {
        match (self.trail.node(), other.trail.node()) {
            (Node::Inode { volume: a, ino: i, .. }, Node::Inode { volume: b, ino: j, .. }) => {
                a.is(b) && i == j
            }
            _ => false,
        }
    }

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// If it is no directory.
    pub fn entries(&self) -> Result<Vec<(String, FileType, Ino)>, Errno> {
        let (volume, ino, _) = self.inode().map_err(|_| Errno::NotDirectory)?;
        let mut entries = volume.lock().entries(ino)?;
        for (name, kind, _) in &mut entries {
            if let Some(mount) = self.mounts.table.get(&format!("{}/{name}", self.trail.path())) {
                *kind = mount.node().kind();
            }
        }
        Ok(entries)
    }
}

pub(crate) fn stat_of(node: &Node) -> Stat {
    match node {
        Node::Inode { volume, ino, .. } => volume.lock().stat(*ino),
        Node::Device(device) => Stat {
            volume: 0,
            ino: 0,
            kind: FileType::Device,
            mode: 0o666,
            links: 1,
            size: device.size(),
            atime: 0,
            mtime: 0,
            ctime: 0,
        },
    }
}
