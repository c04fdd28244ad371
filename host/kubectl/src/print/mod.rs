//! How objects are shown.
//!
//! # Layout
//! - [`tabs`]: columns; `table`: what the server wants shown; [`yaml`], [`json`]: whole objects
//! - [`jsonpath`]: templates; `columns`: columns of one's own; [`mod@format`]: which of them
//! - `age`: times, for people

pub mod age;
pub mod columns;
pub mod format;
pub mod json;
pub mod jsonpath;
pub mod table;
pub mod tabs;
pub mod yaml;
