//! What is on the screen.
//!
//! # Layout
//! - [`app`]: the whole: header, gallery or world
//! - [`gallery`]: the patterns
//! - [`world`]: one world: its picture, its lists, its time; [`banner`]: how the connection is;
//!   [`command`]: what people do to it; [`hint`]: what to do first; [`spoken`]: it in a sentence
//! - [`stage`]: the picture, as SVG, with [`pod`]; [`canvas`]: the moving marks upon it
//! - [`transport`]: the time of world and view
//! - [`panels`]: what stands beside the picture
//! - [`lists`]: messages, logs, events; [`lesson`]: the lesson
//! - [`inspector`]: one thing, looked at closely; [`payload`]: bytes in several forms

pub mod app;
pub mod banner;
pub mod canvas;
pub mod command;
pub mod gallery;
pub mod hint;
pub mod inspector;
pub mod lesson;
pub mod lists;
pub mod panels;
pub mod payload;
pub mod pod;
pub mod spoken;
pub mod stage;
pub mod transport;
pub mod world;
