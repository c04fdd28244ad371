//! Open files and directories: all operations of `wasi:filesystem`.

use bytes::Bytes;
use podlab_trace::FileOp;

use crate::device::Device;
use crate::errno::Errno;
use crate::mounts::{FileEvent, Found, Mounts, Node, Trail};
use crate::volume::{FileType, Ino, NewNode, Stat, Volume};

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
    mounts: Mounts,
    trail: Trail,
    read: bool,
    write: bool,
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

    fn opened(mounts: Mounts, trail: Trail, read: bool, write: bool) -> Handle {
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
            (allowed.and_then(|()| tree.write_raw(ino, offset, bytes, volume.now())), offset)
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
            let allowed = if read_only { Err(Errno::ReadOnly) } else { tree.may_write() };
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
        if read_only {
            return Err(Errno::ReadOnly);
        }
        volume.lock().set_times(ino, atime, mtime, volume.now());
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

    fn find(&self, path: &str, follow: bool) -> Result<Found, Errno> {
        if self.kind() != FileType::Dir {
            return Err(Errno::NotDirectory);
        }
        self.mounts.walk(&self.trail, path, follow)
    }

    /// Opens what `path` leads to.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn open_at(&self, path: &str, options: OpenOptions) -> Result<Handle, Errno> {
        let found = self.find(path, options.follow)?;
        let absolute = absolute(&found);
        let (node, created) = match found.node {
            Some(_) if options.exclusive && options.create => return Err(Errno::Exist),
            Some(node) => (node, false),
            None if !options.create => {
                self.failed(FileOp::Open, &absolute, &found.dir, Errno::NoEntry);
                return Err(Errno::NoEntry);
            }
            None if options.directory || path.ends_with('/') => return Err(Errno::IsDirectory),
            None => (self.make(&found, NewNode::File, 0o644, FileOp::Create)?, true),
        };
        let kind = node.kind();
        match kind {
            FileType::Symlink => return Err(Errno::Loop),
            FileType::Dir if options.write || options.truncate => return Err(Errno::IsDirectory),
            FileType::Dir => {}
            _ if options.directory => return Err(Errno::NotDirectory),
            _ => {}
        }
        if let Node::Inode { volume, read_only, .. } = &node {
            let closed = *read_only || volume.lock().read_only || volume.fault().read_only;
            if (options.write || options.truncate) && closed {
                self.failed(FileOp::Open, &absolute, &found.dir, Errno::ReadOnly);
                return Err(Errno::ReadOnly);
            }
        }
        if let Node::Device(Device::Signals(queue)) = &node {
            queue.open();
        }
        let mut trail = found.dir.clone();
        if found.name != "." {
            trail.0.push((absolute.clone(), node));
        }
        // A directory hands on what it may do; `write` for it means changing entries.
        let write = if kind == FileType::Dir { self.write } else { options.write };
        let handle = Handle::opened(
            self.mounts.clone(),
            trail,
            options.read || kind == FileType::Dir,
            write,
        );
        if kind == FileType::File && !created {
            self.mounts.emit(FileEvent::new(FileOp::Open, &absolute, handle.trail.node().volume()));
        }
        if options.truncate && !created && kind == FileType::File {
            let truncated = Handle::opened(self.mounts.clone(), handle.trail.clone(), false, true);
            truncated.set_size(0)?;
        }
        Ok(handle)
    }

    fn make(&self, found: &Found, new: NewNode, mode: u32, op: FileOp) -> Result<Node, Errno> {
        let Node::Inode { volume, ino, read_only } = found.dir.node().clone() else {
            return Err(Errno::NotDirectory);
        };
        let to = if let NewNode::Symlink(target) = &new { target.clone() } else { String::new() };
        let result = {
            let mut tree = volume.lock();
            let allowed = if read_only { Err(Errno::ReadOnly) } else { tree.may_write() };
            allowed.and_then(|()| tree.make(ino, &found.name, new, mode, volume.now()))
        };
        let path = absolute(found);
        let mut event = FileEvent::new(op, &path, Some(&volume));
        (event.to, event.error) = (&to, result.as_ref().err().copied());
        let seq = self.mounts.emit(event);
        let ino = result?;
        volume.lock().set_written(ino, seq);
        volume.changed().notify();
        Ok(Node::Inode { volume, ino, read_only: false })
    }

    fn failed(&self, op: FileOp, path: &str, dir: &Trail, error: Errno) {
        let mut event = FileEvent::new(op, path, dir.node().volume());
        event.error = Some(error);
        self.mounts.emit(event);
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn create_directory_at(&self, path: &str) -> Result<(), Errno> {
        let found = self.find(path.trim_end_matches('/'), false)?;
        if found.node.is_some() {
            return Err(Errno::Exist);
        }
        self.make(&found, NewNode::Dir, 0o755, FileOp::Mkdir).map(|_| ())
    }

    /// Makes a symbolic link at `path` that leads to `target`.
    ///
    /// # Errors
    /// Those of symlink(2).
    pub fn symlink_at(&self, target: &str, path: &str) -> Result<(), Errno> {
        let found = self.find(path, false)?;
        if found.node.is_some() {
            return Err(Errno::Exist);
        }
        if target.is_empty() {
            return Err(Errno::NoEntry);
        }
        self.make(&found, NewNode::Symlink(target.into()), 0o777, FileOp::Link).map(|_| ())
    }

    /// What is known about what `path` leads to.
    ///
    /// # Errors
    /// Those of stat(2).
    pub fn stat_at(&self, path: &str, follow: bool) -> Result<Stat, Errno> {
        let found = self.find(path, follow)?;
        found.node.as_ref().map(stat_of).ok_or(Errno::NoEntry)
    }

    /// See [`set_times`](Handle::set_times).
    ///
    /// # Errors
    /// Those of utimensat(2).
    pub fn set_times_at(
        &self,
        path: &str,
        follow: bool,
        atime: Option<u64>,
        mtime: Option<u64>,
    ) -> Result<(), Errno> {
        match self.find(path, follow)?.node.ok_or(Errno::NoEntry)? {
            Node::Inode { read_only: true, .. } => Err(Errno::ReadOnly),
            Node::Inode { volume, ino, .. } => {
                volume.lock().set_times(ino, atime, mtime, volume.now());
                Ok(())
            }
            Node::Device(_) => Ok(()),
        }
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// Those of readlink(2).
    pub fn readlink_at(&self, path: &str) -> Result<String, Errno> {
        match self.find(path, false)?.node.ok_or(Errno::NoEntry)? {
            Node::Inode { volume, ino, .. } => volume.lock().readlink(ino),
            Node::Device(_) => Err(Errno::Invalid),
        }
    }

    /// Gives a file a further name.
    ///
    /// # Errors
    /// Those of link(2).
    pub fn link_at(&self, path: &str, follow: bool, to: &Handle, new: &str) -> Result<(), Errno> {
        let old = self.find(path, follow)?;
        let new = to.find(new, false)?;
        let Some(Node::Inode { volume, ino, .. }) = &old.node else { return Err(Errno::NoEntry) };
        let Node::Inode { volume: target, ino: dir, read_only } = new.dir.node() else {
            return Err(Errno::NotDirectory);
        };
        if new.node.is_some() {
            return Err(Errno::Exist);
        }
        if !volume.is(target) {
            return Err(Errno::CrossDevice);
        }
        let result = {
            let mut tree = volume.lock();
            let allowed = if *read_only { Err(Errno::ReadOnly) } else { tree.may_write() };
            allowed.and_then(|()| tree.link(*ino, *dir, &new.name, volume.now()))
        };
        let (from, to_path) = (absolute(&old), absolute(&new));
        let mut event = FileEvent::new(FileOp::Link, &from, Some(volume));
        (event.to, event.error) = (&to_path, result.err());
        self.mounts.emit(event);
        volume.changed().notify();
        result
    }

    /// Removes a file.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub fn unlink_file_at(&self, path: &str) -> Result<(), Errno> {
        if path.ends_with('/') {
            return Err(Errno::NotDirectory);
        }
        self.remove(path, false)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Those of rmdir(2).
    pub fn remove_directory_at(&self, path: &str) -> Result<(), Errno> {
        self.remove(path.trim_end_matches('/'), true)
    }

    fn remove(&self, path: &str, directory: bool) -> Result<(), Errno> {
        let found = self.find(path, false)?;
        if found.node.is_none() {
            return Err(Errno::NoEntry);
        }
        if found.name == "." {
            return Err(Errno::Invalid);
        }
        let path = absolute(&found);
        if self.mounts.holds_mount(&path) {
            return Err(Errno::Busy);
        }
        let Node::Inode { volume, ino, read_only } = found.dir.node() else {
            return Err(Errno::NotDirectory);
        };
        let result = {
            let mut tree = volume.lock();
            let now = volume.now();
            let closed = *read_only || tree.read_only || tree.fault.read_only;
            match (closed, directory) {
                (true, _) => Err(Errno::ReadOnly),
                (_, true) => tree.rmdir(*ino, &found.name, now),
                (_, false) => tree.unlink(*ino, &found.name, now),
            }
        };
        let mut event = FileEvent::new(FileOp::Remove, &path, Some(volume));
        event.error = result.err();
        self.mounts.emit(event);
        volume.changed().notify();
        result
    }

    /// Gives a file or directory another name, replacing what has it.
    ///
    /// # Errors
    /// Those of rename(2).
    pub fn rename_at(&self, path: &str, to: &Handle, new: &str) -> Result<(), Errno> {
        let old = self.find(path.trim_end_matches('/'), false)?;
        let new = to.find(new.trim_end_matches('/'), false)?;
        if old.node.is_none() {
            return Err(Errno::NoEntry);
        }
        if old.name == "." || new.name == "." {
            return Err(Errno::Busy);
        }
        let (from_path, to_path) = (absolute(&old), absolute(&new));
        if self.mounts.holds_mount(&from_path) || self.mounts.holds_mount(&to_path) {
            return Err(Errno::Busy);
        }
        let (
            Node::Inode { volume, ino, read_only: a },
            Node::Inode { volume: other, ino: dir, read_only: b },
        ) = (old.dir.node(), new.dir.node())
        else {
            return Err(Errno::NotDirectory);
        };
        if !volume.is(other) {
            return Err(Errno::CrossDevice);
        }
        let (result, moved) = {
            let mut tree = volume.lock();
            let closed = *a || *b || tree.read_only || tree.fault.read_only;
            let moved = tree.lookup(*ino, &old.name);
            let result = if closed {
                Err(Errno::ReadOnly)
            } else {
                tree.rename(*ino, &old.name, *dir, &new.name, volume.now())
            };
            (result, moved)
        };
        let mut event = FileEvent::new(FileOp::Rename, &from_path, Some(volume));
        (event.to, event.error) = (&to_path, result.err());
        let seq = self.mounts.emit(event);
        if let (Ok(()), Ok(moved)) = (result, moved) {
            volume.lock().set_written(moved, seq);
        }
        volume.changed().notify();
        result
    }
}

fn absolute(found: &Found) -> String {
    if found.name == "." {
        found.dir.path().to_owned()
    } else {
        format!("{}/{}", found.dir.path(), found.name)
    }
}

fn stat_of(node: &Node) -> Stat {
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
