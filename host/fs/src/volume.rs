//! A volume: a tree of inodes with a quota.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use podlab_sim::Handle;
use podlab_sim::sync::Signal;
use podlab_trace::Seq;

use crate::errno::Errno;

/// The longest name of an entry, in bytes (Linux `NAME_MAX`).
pub const NAME_MAX: usize = 255;
/// The longest path, in bytes (Linux `PATH_MAX`).
pub const PATH_MAX: usize = 4096;
/// How many symbolic links one path may lead through (Linux `MAXSYMLINKS`).
pub const LINKS_MAX: u32 = 40;
/// How many files and directories a volume holds at most.
const INODES_MAX: usize = 65_536;
/// What an entry costs of the quota beside its contents, in bytes.
const INODE_COST: u64 = 128;
/// No file is longer than this, in bytes.
const FILE_MAX: u64 = 1 << 32;

/// An inode's number. The root is 1.
pub type Ino = u64;

/// A volume. Cheap to clone: all clones are the same volume.
#[derive(Clone)]
pub struct Volume {
    sim: Handle,
    name: Arc<str>,
    tree: Arc<Mutex<Tree>>,
    changed: Signal,
}

/// What a volume is made with.
#[derive(Clone, Copy, Debug, Default)]
pub struct VolumeOptions {
    /// The most it holds, in bytes.
    pub quota: Option<u64>,
    /// Whether programs may change it. The host side always may.
    pub read_only: bool,
}

/// Something wrong with a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeFault {
    /// Writes fail with ENOSPC.
    pub full: bool,
    /// Writes fail with EIO once this many more have succeeded.
    pub fail_after_writes: Option<u64>,
    /// Everything is read-only.
    pub read_only: bool,
    /// Each write takes this much longer, in ns of virtual time.
    pub slow_ns: u64,
}

/// What kind of thing an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device.
    Device,
}

/// What is known about an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Which volume, so that inode numbers of two volumes are not taken for the same.
    pub volume: u64,
    /// Its number.
    pub ino: Ino,
    /// What it is.
    pub kind: FileType,
    /// Permission bits.
    pub mode: u32,
    /// How many names it has.
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// Last access, in ns since 1970.
    pub atime: u64,
    /// Last change of the contents, in ns since 1970.
    pub mtime: u64,
    /// Last change of the inode, in ns since 1970.
    pub ctime: u64,
}

pub(crate) struct Tree {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    used: u64,
    quota: Option<u64>,
    pub(crate) read_only: bool,
    pub(crate) fault: VolumeFault,
    id: u64,
}

struct Node {
    body: Body,
    mode: u32,
    atime: u64,
    mtime: u64,
    ctime: u64,
    links: u64,
    /// How many handles are open: the data lives on while any is.
    open: u64,
    /// The event that wrote it last.
    written: Seq,
}

enum Body {
    File(Vec<u8>),
    Dir(BTreeMap<String, Ino>),
    Symlink(String),
}

impl Volume {
    /// An empty volume called `name`.
    pub fn new(sim: &Handle, name: &str, options: VolumeOptions) -> Volume {
        let now = sim.unix_nanos();
        let root = Node::new(Body::Dir(BTreeMap::new()), 0o755, now);
        let tree = Tree {
            nodes: BTreeMap::from([(1, root)]),
            next: 2,
            used: 0,
            quota: options.quota,
            read_only: options.read_only,
            fault: VolumeFault::default(),
            id: name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
                (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
            }),
        };
        Volume {
            sim: sim.clone(),
            name: name.into(),
            tree: Arc::new(Mutex::new(tree)),
            changed: Signal::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Notified after every change.
    pub fn changed(&self) -> &Signal {
        &self.changed
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().expect("volume lock")
    }

    pub(crate) fn now(&self) -> u64 {
        self.sim.unix_nanos()
    }

    pub(crate) fn sim_now(&self) -> u64 {
        self.sim.now().as_nanos()
    }

    pub(crate) fn is(&self, other: &Volume) -> bool {
        Arc::ptr_eq(&self.tree, &other.tree)
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// Changes the most it holds.
    pub fn set_quota(&self, quota: Option<u64>) {
        self.lock().quota = quota;
    }

    /// Breaks something, or mends it (with the default).
    pub fn set_fault(&self, fault: VolumeFault) {
        self.lock().fault = fault;
    }

    /// What is broken.
    pub fn fault(&self) -> VolumeFault {
        self.lock().fault
    }

    /// Host side: writes a whole file, making the directories above it.
    ///
    /// # Errors
    /// If the path goes through a file, or the quota is exceeded.
    pub fn write(&self, path: &str, contents: &[u8], mode: u32) -> Result<(), Errno> {
        let now = self.now();
        {
            let mut tree = self.lock();
            let mut dir = 1;
            let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
            let name = parts.pop().ok_or(Errno::Invalid)?;
            for part in parts {
                dir = match tree.lookup(dir, part) {
                    Ok(ino) => ino,
                    Err(Errno::NoEntry) => tree.make(dir, part, NewNode::Dir, 0o755, now)?,
                    Err(e) => return Err(e),
                };
            }
            let ino = match tree.lookup(dir, name) {
                Ok(ino) => ino,
                Err(Errno::NoEntry) => tree.make(dir, name, NewNode::File, mode, now)?,
                Err(e) => return Err(e),
            };
            tree.set_size(ino, 0, now)?;
            tree.write_raw(ino, 0, contents, now)?;
        }
        self.changed.notify();
        Ok(())
    }

    /// Host side: reads a whole file, following symbolic links inside the volume.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(&self, path: &str) -> Result<Bytes, Errno> {
        let tree = self.lock();
        let ino = tree.walk(path)?;
        tree.read(ino, 0, usize::MAX)
    }

    /// Host side: removes a file or a directory with all that is in it.
    ///
    /// # Errors
    /// If there is none.
    pub fn remove(&self, path: &str) -> Result<(), Errno> {
        let now = self.now();
        {
            let mut tree = self.lock();
            let (dir, name) =
                path.trim_matches('/').rsplit_once('/').unwrap_or(("", path.trim_matches('/')));
            let dir = tree.walk(dir)?;
            tree.remove_all(dir, name, now)?;
        }
        self.changed.notify();
        Ok(())
    }

    /// Host side: all files (not directories) with their paths, sorted.
    pub fn list(&self) -> Vec<(String, Stat)> {
        let tree = self.lock();
        let mut out = Vec::new();
        tree.collect(1, String::new(), &mut out);
        out
    }

    /// Replaces all contents at once, as the kubelet does for ConfigMaps and Secrets: the files
    /// go into a new directory, and the link `..data` is swapped over to it, so that a reader
    /// sees all old or all new files.
    ///
    /// # Errors
    /// If the quota is exceeded, or a name is not a name.
    pub fn publish(&self, files: &BTreeMap<String, (Vec<u8>, u32)>) -> Result<(), Errno> {
        let now = self.now();
        let stamp = format!("..{}", now);
        for (path, (contents, mode)) in files {
            self.write(&format!("{stamp}/{path}"), contents, *mode)?;
        }
        {
            let mut tree = self.lock();
            if files.is_empty() && tree.lookup(1, &stamp).is_err() {
                tree.make(1, &stamp, NewNode::Dir, 0o755, now)?;
            }
            let old = match tree.lookup(1, "..data") {
                Ok(ino) => Some(tree.readlink(ino)?),
                Err(_) => None,
            };
            if tree.lookup(1, "..data_tmp").is_ok() {
                tree.remove_all(1, "..data_tmp", now)?;
            }
            tree.make(1, "..data_tmp", NewNode::Symlink(stamp.clone()), 0o777, now)?;
            tree.rename(1, "..data_tmp", 1, "..data", now)?;
            let mut wanted: Vec<&str> =
                files.keys().map(|p| p.split('/').next().unwrap_or(p)).collect();
            wanted.dedup();
            for name in &wanted {
                if tree.lookup(1, name).is_err() {
                    tree.make(1, name, NewNode::Symlink(format!("..data/{name}")), 0o777, now)?;
                }
            }
            let stale: Vec<String> = tree
                .entries(1)?
                .into_iter()
                .map(|(n, ..)| n)
                .filter(|n| !n.starts_with("..") && !wanted.contains(&n.as_str()))
                .collect();
            for name in stale {
                tree.remove_all(1, &name, now)?;
            }
            if let Some(old) = old
                && old != stamp
            {
                tree.remove_all(1, &old, now)?;
            }
        }
        self.changed.notify();
        Ok(())
    }
}

pub(crate) enum NewNode {
    File,
    Dir,
    Symlink(String),
}

impl Node {
    fn new(body: Body, mode: u32, now: u64) -> Node {
        Node { body, mode, atime: now, mtime: now, ctime: now, links: 1, open: 0, written: 0 }
    }

    fn size(&self) -> u64 {
        match &self.body {
            Body::File(data) => data.len() as u64,
            Body::Dir(entries) => entries.len() as u64,
            Body::Symlink(target) => target.len() as u64,
        }
    }
}

impl Tree {
    fn node(&self, ino: Ino) -> &Node {
        self.nodes.get(&ino).expect("an inode in use")
    }

    fn node_mut(&mut self, ino: Ino) -> &mut Node {
        self.nodes.get_mut(&ino).expect("an inode in use")
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Errno> {
        let used = self.used.saturating_add(bytes);
        if self.quota.is_some_and(|q| used > q) {
            return Err(Errno::InsufficientSpace);
        }
        self.used = used;
        Ok(())
    }

    /// Whether programs may write now; counts towards a fault that lets some writes through.
    pub(crate) fn may_write(&mut self) -> Result<(), Errno> {
        if self.read_only || self.fault.read_only {
            return Err(Errno::ReadOnly);
        }
        if self.fault.full {
            return Err(Errno::InsufficientSpace);
        }
        match &mut self.fault.fail_after_writes {
            Some(0) => Err(Errno::Io),
            Some(n) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn kind(&self, ino: Ino) -> FileType {
        match self.node(ino).body {
            Body::File(_) => FileType::File,
            Body::Dir(_) => FileType::Dir,
            Body::Symlink(_) => FileType::Symlink,
        }
    }

    pub(crate) fn lookup(&self, dir: Ino, name: &str) -> Result<Ino, Errno> {
        match &self.node(dir).body {
            Body::Dir(entries) => entries.get(name).copied().ok_or(Errno::NoEntry),
            _ => Err(Errno::NotDirectory),
        }
    }

    pub(crate) fn stat(&self, ino: Ino) -> Stat {
        let n = self.node(ino);
        Stat {
            volume: self.id,
            ino,
            kind: self.kind(ino),
            mode: n.mode,
            links: n.links,
            size: n.size(),
            atime: n.atime,
            mtime: n.mtime,
            ctime: n.ctime,
        }
    }

    pub(crate) fn make(
        &mut self,
        dir: Ino,
        name: &str,
        new: NewNode,
        mode: u32,
        now: u64,
    ) -> Result<Ino, Errno> {
        if name.len() > NAME_MAX {
            return Err(Errno::NameTooLong);
        }
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(Errno::Invalid);
        }
        match self.lookup(dir, name) {
            Ok(_) => return Err(Errno::Exist),
            Err(Errno::NoEntry) => {}
            Err(e) => return Err(e),
        }
        if self.nodes.len() >= INODES_MAX {
            return Err(Errno::InsufficientSpace);
        }
        let body = match new {
            NewNode::File => Body::File(Vec::new()),
            NewNode::Dir => Body::Dir(BTreeMap::new()),
            NewNode::Symlink(target) if target.len() > PATH_MAX => return Err(Errno::NameTooLong),
            NewNode::Symlink(target) => Body::Symlink(target),
        };
        self.charge(INODE_COST)?;
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, Node::new(body, mode, now));
        self.enter(dir, name, ino, now);
        Ok(ino)
    }

    fn enter(&mut self, dir: Ino, name: &str, ino: Ino, now: u64) {
        let node = self.node_mut(dir);
        if let Body::Dir(entries) = &mut node.body {
            entries.insert(name.to_owned(), ino);
        }
        (node.mtime, node.ctime) = (now, now);
    }

    fn leave(&mut self, dir: Ino, name: &str, now: u64) {
        let node = self.node_mut(dir);
        if let Body::Dir(entries) = &mut node.body {
            entries.remove(name);
        }
        (node.mtime, node.ctime) = (now, now);
    }

    fn drop_link(&mut self, ino: Ino, now: u64) {
        let node = self.node_mut(ino);
        node.links -= 1;
        node.ctime = now;
        self.reap(ino);
    }

    fn reap(&mut self, ino: Ino) {
        let node = self.node(ino);
        if node.links == 0 && node.open == 0 {
            let size = if let Body::File(data) = &node.body { data.len() as u64 } else { 0 };
            self.used -= size + INODE_COST;
            self.nodes.remove(&ino);
        }
    }

    pub(crate) fn open(&mut self, ino: Ino) {
        self.node_mut(ino).open += 1;
    }

    pub(crate) fn close(&mut self, ino: Ino) {
        self.node_mut(ino).open -= 1;
        self.reap(ino);
    }

    pub(crate) fn link(&mut self, ino: Ino, dir: Ino, name: &str, now: u64) -> Result<(), Errno> {
        if self.kind(ino) == FileType::Dir {
            return Err(Errno::NotPermitted);
        }
        if name.len() > NAME_MAX {
            return Err(Errno::NameTooLong);
        }
        match self.lookup(dir, name) {
            Ok(_) => Err(Errno::Exist),
            Err(Errno::NoEntry) => {
                let node = self.node_mut(ino);
                if node.links >= 65_000 {
                    return Err(Errno::TooManyLinks);
                }
                node.links += 1;
                node.ctime = now;
                self.enter(dir, name, ino, now);
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    pub(crate) fn unlink(&mut self, dir: Ino, name: &str, now: u64) -> Result<(), Errno> {
        let ino = self.lookup(dir, name)?;
        if self.kind(ino) == FileType::Dir {
            return Err(Errno::IsDirectory);
        }
        self.leave(dir, name, now);
        self.drop_link(ino, now);
        Ok(())
    }

    pub(crate) fn rmdir(&mut self, dir: Ino, name: &str, now: u64) -> Result<(), Errno> {
        let ino = self.lookup(dir, name)?;
        match &self.node(ino).body {
            Body::Dir(entries) if !entries.is_empty() => return Err(Errno::NotEmpty),
            Body::Dir(_) => {}
            _ => return Err(Errno::NotDirectory),
        }
        self.leave(dir, name, now);
        self.drop_link(ino, now);
        Ok(())
    }

    pub(crate) fn rename(
        &mut self,
        from: Ino,
        name: &str,
        to: Ino,
        new: &str,
        now: u64,
    ) -> Result<(), Errno> {
        if new.len() > NAME_MAX {
            return Err(Errno::NameTooLong);
        }
        let ino = self.lookup(from, name)?;
        let moving_dir = self.kind(ino) == FileType::Dir;
        if moving_dir && self.is_below(to, ino) {
            return Err(Errno::Invalid);
        }
        match self.lookup(to, new) {
            Ok(target) if target == ino => return Ok(()),
            Ok(target) => match (moving_dir, self.kind(target) == FileType::Dir) {
                (false, true) => return Err(Errno::IsDirectory),
                (true, false) => return Err(Errno::NotDirectory),
                (true, true) => self.rmdir(to, new, now)?,
                (false, false) => self.unlink(to, new, now)?,
            },
            Err(Errno::NoEntry) => {}
            Err(e) => return Err(e),
        }
        self.leave(from, name, now);
        self.enter(to, new, ino, now);
        self.node_mut(ino).ctime = now;
        Ok(())
    }

    fn is_below(&self, ino: Ino, above: Ino) -> bool {
        if ino == above {
            return true;
        }
        match &self.node(above).body {
            Body::Dir(entries) => {
                entries.values().any(|e| self.kind(*e) == FileType::Dir && self.is_below(ino, *e))
            }
            _ => false,
        }
    }

    fn remove_all(&mut self, dir: Ino, name: &str, now: u64) -> Result<(), Errno> {
        let ino = self.lookup(dir, name)?;
        if let Body::Dir(entries) = &self.node(ino).body {
            let names: Vec<String> = entries.keys().cloned().collect();
            for n in names {
                self.remove_all(ino, &n, now)?;
            }
            return self.rmdir(dir, name, now);
        }
        self.unlink(dir, name, now)
    }

    pub(crate) fn readlink(&self, ino: Ino) -> Result<String, Errno> {
        match &self.node(ino).body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::Invalid),
        }
    }

    pub(crate) fn entries(&self, dir: Ino) -> Result<Vec<(String, FileType, Ino)>, Errno> {
        match &self.node(dir).body {
            Body::Dir(entries) => {
                Ok(entries.iter().map(|(n, i)| (n.clone(), self.kind(*i), *i)).collect())
            }
            _ => Err(Errno::NotDirectory),
        }
    }

    pub(crate) fn read(&self, ino: Ino, offset: u64, len: usize) -> Result<Bytes, Errno> {
        match &self.node(ino).body {
            Body::File(data) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
                let end = start.saturating_add(len).min(data.len());
                Ok(Bytes::copy_from_slice(&data[start..end]))
            }
            Body::Dir(_) => Err(Errno::IsDirectory),
            Body::Symlink(_) => Err(Errno::Loop),
        }
    }

    pub(crate) fn size(&self, ino: Ino) -> u64 {
        self.node(ino).size()
    }

    pub(crate) fn write_raw(
        &mut self,
        ino: Ino,
        offset: u64,
        bytes: &[u8],
        now: u64,
    ) -> Result<(), Errno> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::FileTooLarge)?;
        if end > FILE_MAX {
            return Err(Errno::FileTooLarge);
        }
        let size = match &self.node(ino).body {
            Body::File(data) => data.len() as u64,
            Body::Dir(_) => return Err(Errno::IsDirectory),
            Body::Symlink(_) => return Err(Errno::Loop),
        };
        if end > size {
            self.charge(end - size)?;
        }
        let node = self.node_mut(ino);
        let Body::File(data) = &mut node.body else { unreachable!("checked above") };
        if end > size {
            data.resize(end as usize, 0);
        }
        data[offset as usize..end as usize].copy_from_slice(bytes);
        (node.mtime, node.ctime) = (now, now);
        Ok(())
    }

    pub(crate) fn set_size(&mut self, ino: Ino, size: u64, now: u64) -> Result<(), Errno> {
        if size > FILE_MAX {
            return Err(Errno::FileTooLarge);
        }
        let old = match &self.node(ino).body {
            Body::File(data) => data.len() as u64,
            Body::Dir(_) => return Err(Errno::IsDirectory),
            Body::Symlink(_) => return Err(Errno::Loop),
        };
        if size > old {
            self.charge(size - old)?;
        } else {
            self.used -= old - size;
        }
        let node = self.node_mut(ino);
        let Body::File(data) = &mut node.body else { unreachable!("checked above") };
        data.resize(size as usize, 0);
        (node.mtime, node.ctime) = (now, now);
        Ok(())
    }

    pub(crate) fn set_times(&mut self, ino: Ino, atime: Option<u64>, mtime: Option<u64>, now: u64) {
        let node = self.node_mut(ino);
        node.atime = atime.unwrap_or(node.atime);
        node.mtime = mtime.unwrap_or(node.mtime);
        node.ctime = now;
    }

    pub(crate) fn written(&self, ino: Ino) -> Seq {
        self.node(ino).written
    }

    pub(crate) fn set_written(&mut self, ino: Ino, seq: Seq) {
        self.node_mut(ino).written = seq;
    }

    /// Host side: the inode at `path`, following symbolic links inside the volume.
    fn walk(&self, path: &str) -> Result<Ino, Errno> {
        let mut parts: Vec<String> =
            path.split('/').rev().filter(|p| !p.is_empty()).map(str::to_owned).collect();
        let (mut dirs, mut at, mut links) = (vec![1], 1, 0);
        while let Some(part) = parts.pop() {
            match part.as_str() {
                "." => {}
                ".." => {
                    if dirs.len() > 1 {
                        dirs.pop();
                    }
                    at = *dirs.last().expect("the root stays");
                }
                name => {
                    let next = self.lookup(at, name)?;
                    if let Body::Symlink(target) = &self.node(next).body {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(Errno::Loop);
                        }
                        parts.extend(
                            target.split('/').rev().filter(|p| !p.is_empty()).map(str::to_owned),
                        );
                    } else {
                        at = next;
                        dirs.push(at);
                    }
                }
            }
        }
        Ok(at)
    }

    fn collect(&self, dir: Ino, prefix: String, out: &mut Vec<(String, Stat)>) {
        if let Body::Dir(entries) = &self.node(dir).body {
            for (name, ino) in entries {
                let path = format!("{prefix}/{name}");
                if self.kind(*ino) == FileType::Dir {
                    self.collect(*ino, path, out);
                } else {
                    out.push((path, self.stat(*ino)));
                }
            }
        }
    }
}
