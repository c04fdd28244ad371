//! The page: a picture of a Podlab world, drawn from its trace alone.
//!
//! # Layout
//! - [`model`]: the picture of an instant as data; knows of no browser
//! - [`session`]: a world as it comes over the stream, and the instant shown
//! - [`address`], [`i18n`]: what the address of the page says; every word in both languages
//! - [`api`], [`stream`]: what is asked of the server, and what it sends by itself
//! - [`download`]: files that leave the page
//! - [`recording`]: what a page without a server plays
//! - [`terminal`]: what is typed in the terminal, and what came back
//! - [`ui`]: language, colours, motion
//! - [`progress`]: how far a learner has come
//! - [`view`]: what is on the screen; [`workshop`]: the pages of a room of learners
//!
//! # What this crate must never know
//! Anything about the world that is not in its trace.
#![warn(missing_docs)]

pub mod address;
pub mod api;
pub mod download;
pub mod i18n;
pub mod model;
pub mod progress;
pub mod recording;
pub mod session;
pub mod stream;
pub mod terminal;
pub mod ui;
pub mod view;
pub mod workshop;

/// Puts the page into the document.
pub fn run() {
    let root =
        web_sys::window().and_then(|w| w.document()).and_then(|d| d.get_element_by_id("app"));
    if let Some(root) = root {
        yew::Renderer::<view::app::App>::with_root(root).render();
    }
}
