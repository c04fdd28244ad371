//! `wasi:filesystem` over the container's mounts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use podlab_fs::{Errno, FileType, Handle, OpenOptions, SignalQueue, Stat};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, IoError, OutputStream, Pollable, StreamError,
    StreamResult,
};

use super::{Fail, View};
use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use crate::metering::Meter;

/// The most one read or write moves, in bytes.
const MAX_MOVE: usize = 64 << 10;

/// How many bytes written cost one unit of fuel: copying is not free, and a program must not be
/// able to fill the memory of the real machine in no time.
const BYTES_PER_FUEL: u64 = 4;

/// What an entry of a directory takes beside its name, in bytes.
const ENTRY_BYTES: usize = 128;

/// An open file or directory of a program.
pub struct Descriptor {
    handle: Arc<Handle>,
    flags: DescriptorFlags,
}

/// A directory being listed.
pub struct Entries(std::vec::IntoIter<DirectoryEntry>);

type FileResult<T> = Result<T, Fail<ErrorCode>>;

impl From<Errno> for Fail<ErrorCode> {
    fn from(e: Errno) -> Self {
        Fail::Code(code(e))
    }
}

fn code(e: Errno) -> ErrorCode {
    match e {
        Errno::Access => ErrorCode::Access,
        Errno::BadDescriptor => ErrorCode::BadDescriptor,
        Errno::Busy => ErrorCode::Busy,
        Errno::Exist => ErrorCode::Exist,
        Errno::FileTooLarge => ErrorCode::FileTooLarge,
        Errno::Invalid => ErrorCode::Invalid,
        Errno::Io => ErrorCode::Io,
        Errno::IsDirectory => ErrorCode::IsDirectory,
        Errno::Loop => ErrorCode::Loop,
        Errno::TooManyLinks => ErrorCode::TooManyLinks,
        Errno::NameTooLong => ErrorCode::NameTooLong,
        Errno::NoDevice => ErrorCode::NoDevice,
        Errno::NoEntry => ErrorCode::NoEntry,
        Errno::InsufficientSpace => ErrorCode::InsufficientSpace,
        Errno::NotDirectory => ErrorCode::NotDirectory,
        Errno::NotEmpty => ErrorCode::NotEmpty,
        Errno::Unsupported => ErrorCode::Unsupported,
        Errno::NotPermitted => ErrorCode::NotPermitted,
        Errno::ReadOnly => ErrorCode::ReadOnly,
        Errno::CrossDevice => ErrorCode::CrossDevice,
    }
}

fn kind(of: FileType) -> DescriptorType {
    match of {
        FileType::File => DescriptorType::RegularFile,
        FileType::Dir => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Device => DescriptorType::CharacterDevice,
    }
}

fn time(ns: u64) -> Datetime {
    Datetime { seconds: ns / 1_000_000_000, nanoseconds: (ns % 1_000_000_000) as u32 }
}

fn stat(s: Stat) -> DescriptorStat {
    DescriptorStat {
        type_: kind(s.kind),
        link_count: s.links,
        size: s.size,
        data_access_timestamp: Some(time(s.atime)),
        data_modification_timestamp: Some(time(s.mtime)),
        status_change_timestamp: Some(time(s.ctime)),
    }
}

/// A number that two names share if, and only if, they are the same file (Rust's std makes
/// device and inode numbers of it).
fn hash(s: Stat) -> MetadataHashValue {
    MetadataHashValue { lower: s.ino, upper: s.volume }
}

struct FileReader {
    handle: Arc<Handle>,
    offset: u64,
}

struct FileWriter {
    handle: Arc<Handle>,
    /// `None` appends.
    offset: Option<u64>,
    sim: podlab_sim::Handle,
    meter: Meter,
    delay: u64,
}

struct SignalReader(SignalQueue);

#[derive(Debug)]
struct StreamErrno(Errno);

impl std::fmt::Display for StreamErrno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for StreamErrno {}

fn stream_error(errno: Errno) -> StreamError {
    StreamError::LastOperationFailed(wasmtime::Error::new(StreamErrno(errno)))
}

#[async_trait::async_trait]
impl Pollable for FileReader {
    async fn ready(&mut self) {}
}

impl InputStream for FileReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.handle.read(size.min(MAX_MOVE), self.offset).map_err(stream_error)?;
        if bytes.is_empty() {
            return Err(StreamError::Closed);
        }
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }
}

#[async_trait::async_trait]
impl Pollable for SignalReader {
    async fn ready(&mut self) {
        self.0.ready().await;
    }
}

impl InputStream for SignalReader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        Ok(self.0.take(size))
    }
}

#[async_trait::async_trait]
impl Pollable for FileWriter {
    async fn ready(&mut self) {
        // A slow disk: the next write is possible once the last one is through.
        let delay = std::mem::take(&mut self.delay);
        if delay > 0 {
            self.sim.sleep(Duration::from_nanos(delay)).await;
        }
    }
}

impl OutputStream for FileWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.delay = self.handle.write_delay();
        self.meter.owe(bytes.len() as u64 / BYTES_PER_FUEL);
        match &mut self.offset {
            Some(offset) => {
                let n = self.handle.write(&bytes, *offset).map_err(stream_error)?;
                *offset += n as u64;
            }
            None => {
                self.handle.append(&bytes).map_err(stream_error)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.delay > 0 { 0 } else { MAX_MOVE })
    }
}

impl preopens::Host for View<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let flags =
            DescriptorFlags::READ | DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY;
        let root = Descriptor { handle: Arc::new(self.mounts.root()), flags };
        Ok(vec![(self.table.push(root).map_err(super::handles)?, "/".into())])
    }
}

impl View<'_> {
    fn handle(&self, descriptor: &Resource<Descriptor>) -> FileResult<Arc<Handle>> {
        Ok(self.table.get(descriptor)?.handle.clone())
    }

    fn stamp(&self, new: NewTimestamp) -> FileResult<Option<u64>> {
        match new {
            NewTimestamp::NoChange => Ok(None),
            NewTimestamp::Now => Ok(Some(self.sim.unix_nanos())),
            NewTimestamp::Timestamp(t) => t
                .seconds
                .checked_mul(1_000_000_000)
                .and_then(|s| s.checked_add(u64::from(t.nanoseconds)))
                .map(Some)
                .ok_or(Fail::Code(ErrorCode::Overflow)),
        }
    }
}

impl types::Host for View<'_> {
    fn convert_error_code(&mut self, fail: Fail<ErrorCode>) -> wasmtime::Result<ErrorCode> {
        fail.code()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<IoError>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<StreamErrno>().map(|e| code(e.0)))
    }
}

impl types::HostDescriptor for View<'_> {
    fn read_via_stream(
        &mut self,
        d: Resource<Descriptor>,
        offset: u64,
    ) -> FileResult<Resource<DynInputStream>> {
        let handle = self.handle(&d)?;
        if handle.kind() == FileType::Dir {
            return Err(ErrorCode::IsDirectory.into());
        }
        let stream: DynInputStream = match handle.signals() {
            Some(queue) => Box::new(SignalReader(queue.clone())),
            None => Box::new(FileReader { handle, offset }),
        };
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        d: Resource<Descriptor>,
        offset: u64,
    ) -> FileResult<Resource<DynOutputStream>> {
        self.writer(&d, Some(offset))
    }

    fn append_via_stream(
        &mut self,
        d: Resource<Descriptor>,
    ) -> FileResult<Resource<DynOutputStream>> {
        self.writer(&d, None)
    }

    fn advise(&mut self, _: Resource<Descriptor>, _: u64, _: u64, _: Advice) -> FileResult<()> {
        Ok(())
    }

    fn sync_data(&mut self, _: Resource<Descriptor>) -> FileResult<()> {
        Ok(())
    }

    fn get_flags(&mut self, d: Resource<Descriptor>) -> FileResult<DescriptorFlags> {
        Ok(self.table.get(&d)?.flags)
    }

    fn get_type(&mut self, d: Resource<Descriptor>) -> FileResult<DescriptorType> {
        Ok(kind(self.handle(&d)?.kind()))
    }

    fn set_size(&mut self, d: Resource<Descriptor>, size: u64) -> FileResult<()> {
        let handle = self.handle(&d)?;
        if handle.kind() == FileType::File && !handle.mode().1 {
            // ftruncate(2): EINVAL, not EBADF.
            return Err(ErrorCode::Invalid.into());
        }
        Ok(handle.set_size(size)?)
    }

    fn set_times(
        &mut self,
        d: Resource<Descriptor>,
        atime: NewTimestamp,
        mtime: NewTimestamp,
    ) -> FileResult<()> {
        let (atime, mtime) = (self.stamp(atime)?, self.stamp(mtime)?);
        Ok(self.handle(&d)?.set_times(atime, mtime)?)
    }

    async fn read(
        &mut self,
        d: Resource<Descriptor>,
        len: u64,
        offset: u64,
    ) -> FileResult<(Vec<u8>, bool)> {
        let handle = self.handle(&d)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(MAX_MOVE);
        if let Some(queue) = handle.signals() {
            if len > 0 {
                queue.ready().await;
            }
            return Ok((queue.take(len).to_vec(), false));
        }
        let bytes = handle.read(len, offset)?;
        let end = len > 0 && bytes.is_empty();
        Ok((bytes.to_vec(), end))
    }

    async fn write(
        &mut self,
        d: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: u64,
    ) -> FileResult<u64> {
        let handle = self.handle(&d)?;
        let delay = handle.write_delay();
        if delay > 0 {
            self.sim.sleep(Duration::from_nanos(delay)).await;
        }
        self.meter.owe(bytes.len() as u64 / BYTES_PER_FUEL);
        Ok(handle.write(&bytes, offset)? as u64)
    }

    fn read_directory(&mut self, d: Resource<Descriptor>) -> FileResult<Resource<Entries>> {
        let entries: Vec<_> = self
            .handle(&d)?
            .entries()?
            .into_iter()
            .map(|(name, of, _)| DirectoryEntry { type_: kind(of), name })
            .collect();
        // The whole list is copied now, although the program takes it entry by entry.
        let bytes: usize = entries.iter().map(|e| e.name.len() + ENTRY_BYTES).sum();
        self.meter.owe(bytes as u64 / BYTES_PER_FUEL);
        Ok(self.table.push(Entries(entries.into_iter()))?)
    }

    fn sync(&mut self, _: Resource<Descriptor>) -> FileResult<()> {
        Ok(())
    }

    fn create_directory_at(&mut self, d: Resource<Descriptor>, path: String) -> FileResult<()> {
        Ok(self.handle(&d)?.create_directory_at(&path)?)
    }

    fn stat(&mut self, d: Resource<Descriptor>) -> FileResult<DescriptorStat> {
        Ok(stat(self.handle(&d)?.stat()))
    }

    fn stat_at(
        &mut self,
        d: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FileResult<DescriptorStat> {
        Ok(stat(self.handle(&d)?.stat_at(&path, follow(flags))?))
    }

    fn set_times_at(
        &mut self,
        d: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        atime: NewTimestamp,
        mtime: NewTimestamp,
    ) -> FileResult<()> {
        let (atime, mtime) = (self.stamp(atime)?, self.stamp(mtime)?);
        Ok(self.handle(&d)?.set_times_at(&path, follow(flags), atime, mtime)?)
    }

    fn link_at(
        &mut self,
        d: Resource<Descriptor>,
        flags: PathFlags,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FileResult<()> {
        let to = self.handle(&to)?;
        Ok(self.handle(&d)?.link_at(&old, follow(flags), &to, &new)?)
    }

    fn open_at(
        &mut self,
        d: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FileResult<Resource<Descriptor>> {
        let write = flags.contains(DescriptorFlags::WRITE);
        let options = OpenOptions {
            read: flags.contains(DescriptorFlags::READ),
            write,
            create: open.contains(OpenFlags::CREATE),
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            truncate: open.contains(OpenFlags::TRUNCATE),
            directory: open.contains(OpenFlags::DIRECTORY),
            follow: follow(path_flags),
        };
        let handle = self.handle(&d)?.open_at(&path, options)?;
        Ok(self.table.push(Descriptor { handle: Arc::new(handle), flags })?)
    }

    fn readlink_at(&mut self, d: Resource<Descriptor>, path: String) -> FileResult<String> {
        Ok(self.handle(&d)?.readlink_at(&path)?)
    }

    fn remove_directory_at(&mut self, d: Resource<Descriptor>, path: String) -> FileResult<()> {
        Ok(self.handle(&d)?.remove_directory_at(&path)?)
    }

    fn rename_at(
        &mut self,
        d: Resource<Descriptor>,
        old: String,
        to: Resource<Descriptor>,
        new: String,
    ) -> FileResult<()> {
        let to = self.handle(&to)?;
        Ok(self.handle(&d)?.rename_at(&old, &to, &new)?)
    }

    fn symlink_at(&mut self, d: Resource<Descriptor>, old: String, new: String) -> FileResult<()> {
        if old.starts_with('/') {
            // wasi:filesystem: an absolute target is not permitted.
            return Err(ErrorCode::NotPermitted.into());
        }
        Ok(self.handle(&d)?.symlink_at(&old, &new)?)
    }

    fn unlink_file_at(&mut self, d: Resource<Descriptor>, path: String) -> FileResult<()> {
        Ok(self.handle(&d)?.unlink_file_at(&path)?)
    }

    fn is_same_object(
        &mut self,
        a: Resource<Descriptor>,
        b: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        Ok(self.table.get(&a)?.handle.is_same(&self.table.get(&b)?.handle))
    }

    fn metadata_hash(&mut self, d: Resource<Descriptor>) -> FileResult<MetadataHashValue> {
        Ok(hash(self.handle(&d)?.stat()))
    }

    fn metadata_hash_at(
        &mut self,
        d: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FileResult<MetadataHashValue> {
        Ok(hash(self.handle(&d)?.stat_at(&path, follow(flags))?))
    }

    fn drop(&mut self, d: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(d)?;
        Ok(())
    }
}

impl View<'_> {
    fn writer(
        &mut self,
        d: &Resource<Descriptor>,
        offset: Option<u64>,
    ) -> FileResult<Resource<DynOutputStream>> {
        let handle = self.handle(d)?;
        if !handle.mode().1 {
            return Err(ErrorCode::BadDescriptor.into());
        }
        let stream: DynOutputStream = Box::new(FileWriter {
            handle,
            offset,
            sim: self.sim.clone(),
            meter: self.meter.clone(),
            delay: 0,
        });
        Ok(self.table.push(stream)?)
    }
}

impl types::HostDirectoryEntryStream for View<'_> {
    fn read_directory_entry(
        &mut self,
        entries: Resource<Entries>,
    ) -> FileResult<Option<DirectoryEntry>> {
        Ok(self.table.get_mut(&entries)?.0.next())
    }

    fn drop(&mut self, entries: Resource<Entries>) -> wasmtime::Result<()> {
        self.table.delete(entries)?;
        Ok(())
    }
}

impl From<ErrorCode> for Fail<ErrorCode> {
    fn from(code: ErrorCode) -> Self {
        Fail::Code(code)
    }
}

fn follow(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}
