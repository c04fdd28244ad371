//! The inodes of a volume: names, links, sizes, and what they cost of its quota.

use std::collections::BTreeMap;

use bytes::Bytes;
use podlab_trace::Seq;

use crate::contents::Contents;
use crate::errno::Errno;
use crate::volume::{
    DEPTH_MAX, ENTRIES_MAX, FILE_MAX, FileType, INODE_COST, Ino, LINKS_MAX, NAME_MAX, PATH_MAX,
    Stat, VolumeFault,
};

/// The root directory's inode.
pub(crate) const ROOT: Ino = 1;

pub(crate) struct Tree {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    /// How many names all directories together hold.
    names: usize,
    used: u64,
    pub(crate) quota: u64,
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
    File(Contents),
    Dir { entries: BTreeMap<String, Ino>, parent: Ino },
    Symlink(String),
}

/// What to make.
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
            Body::File(data) => data.len(),
            Body::Dir { entries, .. } => entries.len() as u64,
            Body::Symlink(target) => target.len() as u64,
        }
    }

    /// What it and its first name take of the quota.
    fn cost(&self) -> u64 {
        INODE_COST
            + match &self.body {
                Body::File(data) => data.len(),
                Body::Dir { .. } => 0,
                Body::Symlink(target) => target.len() as u64,
            }
    }
}

impl Tree {
    pub(crate) fn new(id: u64, quota: u64, read_only: bool, now: u64) -> Tree {
        let root = Node::new(Body::Dir { entries: BTreeMap::new(), parent: ROOT }, 0o755, now);
        Tree {
            nodes: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
            names: 0,
            used: 0,
            quota,
            read_only,
            fault: VolumeFault::default(),
            id,
        }
    }

    fn node(&self, ino: Ino) -> &Node {
        self.nodes.get(&ino).expect("an inode in use")
    }

    fn node_mut(&mut self, ino: Ino) -> &mut Node {
        self.nodes.get_mut(&ino).expect("an inode in use")
    }

    fn dir(&self, ino: Ino) -> Result<&BTreeMap<String, Ino>, Errno> {
        match &self.node(ino).body {
            Body::Dir { entries, .. } => Ok(entries),
            _ => Err(Errno::NotDirectory),
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Errno> {
        let used = self.used.saturating_add(bytes);
        if used > self.quota {
            return Err(Errno::InsufficientSpace);
        }
        self.used = used;
        Ok(())
    }

    /// Whether programs may change anything now.
    pub(crate) fn may_change(&self) -> Result<(), Errno> {
        if self.read_only || self.fault.read_only { Err(Errno::ReadOnly) } else { Ok(()) }
    }

    /// Whether programs may write now; counts towards a fault that lets some writes through.
    pub(crate) fn may_write(&mut self) -> Result<(), Errno> {
        self.may_change()?;
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
            Body::Dir { .. } => FileType::Dir,
            Body::Symlink(_) => FileType::Symlink,
        }
    }

    pub(crate) fn lookup(&self, dir: Ino, name: &str) -> Result<Ino, Errno> {
        self.dir(dir)?.get(name).copied().ok_or(Errno::NoEntry)
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

    /// Whether `name` could be entered into `dir`.
    fn vacant(&self, dir: Ino, name: &str) -> Result<(), Errno> {
        valid_name(name)?;
        match self.lookup(dir, name) {
            Ok(_) => return Err(Errno::Exist),
            Err(Errno::NoEntry) => {}
            Err(e) => return Err(e),
        }
        // Whoever still holds a removed directory open cannot put anything into it.
        if self.node(dir).links == 0 {
            return Err(Errno::NoEntry);
        }
        Ok(())
    }

    pub(crate) fn make(
        &mut self,
        dir: Ino,
        name: &str,
        new: NewNode,
        mode: u32,
        now: u64,
    ) -> Result<Ino, Errno> {
        self.vacant(dir, name)?;
        if self.nodes.len() >= ENTRIES_MAX || self.names >= ENTRIES_MAX {
            return Err(Errno::InsufficientSpace);
        }
        let body = match new {
            NewNode::File => Body::File(Contents::default()),
            NewNode::Dir if self.depth(dir) >= DEPTH_MAX => return Err(Errno::NameTooLong),
            NewNode::Dir => Body::Dir { entries: BTreeMap::new(), parent: dir },
            NewNode::Symlink(target) if target.len() > PATH_MAX => return Err(Errno::NameTooLong),
            NewNode::Symlink(target) => Body::Symlink(target),
        };
        let node = Node::new(body, mode, now);
        self.charge(node.cost())?;
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, node);
        self.enter(dir, name, ino, now);
        Ok(ino)
    }

    fn enter(&mut self, dir: Ino, name: &str, ino: Ino, now: u64) {
        let node = self.node_mut(dir);
        let Body::Dir { entries, .. } = &mut node.body else { unreachable!("checked by lookup") };
        entries.insert(name.to_owned(), ino);
        (node.mtime, node.ctime) = (now, now);
        self.names += 1;
        if let Body::Dir { parent, .. } = &mut self.node_mut(ino).body {
            *parent = dir;
        }
    }

    fn leave(&mut self, dir: Ino, name: &str, now: u64) {
        let node = self.node_mut(dir);
        let Body::Dir { entries, .. } = &mut node.body else { unreachable!("checked by lookup") };
        entries.remove(name);
        (node.mtime, node.ctime) = (now, now);
        self.names -= 1;
    }

    fn drop_link(&mut self, ino: Ino, now: u64) {
        let node = self.node_mut(ino);
        node.links -= 1;
        node.ctime = now;
        if node.links > 0 {
            self.used -= INODE_COST;
        }
        self.reap(ino);
    }

    fn reap(&mut self, ino: Ino) {
        let node = self.node(ino);
        if node.links == 0 && node.open == 0 {
            self.used -= node.cost();
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
        self.vacant(dir, name)?;
        if self.node(ino).links >= 65_000 {
            return Err(Errno::TooManyLinks);
        }
        if self.names >= ENTRIES_MAX {
            return Err(Errno::InsufficientSpace);
        }
        self.charge(INODE_COST)?;
        let node = self.node_mut(ino);
        node.links += 1;
        node.ctime = now;
        self.enter(dir, name, ino, now);
        Ok(())
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
        if !self.dir(ino)?.is_empty() {
            return Err(Errno::NotEmpty);
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
        let ino = self.lookup(from, name)?;
        let moving_dir = self.kind(ino) == FileType::Dir;
        let target = match self.vacant(to, new) {
            Ok(()) => None,
            Err(Errno::Exist) => Some(self.lookup(to, new)?),
            Err(e) => return Err(e),
        };
        if target == Some(ino) {
            return Ok(());
        }
        if moving_dir && self.is_below(to, ino) {
            return Err(Errno::Invalid);
        }
        if moving_dir {
            // Only a move to below where it was can make the tree too deep.
            let depth = self.depth(to);
            if depth > self.depth(from) && depth + self.height(ino) > DEPTH_MAX {
                return Err(Errno::NameTooLong);
            }
        }
        match target.map(|t| (moving_dir, self.kind(t) == FileType::Dir)) {
            None => {}
            Some((false, true)) => return Err(Errno::IsDirectory),
            Some((true, false)) => return Err(Errno::NotDirectory),
            Some((true, true)) => self.rmdir(to, new, now)?,
            Some((false, false)) => self.unlink(to, new, now)?,
        }
        self.leave(from, name, now);
        self.enter(to, new, ino, now);
        self.node_mut(ino).ctime = now;
        Ok(())
    }

    fn parent(&self, dir: Ino) -> Ino {
        match self.node(dir).body {
            Body::Dir { parent, .. } => parent,
            _ => unreachable!("only directories have one"),
        }
    }

    /// How many directories lie above `dir`.
    fn depth(&self, dir: Ino) -> usize {
        std::iter::successors(Some(dir), |d| (*d != ROOT).then(|| self.parent(*d))).count() - 1
    }

    /// How many levels of directories there are from `dir` down, itself included. (Recursion
    /// is no danger: no tree is deeper than `DEPTH_MAX`.)
    fn height(&self, dir: Ino) -> usize {
        let Body::Dir { entries, .. } = &self.node(dir).body else { return 0 };
        1 + entries.values().map(|e| self.height(*e)).max().unwrap_or(0)
    }

    fn is_below(&self, dir: Ino, above: Ino) -> bool {
        std::iter::successors(Some(dir), |d| (*d != ROOT).then(|| self.parent(*d)))
            .any(|d| d == above)
    }

    pub(crate) fn remove_all(&mut self, dir: Ino, name: &str, now: u64) -> Result<(), Errno> {
        let ino = self.lookup(dir, name)?;
        let Ok(entries) = self.dir(ino) else { return self.unlink(dir, name, now) };
        let names: Vec<String> = entries.keys().cloned().collect();
        for n in names {
            self.remove_all(ino, &n, now)?;
        }
        self.rmdir(dir, name, now)
    }

    pub(crate) fn readlink(&self, ino: Ino) -> Result<String, Errno> {
        match &self.node(ino).body {
            Body::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::Invalid),
        }
    }

    pub(crate) fn entries(&self, dir: Ino) -> Result<Vec<(String, FileType, Ino)>, Errno> {
        Ok(self.dir(dir)?.iter().map(|(n, i)| (n.clone(), self.kind(*i), *i)).collect())
    }

    fn file(&mut self, ino: Ino) -> Result<&mut Contents, Errno> {
        match &mut self.node_mut(ino).body {
            Body::File(contents) => Ok(contents),
            Body::Dir { .. } => Err(Errno::IsDirectory),
            Body::Symlink(_) => Err(Errno::Loop),
        }
    }

    pub(crate) fn read(&self, ino: Ino, offset: u64, len: usize) -> Result<Bytes, Errno> {
        match &self.node(ino).body {
            Body::File(data) => Ok(data.read(offset, len)),
            Body::Dir { .. } => Err(Errno::IsDirectory),
            Body::Symlink(_) => Err(Errno::Loop),
        }
    }

    pub(crate) fn size(&self, ino: Ino) -> u64 {
        self.node(ino).size()
    }

    /// Writes all or nothing. Nothing written changes nothing, wherever that would have been.
    pub(crate) fn write(
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
        let size = self.file(ino)?.len();
        if bytes.is_empty() {
            return Ok(());
        }
        self.charge(end.saturating_sub(size))?;
        self.file(ino)?.write(offset, bytes);
        let node = self.node_mut(ino);
        (node.mtime, node.ctime) = (now, now);
        Ok(())
    }

    /// Replaces what a file contains, all or nothing.
    pub(crate) fn replace(&mut self, ino: Ino, bytes: &[u8], now: u64) -> Result<(), Errno> {
        self.set_size(ino, bytes.len() as u64, now)?;
        self.write(ino, 0, bytes, now)
    }

    pub(crate) fn set_size(&mut self, ino: Ino, size: u64, now: u64) -> Result<(), Errno> {
        if size > FILE_MAX {
            return Err(Errno::FileTooLarge);
        }
        let old = self.file(ino)?.len();
        self.charge(size.saturating_sub(old))?;
        self.used -= old.saturating_sub(size);
        self.file(ino)?.resize(size);
        let node = self.node_mut(ino);
        (node.mtime, node.ctime) = (now, now);
        Ok(())
    }

    pub(crate) fn set_mode(&mut self, ino: Ino, mode: u32) {
        self.node_mut(ino).mode = mode;
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

    /// Host side: the inode at `path`, following symbolic links. A link that leads out of the
    /// volume is refused (EPERM): what it means depends on who reads it.
    pub(crate) fn walk(&self, path: &str) -> Result<Ino, Errno> {
        let mut parts: Vec<String> = split(path);
        let (mut dirs, mut links) = (vec![ROOT], 0);
        while let Some(part) = parts.pop() {
            let at = *dirs.last().expect("the root stays");
            if part == "." || part == ".." {
                self.dir(at)?;
                if part == "." {
                    continue;
                }
                dirs.pop();
                if dirs.is_empty() {
                    return Err(Errno::NotPermitted);
                }
                continue;
            }
            let next = self.lookup(at, &part)?;
            let Body::Symlink(target) = &self.node(next).body else {
                dirs.push(next);
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::Loop);
            }
            if target.starts_with('/') {
                return Err(Errno::NotPermitted);
            }
            parts.extend(split(target));
        }
        Ok(*dirs.last().expect("the root stays"))
    }

    /// Adds all files below `dir` with their paths. (For recursion, see `height`.)
    pub(crate) fn collect(&self, dir: Ino, prefix: &str, out: &mut Vec<(String, Stat)>) {
        for (name, ino) in self.dir(dir).into_iter().flatten() {
            let path = format!("{prefix}/{name}");
            if self.kind(*ino) == FileType::Dir {
                self.collect(*ino, &path, out);
            } else {
                out.push((path, self.stat(*ino)));
            }
        }
    }
}

/// Whether a directory may hold `name`.
pub(crate) fn valid_name(name: &str) -> Result<(), Errno> {
    if name.len() > NAME_MAX {
        return Err(Errno::NameTooLong);
    }
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Errno::Invalid);
    }
    Ok(())
}

/// The components of a path, the last first. A "." is one: what stands before it must be a
/// directory.
pub(crate) fn split(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|p| !p.is_empty()).map(str::to_owned).collect()
}
