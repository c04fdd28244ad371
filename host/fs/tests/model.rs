//! Random operations on a mounted volume and on a simple model of POSIX give the same answers:
//! same results, same errors, same bytes, same use of the quota.

use std::collections::BTreeMap;

use podlab_fs::volume::INODE_COST;
use podlab_fs::{Errno, FileType, Handle, Mounts, OpenOptions, Volume, VolumeOptions};
use podlab_sim::Sim;
use podlab_trace::Trace;
use proptest::prelude::*;

const QUOTA: u64 = 6 * INODE_COST + 3000;
const SLOTS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Open {
        slot: usize,
        path: String,
        options: Options,
    },
    Close(usize),
    Write {
        slot: usize,
        offset: u64,
        len: usize,
        byte: u8,
    },
    Append {
        slot: usize,
        len: usize,
        byte: u8,
    },
    Read {
        slot: usize,
        offset: u64,
        len: usize,
    },
    SetSize {
        slot: usize,
        size: u64,
    },
    Stat {
        slot: usize,
    },
    Mkdir(String),
    /// In the directory that the slot holds open, which may be removed by then.
    MkdirIn(usize, String),
    Rmdir(String),
    Unlink(String),
    Rename(String, String),
    Link(String, String),
    Symlink(String, String),
    Readlink(String),
    StatAt(String, bool),
    Readdir(String),
}

#[derive(Clone, Copy, Debug)]
struct Options {
    write: bool,
    create: bool,
    exclusive: bool,
    truncate: bool,
    directory: bool,
    follow: bool,
}

/// A result that both sides can give.
#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    Bytes(Vec<u8>),
    Known { kind: FileType, size: u64, links: u64 },
    Target(String),
    Names(Vec<(String, FileType)>),
    NoHandle,
}

type Outcome = Result<Answer, Errno>;

// ---------------------------------------------------------------------------------- the model

#[derive(Clone, Debug)]
enum Thing {
    File(Vec<u8>),
    Dir(BTreeMap<String, usize>),
    Link(String),
}

/// All things ever made, by number; those without a name and not open are gone.
struct Model {
    things: Vec<Thing>,
    slots: [Option<(usize, bool)>; SLOTS],
}

/// Where a path leads: the directories down to its parent, and the last name with what has it.
struct Place {
    above: Vec<usize>,
    last: Option<(String, Option<usize>)>,
}

impl Place {
    fn thing(&self) -> Option<usize> {
        match &self.last {
            None => self.above.last().copied(),
            Some((_, thing)) => *thing,
        }
    }

    fn parent(&self) -> usize {
        *self.above.last().unwrap()
    }
}

impl Model {
    fn new() -> Model {
        Model { things: vec![Thing::Dir(BTreeMap::new())], slots: [None; SLOTS] }
    }

    fn dir(&mut self, thing: usize) -> &mut BTreeMap<String, usize> {
        match &mut self.things[thing] {
            Thing::Dir(names) => names,
            other => panic!("{other:?} is no directory"),
        }
    }

    fn kind(&self, thing: usize) -> FileType {
        match self.things[thing] {
            Thing::File(_) => FileType::File,
            Thing::Dir(_) => FileType::Dir,
            Thing::Link(_) => FileType::Symlink,
        }
    }

    fn names_of(&self, thing: usize) -> u64 {
        let dirs = self.things.iter().filter_map(|t| match t {
            Thing::Dir(names) => Some(names),
            _ => None,
        });
        dirs.flat_map(|names| names.values()).filter(|t| **t == thing).count() as u64
            + u64::from(thing == 0)
    }

    fn used(&self) -> u64 {
        let mut sum = 0;
        for thing in 1..self.things.len() {
            let names = self.names_of(thing);
            let open = self.slots.iter().flatten().any(|(t, _)| *t == thing);
            if names == 0 && !open {
                continue;
            }
            sum += INODE_COST * names.max(1);
            sum += match &self.things[thing] {
                Thing::File(bytes) => bytes.len() as u64,
                Thing::Dir(_) => 0,
                Thing::Link(target) => target.len() as u64,
            };
        }
        sum
    }

    fn fits(&self, more: u64) -> Result<(), Errno> {
        if self.used() + more > QUOTA { Err(Errno::InsufficientSpace) } else { Ok(()) }
    }

    fn walk(
        &self,
        mut above: Vec<usize>,
        path: &str,
        follow: bool,
        links: &mut u32,
    ) -> Result<Place, Errno> {
        if path.starts_with('/') {
            above.truncate(1);
        }
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        for (n, part) in parts.iter().enumerate() {
            let is_last = n + 1 == parts.len();
            if *part == "." {
                continue;
            }
            if *part == ".." {
                if above.len() > 1 {
                    above.pop();
                }
                continue;
            }
            let Thing::Dir(names) = &self.things[*above.last().unwrap()] else { unreachable!() };
            let Some(thing) = names.get(*part).copied() else {
                let last = Some(((*part).to_owned(), None));
                return if is_last { Ok(Place { above, last }) } else { Err(Errno::NoEntry) };
            };
            let place = match &self.things[thing] {
                Thing::Link(target) if !is_last || follow => {
                    *links += 1;
                    if *links > 40 {
                        return Err(Errno::Loop);
                    }
                    self.walk(above.clone(), target, true, links)?
                }
                _ => Place { above: above.clone(), last: Some(((*part).to_owned(), Some(thing))) },
            };
            if is_last {
                return Ok(place);
            }
            let Some(next) = place.thing() else { return Err(Errno::NoEntry) };
            if self.kind(next) != FileType::Dir {
                return Err(Errno::NotDirectory);
            }
            above = place.above;
            if place.last.is_some() {
                above.push(next);
            }
        }
        Ok(Place { above, last: None })
    }

    fn find(&self, path: &str, follow: bool) -> Result<Place, Errno> {
        self.walk(vec![0], path, follow, &mut 0)
    }

    fn make(&mut self, place: &Place, thing: Thing, cost: u64) -> Result<usize, Errno> {
        self.fits(cost)?;
        self.things.push(thing);
        let made = self.things.len() - 1;
        let (name, _) = place.last.clone().unwrap();
        self.dir(place.parent()).insert(name, made);
        Ok(made)
    }

    fn file(&mut self, slot: usize, write: bool) -> Result<Option<&mut Vec<u8>>, Errno> {
        let Some((thing, writable)) = self.slots[slot] else { return Ok(None) };
        match &mut self.things[thing] {
            Thing::Dir(_) => Err(Errno::IsDirectory),
            _ if write && !writable => Err(Errno::BadDescriptor),
            Thing::File(bytes) => Ok(Some(bytes)),
            Thing::Link(_) => unreachable!("links are not opened"),
        }
    }

    fn write(&mut self, slot: usize, offset: Option<u64>, data: &[u8]) -> Outcome {
        let Some(bytes) = self.file(slot, true)? else { return Ok(Answer::NoHandle) };
        let offset = offset.map_or(bytes.len(), |o| o as usize);
        let end = offset + data.len();
        if data.is_empty() {
            return Ok(Answer::Done);
        }
        let more = end.saturating_sub(bytes.len());
        self.fits(more as u64)?;
        let bytes = self.file(slot, true)?.unwrap();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(data);
        Ok(Answer::Done)
    }

    fn set_size(&mut self, slot: usize, size: u64) -> Outcome {
        let Some(bytes) = self.file(slot, true)? else { return Ok(Answer::NoHandle) };
        let more = size.saturating_sub(bytes.len() as u64);
        self.fits(more)?;
        self.file(slot, true)?.unwrap().resize(size as usize, 0);
        Ok(Answer::Done)
    }

    fn known(&self, thing: usize) -> Answer {
        let size = match &self.things[thing] {
            Thing::File(bytes) => bytes.len(),
            Thing::Dir(names) => names.len(),
            Thing::Link(target) => target.len(),
        };
        Answer::Known { kind: self.kind(thing), size: size as u64, links: self.names_of(thing) }
    }

    fn open(&mut self, slot: usize, path: &str, options: Options) -> Outcome {
        let exclusive = options.create && options.exclusive;
        let place = self.find(path, options.follow && !exclusive)?;
        let (thing, made) = match place.thing() {
            Some(_) if exclusive => return Err(Errno::Exist),
            Some(thing) => (thing, false),
            None if !options.create => return Err(Errno::NoEntry),
            None if options.directory => return Err(Errno::IsDirectory),
            None => (self.make(&place, Thing::File(Vec::new()), INODE_COST)?, true),
        };
        match self.kind(thing) {
            FileType::Symlink => return Err(Errno::Loop),
            FileType::Dir if options.write || options.truncate => return Err(Errno::IsDirectory),
            FileType::File if options.directory => return Err(Errno::NotDirectory),
            _ => {}
        }
        if options.truncate && !made {
            self.things[thing] = Thing::File(Vec::new());
        }
        self.slots[slot] = Some((thing, options.write));
        Ok(Answer::Done)
    }

    fn rename(&mut self, from: &str, to: &str) -> Outcome {
        let (old, new) = (self.find(from, false)?, self.find(to, false)?);
        let thing = old.thing().ok_or(Errno::NoEntry)?;
        let (Some((old_name, _)), Some((new_name, target))) = (&old.last, &new.last) else {
            return Err(Errno::Busy);
        };
        if *target == Some(thing) {
            return Ok(Answer::Done);
        }
        let moving_dir = self.kind(thing) == FileType::Dir;
        if moving_dir && new.above.contains(&thing) {
            return Err(Errno::Invalid);
        }
        if let Some(target) = *target {
            match (moving_dir, &self.things[target]) {
                (false, Thing::Dir(_)) => return Err(Errno::IsDirectory),
                (true, Thing::Dir(names)) if !names.is_empty() => return Err(Errno::NotEmpty),
                (true, Thing::Dir(_)) | (false, _) => {}
                (true, _) => return Err(Errno::NotDirectory),
            }
        }
        self.dir(old.parent()).remove(old_name);
        self.dir(new.parent()).insert(new_name.clone(), thing);
        Ok(Answer::Done)
    }

    fn apply(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Open { slot, path, options } => self.open(*slot, path, *options),
            Op::Close(slot) => {
                self.slots[*slot] = None;
                Ok(Answer::Done)
            }
            Op::Write { slot, offset, len, byte } => {
                self.write(*slot, Some(*offset), &vec![*byte; *len])
            }
            Op::Append { slot, len, byte } => self.write(*slot, None, &vec![*byte; *len]),
            Op::Read { slot, offset, len } => {
                let Some(bytes) = self.file(*slot, false)? else { return Ok(Answer::NoHandle) };
                let start = (*offset as usize).min(bytes.len());
                let end = (start + len).min(bytes.len());
                Ok(Answer::Bytes(bytes[start..end].to_vec()))
            }
            Op::SetSize { slot, size } => self.set_size(*slot, *size),
            Op::Stat { slot } => Ok(match self.slots[*slot] {
                Some((thing, _)) => self.known(thing),
                None => Answer::NoHandle,
            }),
            Op::Mkdir(path) => {
                let place = self.find(path, false)?;
                if place.thing().is_some() {
                    return Err(Errno::Exist);
                }
                self.make(&place, Thing::Dir(BTreeMap::new()), INODE_COST)?;
                Ok(Answer::Done)
            }
            Op::MkdirIn(slot, name) => {
                let Some((dir, _)) = self.slots[*slot] else { return Ok(Answer::NoHandle) };
                if self.kind(dir) != FileType::Dir {
                    return Err(Errno::NotDirectory);
                }
                if self.dir(dir).contains_key(name) {
                    return Err(Errno::Exist);
                }
                if self.names_of(dir) == 0 {
                    return Err(Errno::NoEntry);
                }
                let place = Place { above: vec![dir], last: Some((name.clone(), None)) };
                self.make(&place, Thing::Dir(BTreeMap::new()), INODE_COST)?;
                Ok(Answer::Done)
            }
            Op::Rmdir(path) | Op::Unlink(path) => {
                let place = self.find(path, false)?;
                let thing = place.thing().ok_or(Errno::NoEntry)?;
                let Some((name, _)) = &place.last else { return Err(Errno::Invalid) };
                match (&self.things[thing], matches!(op, Op::Rmdir(_))) {
                    (Thing::Dir(names), true) if names.is_empty() => {}
                    (Thing::Dir(_), true) => return Err(Errno::NotEmpty),
                    (Thing::Dir(_), false) => return Err(Errno::IsDirectory),
                    (_, true) => return Err(Errno::NotDirectory),
                    (_, false) => {}
                }
                self.dir(place.parent()).remove(name);
                Ok(Answer::Done)
            }
            Op::Rename(from, to) => self.rename(from, to),
            Op::Link(from, to) => {
                let (old, new) = (self.find(from, false)?, self.find(to, false)?);
                let thing = old.thing().ok_or(Errno::NoEntry)?;
                if new.thing().is_some() {
                    return Err(Errno::Exist);
                }
                if self.kind(thing) == FileType::Dir {
                    return Err(Errno::NotPermitted);
                }
                self.fits(INODE_COST)?;
                let (name, _) = new.last.clone().unwrap();
                self.dir(new.parent()).insert(name, thing);
                Ok(Answer::Done)
            }
            Op::Symlink(target, path) => {
                let place = self.find(path, false)?;
                if place.thing().is_some() {
                    return Err(Errno::Exist);
                }
                let cost = INODE_COST + target.len() as u64;
                self.make(&place, Thing::Link(target.clone()), cost)?;
                Ok(Answer::Done)
            }
            Op::Readlink(path) => {
                let thing = self.find(path, false)?.thing().ok_or(Errno::NoEntry)?;
                match &self.things[thing] {
                    Thing::Link(target) => Ok(Answer::Target(target.clone())),
                    _ => Err(Errno::Invalid),
                }
            }
            Op::StatAt(path, follow) => {
                let thing = self.find(path, *follow)?.thing().ok_or(Errno::NoEntry)?;
                Ok(self.known(thing))
            }
            Op::Readdir(path) => {
                let thing = self.find(path, true)?.thing().ok_or(Errno::NoEntry)?;
                match &self.things[thing] {
                    Thing::Dir(names) => Ok(Answer::Names(
                        names.iter().map(|(n, t)| (n.clone(), self.kind(*t))).collect(),
                    )),
                    _ => Err(Errno::NotDirectory),
                }
            }
        }
    }
}

// ------------------------------------------------------------------------------- the real one

struct Real {
    volume: Volume,
    root: Handle,
    slots: [Option<Handle>; SLOTS],
}

impl Real {
    fn new() -> Real {
        let sim = Sim::new(1, 0);
        let volume = Volume::new(
            &sim.handle(),
            "layer",
            VolumeOptions { quota: Some(QUOTA), read_only: false },
        );
        let trace = Trace::new(1 << 20);
        let place = trace.place(0, "node", "ns", "pod", "container");
        let root = Mounts::new(volume.clone(), &trace, place).root();
        Real { volume, root, slots: [const { None }; SLOTS] }
    }

    fn known(stat: podlab_fs::Stat) -> Answer {
        Answer::Known { kind: stat.kind, size: stat.size, links: stat.links }
    }

    fn apply(&mut self, op: &Op) -> Outcome {
        let root = &self.root;
        match op {
            Op::Open { slot, path, options } => {
                let o = *options;
                let options = OpenOptions {
                    read: true,
                    write: o.write,
                    create: o.create,
                    exclusive: o.exclusive,
                    truncate: o.truncate,
                    directory: o.directory,
                    follow: o.follow,
                };
                self.slots[*slot] = Some(root.open_at(path, options)?);
                Ok(Answer::Done)
            }
            Op::Close(slot) => {
                self.slots[*slot] = None;
                Ok(Answer::Done)
            }
            Op::Mkdir(path) => root.create_directory_at(path).map(|()| Answer::Done),
            Op::Rmdir(path) => root.remove_directory_at(path).map(|()| Answer::Done),
            Op::Unlink(path) => root.unlink_file_at(path).map(|()| Answer::Done),
            Op::Rename(from, to) => root.rename_at(from, root, to).map(|()| Answer::Done),
            Op::Link(from, to) => root.link_at(from, false, root, to).map(|()| Answer::Done),
            Op::Symlink(target, path) => root.symlink_at(target, path).map(|()| Answer::Done),
            Op::Readlink(path) => root.readlink_at(path).map(Answer::Target),
            Op::StatAt(path, follow) => root.stat_at(path, *follow).map(Real::known),
            Op::Readdir(path) => {
                let options = OpenOptions { read: true, follow: true, ..OpenOptions::default() };
                let entries = root.open_at(path, options)?.entries()?;
                Ok(Answer::Names(entries.into_iter().map(|(n, k, _)| (n, k)).collect()))
            }
            Op::Write { slot, .. }
            | Op::Append { slot, .. }
            | Op::Read { slot, .. }
            | Op::SetSize { slot, .. }
            | Op::Stat { slot }
            | Op::MkdirIn(slot, _) => match &self.slots[*slot] {
                None => Ok(Answer::NoHandle),
                Some(handle) => Real::apply_to(handle, op),
            },
        }
    }

    fn apply_to(handle: &Handle, op: &Op) -> Outcome {
        match op {
            Op::Write { offset, len, byte, .. } => {
                handle.write(&vec![*byte; *len], *offset).map(|_| Answer::Done)
            }
            Op::Append { len, byte, .. } => handle.append(&vec![*byte; *len]).map(|_| Answer::Done),
            Op::Read { offset, len, .. } => {
                handle.read(*len, *offset).map(|b| Answer::Bytes(b.to_vec()))
            }
            Op::SetSize { size, .. } => handle.set_size(*size).map(|()| Answer::Done),
            Op::Stat { .. } => Ok(Real::known(handle.stat())),
            Op::MkdirIn(_, name) => handle.create_directory_at(name).map(|()| Answer::Done),
            other => unreachable!("{other:?} needs no handle"),
        }
    }
}

// ------------------------------------------------------------------------------ what is tried

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![6 => "[abc]", 1 => Just("..".to_owned()), 1 => Just(".".to_owned())];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![3 => path(), 1 => path().prop_map(|p| format!("/{p}"))]
}

fn options() -> impl Strategy<Value = Options> {
    let mostly = prop::bool::weighted(0.8);
    let rarely = || prop::bool::weighted(0.2);
    (mostly, mostly, rarely(), rarely(), rarely(), mostly).prop_map(
        |(write, create, exclusive, truncate, directory, follow)| Options {
            write,
            create,
            exclusive,
            truncate,
            directory,
            follow,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let slot = 0..SLOTS;
    prop_oneof![
        6 => (slot.clone(), path(), options())
            .prop_map(|(slot, path, options)| Op::Open { slot, path, options }),
        1 => slot.clone().prop_map(Op::Close),
        3 => (slot.clone(), 0..2000u64, 0..1500usize, any::<u8>())
            .prop_map(|(slot, offset, len, byte)| Op::Write { slot, offset, len, byte }),
        2 => (slot.clone(), 0..900usize, any::<u8>())
            .prop_map(|(slot, len, byte)| Op::Append { slot, len, byte }),
        3 => (slot.clone(), 0..2500u64, 0..3000usize)
            .prop_map(|(slot, offset, len)| Op::Read { slot, offset, len }),
        1 => (slot.clone(), 0..4000u64).prop_map(|(slot, size)| Op::SetSize { slot, size }),
        1 => slot.clone().prop_map(|slot| Op::Stat { slot }),
        3 => path().prop_map(Op::Mkdir),
        1 => (slot, "[abc]").prop_map(|(slot, name)| Op::MkdirIn(slot, name)),
        2 => path().prop_map(Op::Rmdir),
        3 => path().prop_map(Op::Unlink),
        4 => (path(), path()).prop_map(|(a, b)| Op::Rename(a, b)),
        2 => (path(), path()).prop_map(|(a, b)| Op::Link(a, b)),
        2 => (target(), path()).prop_map(|(a, b)| Op::Symlink(a, b)),
        1 => path().prop_map(Op::Readlink),
        2 => (path(), any::<bool>()).prop_map(|(p, follow)| Op::StatAt(p, follow)),
        1 => path().prop_map(Op::Readdir),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_volume_behaves_as_the_model(ops in prop::collection::vec(op(), 1..60)) {
        let (mut model, mut real) = (Model::new(), Real::new());
        for (n, op) in ops.iter().enumerate() {
            let (wanted, got) = (model.apply(op), real.apply(op));
            prop_assert_eq!(&got, &wanted, "operation {} {:?}", n, op);
            prop_assert_eq!(real.volume.used(), model.used(), "used after {} {:?}", n, op);
            prop_assert!(real.volume.used() <= QUOTA);
        }
        // Nothing is left over once everything is closed and removed.
        real.slots = [const { None }; SLOTS];
        for (name, ..) in real.root.entries().unwrap() {
            real.volume.remove(&name).unwrap();
        }
        prop_assert_eq!(real.volume.used(), 0);
    }
}
