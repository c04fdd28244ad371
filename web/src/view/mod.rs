//! What is on the screen.
//!
//! # Layout
//! - [`app`]: the whole: header, gallery or world
//! - [`gallery`]: the patterns; [`arrival`]: a link is opened; [`opening`]: a recording from a file;
//!   [`belongings`]: progress to and from a file
//! - [`world`]: one world: its picture, its lists, its time; [`banner`]: how the connection is;
//!   [`command`]: what people do to it; [`tour`]: the first minute; [`spoken`]: it in a sentence
//! - [`stage`]: the picture, as SVG, with [`pod`]; [`canvas`]: the moving marks upon it
//! - [`recognise`]: which pattern it is, and what shows it
//! - [`lanes`]: what happened in which order; [`charts`]: numbers over time
//! - [`compare`]: two worlds beside each other, on one clock
//! - [`transport`]: the time of world and view; [`bookmarks`]: instants kept on it;
//!   [`breakpoints`]: events at which it stops
//! - [`panels`]: what stands beside the picture
//! - [`practice`]: the exercises, [`exercise`]: one of them, with its [`editor`]
//! - [`why`]: why a message went where it went; [`compose`]: a request that is written, or sent once more
//! - [`deeds`]: what can be done to a thing, in its [`menu`]; [`object`]: an object as YAML
//! - [`export`]: what can be taken away; [`snapshot`]: the view as a picture
//! - [`recorded`]: what stands there where nothing can be done
//! - [`terminal`]: kubectl, typed
//! - [`lists`]: messages, logs, events; [`lesson`]: the lesson, with [`predict`]: its questions
//! - [`inspector`]: one thing, looked at closely; [`payload`]: bytes in several forms

pub mod app;
pub mod arrival;
pub mod banner;
pub mod belongings;
pub mod bookmarks;
pub mod breakpoints;
pub mod canvas;
pub mod charts;
pub mod command;
pub mod compare;
pub mod compose;
pub mod deeds;
pub mod editor;
pub mod exercise;
pub mod export;
pub mod gallery;
pub mod inspector;
pub mod lanes;
pub mod lesson;
pub mod lists;
pub mod menu;
pub mod object;
pub mod opening;
pub mod panels;
pub mod payload;
pub mod pod;
pub mod practice;
pub mod predict;
pub mod recognise;
pub mod recorded;
pub mod snapshot;
pub mod spoken;
pub mod stage;
pub mod terminal;
pub mod tour;
pub mod transport;
pub mod why;
pub mod world;
