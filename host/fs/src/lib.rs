//! The files of a world, all in memory.
//!
//! A [`Volume`] is a tree of inodes with a quota; [`Mounts`] is what one container sees: its
//! writable layer with volumes and devices mounted over it; a [`Handle`] is an open file or
//! directory with the operations of `wasi:filesystem`. Everything a program does is in the trace.
//!
//! Nothing here grows without end: contents, names, inodes, depth and path lengths are bounded
//! (see [`volume`]). Nothing depends on the machine: inode numbers count up, times are the
//! world's, directories list by name.
//!
//! # Layout
//! `volume` the host's side, `tree` inodes and names, `contents` a file's bytes, `publish`
//! ConfigMaps and Secrets, `mounts` paths, `handle` open things, `directory` what is done to
//! names in a directory, `device` special files, `errno` errors.
#![warn(missing_docs)]
mod contents;
pub mod device;
mod directory;
mod errno;
pub mod handle;
pub mod mounts;
mod publish;
mod tree;
pub mod volume;
pub use device::{Device, SignalQueue};
pub use errno::Errno;
pub use handle::{Handle, OpenOptions};
pub use mounts::{MountOptions, Mounts};
pub use volume::{FileType, Stat, Volume, VolumeFault, VolumeOptions};
