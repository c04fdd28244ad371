//! What is done to the names in a directory.

use podlab_trace::FileOp;

use crate::device::Device;
use crate::errno::Errno;
use crate::handle::{Handle, OpenOptions, stat_of};
use crate::mounts::{FileEvent, Found, Node, Trail};
use crate::tree::NewNode;
use crate::volume::{FileType, Stat};

impl Handle {
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
        // What must not exist yet is not looked for behind a link, as in open(2).
        let exclusive = options.create && options.exclusive;
        let found = self.find(path, options.follow && !exclusive)?;
        let absolute = absolute(&found);
        let (node, created) = match found.node {
            Some(_) if exclusive => return Err(Errno::Exist),
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
            let closed = *read_only || volume.lock().may_change().is_err();
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
            trail.push(&found.name, node);
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
        if path.ends_with('/') {
            return Err(Errno::NoEntry);
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
                let mut tree = volume.lock();
                tree.may_change()?;
                tree.set_times(ino, atime, mtime, volume.now());
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
        let (new_path, new) = (new, to.find(new, false)?);
        let (volume, ino) = match &old.node {
            Some(Node::Inode { volume, ino, .. }) => (volume, ino),
            Some(Node::Device(_)) => return Err(Errno::CrossDevice),
            None => return Err(Errno::NoEntry),
        };
        let Node::Inode { volume: target, ino: dir, read_only } = new.dir.node() else {
            return Err(Errno::NotDirectory);
        };
        if new.node.is_some() {
            return Err(Errno::Exist);
        }
        if new_path.ends_with('/') {
            return Err(Errno::NoEntry);
        }
        let (from, to_path) = (absolute(&old), absolute(&new));
        // One volume may be mounted twice, here for reading only and there for writing: a name
        // there would be a way round.
        if !volume.is(target) || !self.same_mount(&from, &to_path) {
            return Err(Errno::CrossDevice);
        }
        let result = {
            let mut tree = volume.lock();
            let allowed = if *read_only { Err(Errno::ReadOnly) } else { tree.may_write() };
            allowed.and_then(|()| tree.link(*ino, *dir, &new.name, volume.now()))
        };
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
            let allowed = if *read_only { Err(Errno::ReadOnly) } else { tree.may_change() };
            allowed.and_then(|()| match directory {
                true => tree.rmdir(*ino, &found.name, now),
                false => tree.unlink(*ino, &found.name, now),
            })
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
        let slash = path.ends_with('/') || new.ends_with('/');
        let old = self.find(path.trim_end_matches('/'), false)?;
        let new = to.find(new.trim_end_matches('/'), false)?;
        let Some(node) = &old.node else { return Err(Errno::NoEntry) };
        if slash && node.kind() != FileType::Dir {
            return Err(Errno::NotDirectory);
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
        if !volume.is(other) || !self.same_mount(&from_path, &to_path) {
            return Err(Errno::CrossDevice);
        }
        let (result, moved) = {
            let mut tree = volume.lock();
            let allowed = if *a || *b { Err(Errno::ReadOnly) } else { tree.may_change() };
            let moved = tree.lookup(*ino, &old.name);
            let now = volume.now();
            let result = allowed.and_then(|()| tree.rename(*ino, &old.name, *dir, &new.name, now));
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

    /// Whether two absolute paths lie in the same mount: rename(2) and link(2) do not work
    /// across mounts, even of one file system.
    fn same_mount(&self, a: &str, b: &str) -> bool {
        self.mounts.mounted_at(a) == self.mounts.mounted_at(b)
    }
}

fn absolute(found: &Found) -> String {
    if found.name == "." {
        found.dir.path().to_owned()
    } else {
        format!("{}/{}", found.dir.path(), found.name)
    }
}
