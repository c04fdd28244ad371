//! Errors, as POSIX names them; each is one of `wasi:filesystem`'s error codes.

use std::fmt;

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of POSIX")]
pub enum Errno {
    Access,
    BadDescriptor,
    Busy,
    Exist,
    FileTooLarge,
    Invalid,
    Io,
    IsDirectory,
    Loop,
    TooManyLinks,
    NameTooLong,
    NoDevice,
    NoEntry,
    InsufficientSpace,
    NotDirectory,
    NotEmpty,
    Unsupported,
    NotPermitted,
    ReadOnly,
    CrossDevice,
}

impl Errno {
    /// "ENOENT".
    pub fn name(self) -> &'static str {
        match self {
            Errno::Access => "EACCES",
            Errno::BadDescriptor => "EBADF",
            Errno::Busy => "EBUSY",
            Errno::Exist => "EEXIST",
            Errno::FileTooLarge => "EFBIG",
            Errno::Invalid => "EINVAL",
            Errno::Io => "EIO",
            Errno::IsDirectory => "EISDIR",
            Errno::Loop => "ELOOP",
            Errno::TooManyLinks => "EMLINK",
            Errno::NameTooLong => "ENAMETOOLONG",
            Errno::NoDevice => "ENODEV",
            Errno::NoEntry => "ENOENT",
            Errno::InsufficientSpace => "ENOSPC",
            Errno::NotDirectory => "ENOTDIR",
            Errno::NotEmpty => "ENOTEMPTY",
            Errno::Unsupported => "ENOTSUP",
            Errno::NotPermitted => "EPERM",
            Errno::ReadOnly => "EROFS",
            Errno::CrossDevice => "EXDEV",
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Errno {}
