//! A container's view: its own layer with volumes and devices mounted over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use podlab_trace::{FileOp, Kind, PlaceId, Trace};

use crate::device::Device;
use crate::errno::Errno;
use crate::handle::Handle;
use crate::tree::{NewNode, ROOT, split};
use crate::volume::{FileType, Ino, LINKS_MAX, NAME_MAX, PATH_MAX, Volume};

/// How a volume is mounted.
#[derive(Clone, Debug, Default)]
pub struct MountOptions {
    /// Whether programs may only read.
    pub read_only: bool,
    /// Only this part of the volume: a directory (made if it is missing) or a file. Symbolic
    /// links on the way are followed as long as they stay in the volume, as in Kubernetes.
    pub sub_path: String,
}

/// A container's view of its files. Cheap to clone.
#[derive(Clone)]
pub struct Mounts {
    pub(crate) root: Volume,
    pub(crate) table: Arc<BTreeMap<String, Mount>>,
    pub(crate) trace: Trace,
    pub(crate) place: PlaceId,
}

#[derive(Clone)]
pub(crate) enum Mount {
    Volume { pin: Arc<Pin>, read_only: bool },
    Device(Device),
}

/// Keeps what is mounted alive, even if all its names are removed; and no longer than that.
pub(crate) struct Pin {
    volume: Volume,
    ino: Ino,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.volume.lock().close(self.ino);
    }
}

/// Something a path leads to.
#[derive(Clone)]
pub(crate) enum Node {
    Inode { volume: Volume, ino: Ino, read_only: bool },
    Device(Device),
}

/// Where a walk stands: the nodes from the root down to the current one.
#[derive(Clone)]
pub(crate) struct Trail {
    /// The absolute path of the last node; empty for the root.
    path: String,
    /// Each node with where its path ends in `path`.
    steps: Vec<(usize, Node)>,
}

/// What the last component of a path leads to.
pub(crate) struct Found {
    /// The directory that holds (or would hold) it.
    pub(crate) dir: Trail,
    /// Its name there.
    pub(crate) name: String,
    /// The node, if there is one.
    pub(crate) node: Option<Node>,
}

impl Mounts {
    /// A view of `root`, which a program at `place` uses.
    pub fn new(root: Volume, trace: &Trace, place: PlaceId) -> Mounts {
        Mounts { root, table: Arc::default(), trace: trace.clone(), place }
    }

    /// The same view for another program of the container, whose events are at `place`.
    pub fn at_place(&self, place: PlaceId) -> Mounts {
        Mounts { place, ..self.clone() }
    }

    /// Mounts `volume` at the absolute `path`, which is made if it is missing.
    ///
    /// # Errors
    /// If `path` or the sub-path goes through a file, or out of the volume.
    pub fn mount(
        self,
        path: &str,
        volume: &Volume,
        options: MountOptions,
    ) -> Result<Mounts, Errno> {
        let sub = clean(&options.sub_path)?;
        let now = volume.now();
        let pin = {
            let mut tree = volume.lock();
            let ino = match tree.walk(&sub) {
                Err(Errno::NoEntry) => {
                    let mut ino = ROOT;
                    for part in sub.split('/') {
                        ino = match tree.lookup(ino, part) {
                            Ok(next) => next,
                            Err(Errno::NoEntry) => {
                                tree.make(ino, part, NewNode::Dir, 0o777, now)?
                            }
                            Err(e) => return Err(e),
                        };
                    }
                    ino
                }
                found => found?,
            };
            if tree.kind(ino) == FileType::Symlink {
                return Err(Errno::NoEntry);
            }
            tree.open(ino);
            Arc::new(Pin { volume: volume.clone(), ino })
        };
        let ino = pin.ino;
        let is_dir = volume.lock().kind(ino) == FileType::Dir;
        self.point(path, is_dir)?;
        Ok(self.with(path, Mount::Volume { pin, read_only: options.read_only }))
    }

    /// Puts a device at the absolute `path`.
    ///
    /// # Errors
    /// If `path` goes through a file.
    pub fn device(self, path: &str, device: Device) -> Result<Mounts, Errno> {
        self.point(path, false)?;
        Ok(self.with(path, Mount::Device(device)))
    }

    fn with(self, path: &str, mount: Mount) -> Mounts {
        let mut table = (*self.table).clone();
        let path = clean(path).expect("its mount point was made");
        table.insert(format!("/{path}"), mount);
        Mounts { table: Arc::new(table), ..self }
    }

    /// Makes a mount point, in whatever is mounted above it.
    fn point(&self, path: &str, is_dir: bool) -> Result<(), Errno> {
        let path = clean(path)?;
        if path.is_empty() {
            return Err(Errno::Invalid);
        }
        let mut trail = self.top();
        let parts: Vec<&str> = path.split('/').collect();
        for (n, part) in parts.iter().enumerate() {
            let here = format!("{}/{part}", trail.path());
            if let Some(mount) = self.table.get(&here) {
                trail.push(part, mount.node());
                continue;
            }
            let Node::Inode { volume, ino, .. } = trail.node().clone() else {
                return Err(Errno::NotDirectory);
            };
            let now = volume.now();
            let mut tree = volume.lock();
            let next = match tree.lookup(ino, part) {
                Ok(next) => next,
                Err(Errno::NoEntry) => {
                    let dir = is_dir || n + 1 < parts.len();
                    let (new, mode) =
                        if dir { (NewNode::Dir, 0o755) } else { (NewNode::File, 0o644) };
                    tree.make(ino, part, new, mode, now)?
                }
                Err(e) => return Err(e),
            };
            drop(tree);
            trail.push(part, Node::Inode { volume, ino: next, read_only: false });
        }
        Ok(())
    }

    fn top(&self) -> Trail {
        let node = Node::Inode { volume: self.root.clone(), ino: ROOT, read_only: false };
        Trail { path: String::new(), steps: vec![(0, node)] }
    }

    /// The directory `/`.
    pub fn root(&self) -> Handle {
        Handle::new(self.clone(), self.top())
    }

    /// Walks `path` from `base`. `follow` says whether a symbolic link at the end is followed.
    pub(crate) fn walk(&self, base: &Trail, path: &str, follow: bool) -> Result<Found, Errno> {
        if path.len() > PATH_MAX {
            return Err(Errno::NameTooLong);
        }
        if path.is_empty() {
            return Err(Errno::NoEntry);
        }
        if path.starts_with('/') {
            // A path leads down from its directory; wasi:filesystem knows no absolute ones.
            return Err(Errno::NotPermitted);
        }
        let mut must_be_dir = path.ends_with('/');
        let mut trail = base.clone();
        let mut floor = base.steps.len();
        let mut parts: Vec<String> = split(path);
        let mut links = 0;
        let mut last: Option<(Trail, String, Option<Node>)> = None;
        while let Some(part) = parts.pop() {
            if let Some((_, _, node)) = last.take() {
                // Something follows: what was found before must have been a directory.
                return Err(if node.is_none() { Errno::NoEntry } else { Errno::NotDirectory });
            }
            if part == "." {
                continue;
            }
            if part == ".." {
                if trail.steps.len() <= floor {
                    if floor == 1 {
                        continue;
                    }
                    return Err(Errno::NotPermitted);
                }
                trail.pop();
                continue;
            }
            // Programs can nest directories deeper than a path is long, step by step; what
            // they hold open, and what the trace says of it, must not become longer than one.
            if part.len() > NAME_MAX || trail.path.len() + 1 + part.len() > PATH_MAX {
                return Err(Errno::NameTooLong);
            }
            let here = format!("{}/{part}", trail.path());
            let node = match self.table.get(&here) {
                Some(mount) => mount.node(),
                None => {
                    let Node::Inode { volume, ino, read_only } = trail.node() else {
                        return Err(Errno::NotDirectory);
                    };
                    match volume.lock().lookup(*ino, &part) {
                        Ok(next) => {
                            Node::Inode { volume: volume.clone(), ino: next, read_only: *read_only }
                        }
                        Err(Errno::NoEntry) => {
                            last = Some((trail.clone(), part, None));
                            continue;
                        }
                        Err(e) => return Err(e),
                    }
                }
            };
            match node.kind() {
                FileType::Symlink if follow || !parts.is_empty() || must_be_dir => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::Loop);
                    }
                    let Node::Inode { volume, ino, .. } = &node else {
                        unreachable!("a link is an inode")
                    };
                    let target = volume.lock().readlink(*ino)?;
                    must_be_dir |= parts.is_empty() && target.ends_with('/');
                    if target.starts_with('/') {
                        trail = self.top();
                        floor = 1;
                    }
                    parts.extend(split(&target));
                }
                FileType::Dir if !parts.is_empty() => trail.push(&part, node),
                _ => last = Some((trail.clone(), part, Some(node))),
            }
        }
        let Some((dir, name, node)) = last else {
            // The path ends at the trail itself (".", "a/..").
            let node = trail.node().clone();
            return Ok(Found { dir: trail, name: ".".into(), node: Some(node) });
        };
        if must_be_dir && node.as_ref().is_some_and(|n| n.kind() != FileType::Dir) {
            return Err(Errno::NotDirectory);
        }
        Ok(Found { dir, name, node })
    }

    pub(crate) fn is_mount(&self, path: &str) -> bool {
        self.table.contains_key(path)
    }

    /// Where what lies at the absolute `path` is mounted; empty for the container's own layer.
    pub(crate) fn mounted_at<'a>(&self, path: &'a str) -> &'a str {
        let mut at = path;
        while !at.is_empty() && !self.is_mount(at) {
            at = at.rsplit_once('/').map_or("", |(above, _)| above);
        }
        at
    }

    /// Whether something is mounted at or below `path`.
    pub(crate) fn holds_mount(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.is_mount(path) || self.table.keys().any(|k| k.starts_with(&below))
    }

    pub(crate) fn emit(&self, event: FileEvent<'_>) -> podlab_trace::Seq {
        let volume = match event.volume {
            Some(v) if !v.is(&self.root) => v.name().to_owned(),
            _ => String::new(),
        };
        let now = match event.volume {
            Some(v) => v.sim_now(),
            None => self.root.sim_now(),
        };
        let kind = Kind::File {
            op: event.op,
            path: if event.path.is_empty() { "/".into() } else { event.path.into() },
            volume,
            to: event.to.into(),
            offset: event.offset,
            len: event.len,
            payload: self.trace.clip(event.payload),
            error: event.error.map(|e| e.name().to_owned()).unwrap_or_default(),
        };
        self.trace.emit(now, self.place, kind)
    }
}

pub(crate) struct FileEvent<'a> {
    pub(crate) op: FileOp,
    pub(crate) path: &'a str,
    pub(crate) volume: Option<&'a Volume>,
    pub(crate) to: &'a str,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) payload: &'a [u8],
    pub(crate) error: Option<Errno>,
}

impl<'a> FileEvent<'a> {
    pub(crate) fn new(op: FileOp, path: &'a str, volume: Option<&'a Volume>) -> FileEvent<'a> {
        FileEvent { op, path, volume, to: "", offset: 0, len: 0, payload: &[], error: None }
    }
}

impl Mount {
    pub(crate) fn node(&self) -> Node {
        match self {
            Mount::Volume { pin, read_only } => {
                Node::Inode { volume: pin.volume.clone(), ino: pin.ino, read_only: *read_only }
            }
            Mount::Device(device) => Node::Device(device.clone()),
        }
    }
}

impl Node {
    pub(crate) fn kind(&self) -> FileType {
        match self {
            Node::Inode { volume, ino, .. } => volume.lock().kind(*ino),
            Node::Device(_) => FileType::Device,
        }
    }

    pub(crate) fn volume(&self) -> Option<&Volume> {
        match self {
            Node::Inode { volume, .. } => Some(volume),
            Node::Device(_) => None,
        }
    }
}

impl Trail {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn node(&self) -> &Node {
        &self.steps.last().expect("a trail has a root").1
    }

    pub(crate) fn push(&mut self, name: &str, node: Node) {
        self.path.push('/');
        self.path.push_str(name);
        self.steps.push((self.path.len(), node));
    }

    fn pop(&mut self) {
        self.steps.pop();
        self.path.truncate(self.steps.last().expect("a trail has a root").0);
    }
}

/// A path without `.` and empty components; `..` is refused.
fn clean(path: &str) -> Result<String, Errno> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.contains(&"..") {
        return Err(Errno::Invalid);
    }
    Ok(parts.join("/"))
}
