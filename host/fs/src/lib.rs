//! The files of a world, all in memory.
#![warn(missing_docs)]
pub mod device;
mod errno;
pub mod handle;
pub mod mounts;
pub mod volume;
pub use device::{Device, SignalQueue};
pub use errno::Errno;
pub use handle::{Handle, OpenOptions};
pub use mounts::{MountOptions, Mounts};
pub use volume::{FileType, Stat, Volume, VolumeFault, VolumeOptions};
