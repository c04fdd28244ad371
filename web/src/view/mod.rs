//! What is on the screen.
//!
//! # Layout
//! - [`app`]: the whole: header, gallery or world
//! - [`gallery`]: the patterns
//! - [`world`]: one world: its picture, its lists, its time
//! - [`stage`]: the picture, as SVG, with [`pod`]; [`canvas`]: the moving marks upon it
//! - [`transport`]: the time of world and view
//! - [`lists`]: messages, logs, events; [`lesson`]: the lesson
//! - [`inspector`]: one thing, looked at closely; [`payload`]: bytes in several forms

pub mod app;
pub mod canvas;
pub mod gallery;
pub mod inspector;
pub mod lesson;
pub mod lists;
pub mod payload;
pub mod pod;
pub mod stage;
pub mod transport;
pub mod world;
