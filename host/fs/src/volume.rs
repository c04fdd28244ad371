//! A volume: a tree of inodes with a quota, and what the host does with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use podlab_sim::Handle;
use podlab_sim::sync::Signal;

use crate::errno::Errno;
use crate::tree::{NewNode, ROOT, Tree, valid_name};

/// The longest name of an entry, in bytes (Linux `NAME_MAX`).
pub const NAME_MAX: usize = 255;
/// The longest path, in bytes (Linux `PATH_MAX`).
pub const PATH_MAX: usize = 4096;
/// How many symbolic links one path may lead through (Linux `MAXSYMLINKS`).
pub const LINKS_MAX: u32 = 40;
/// How many files and directories a volume holds at most, and how many names they have together.
pub const ENTRIES_MAX: usize = 65_536;
/// How deep directories are nested at most. (Linux knows no limit but `PATH_MAX`; this one bounds
/// the host's stack.)
pub const DEPTH_MAX: usize = 256;
/// What a file, directory or link costs of the quota beside its contents, in bytes; each further
/// name of a file costs the same.
pub const INODE_COST: u64 = 128;
/// No file is longer than this, in bytes.
pub const FILE_MAX: u64 = 1 << 32;
/// The quota of a volume that was given none, in bytes. A cluster's nodes have disks of some
/// size; without a bound a program could make the host allocate without end.
pub const DEFAULT_QUOTA: u64 = 256 << 20;
/// No volume holds more than this, in bytes, whatever its quota says: it is the host's memory.
/// (A claim for 8 GiB is granted, and full after this much.)
pub const QUOTA_MAX: u64 = 1 << 30;

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
    /// The most it holds, in bytes: all contents, holes included, and [`INODE_COST`] for each
    /// name. [`DEFAULT_QUOTA`] if it is `None`, and never more than [`QUOTA_MAX`].
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
    /// When it was made, or what [`Handle::set_times`](crate::Handle::set_times) said, in ns
    /// since 1970. Reading does not change it (`noatime`): looking changes nothing.
    pub atime: u64,
    /// Last change of the contents, in ns since 1970.
    pub mtime: u64,
    /// Last change of the inode, in ns since 1970.
    pub ctime: u64,
}

impl Volume {
    /// An empty volume called `name`.
    pub fn new(sim: &Handle, name: &str, options: VolumeOptions) -> Volume {
        let id = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        });
        let tree = Tree::new(id, bound(options.quota), options.read_only, sim.unix_nanos());
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
        self.lock().used()
    }

    /// Changes the most it holds; see [`VolumeOptions::quota`]. What is there already stays.
    pub fn set_quota(&self, quota: Option<u64>) {
        self.lock().quota = bound(quota);
    }

    /// Breaks something, or mends it (with the default).
    pub fn set_fault(&self, fault: VolumeFault) {
        self.lock().fault = fault;
    }

    /// What is broken.
    pub fn fault(&self) -> VolumeFault {
        self.lock().fault
    }

    /// Host side: writes a whole file, making the directories above it. If the contents do not
    /// fit, a file that was there keeps its old ones.
    ///
    /// # Errors
    /// If the path goes through a file, or the quota is exceeded.
    pub fn write(&self, path: &str, contents: &[u8], mode: u32) -> Result<(), Errno> {
        let now = self.now();
        self.lock().write_file(ROOT, path, contents, mode, now)?;
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
        tree.collect(ROOT, "", &mut out);
        out
    }

    /// Replaces all contents at once, as the kubelet does for ConfigMaps and Secrets: the files
    /// go into a new directory, and the link `..data` is swapped over to it, so that a reader
    /// sees all old or all new files. If it fails, nothing has changed.
    ///
    /// # Errors
    /// If the quota is exceeded (old and new files are there together for a moment), if a path
    /// is not one (EINVAL), or if one path goes through the file of another (ENOTDIR).
    pub fn publish(&self, files: &BTreeMap<String, (Vec<u8>, u32)>) -> Result<(), Errno> {
        let now = self.now();
        self.lock().publish(files, now)?;
        self.changed.notify();
        Ok(())
    }
}

/// The quota that holds when `quota` is asked for.
fn bound(quota: Option<u64>) -> u64 {
    quota.unwrap_or(DEFAULT_QUOTA).min(QUOTA_MAX)
}

impl Tree {
    /// Writes a whole file below `dir`.
    pub(crate) fn write_file(
        &mut self,
        mut dir: Ino,
        path: &str,
        contents: &[u8],
        mode: u32,
        now: u64,
    ) -> Result<(), Errno> {
        let mut parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let name = parts.pop().ok_or(Errno::Invalid)?;
        valid_name(name)?;
        for part in parts {
            dir = match self.lookup(dir, part) {
                Ok(ino) => ino,
                Err(Errno::NoEntry) => self.make(dir, part, NewNode::Dir, 0o755, now)?,
                Err(e) => return Err(e),
            };
        }
        match self.lookup(dir, name) {
            Ok(ino) => {
                self.replace(ino, contents, now)?;
                self.set_mode(ino, mode);
                Ok(())
            }
            Err(Errno::NoEntry) => {
                let ino = self.make(dir, name, NewNode::File, mode, now)?;
                self.replace(ino, contents, now).inspect_err(|_| {
                    self.unlink(dir, name, now).expect("it was made just now");
                })
            }
            Err(e) => Err(e),
        }
    }
}
