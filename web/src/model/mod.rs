//! The picture of an instant, as data: `scene = render(trace, t)`.
//!
//! Nothing here knows of a browser; all of it is tested natively.
//!
//! # Layout
//! - [`timeline`]: the events the page has, bounded; the state at any instant among them
//! - [`pod`]: what the picture needs to know of a Pod object
//! - [`layout`]: where everything stands: computed once, nothing moves by itself
//! - [`lanes`]: what happened in which order
//! - [`flight`]: when a mark leaves and arrives on the screen
//! - [`route`]: the line along which it goes
//! - [`exchange`]: request and response together; [`consequence`]: what led to what
//! - [`predict`]: questions of a lesson
//! - [`rows`]: the lists (messages, logs, events); [`filter`]: what they let through
//! - [`chart`]: numbers over time; [`recognise`]: which pattern it is
//! - [`curl`]: a request as a command; [`request`]: one that is being written
//! - [`likeness`]: whether the same happened in two worlds; [`parting`]: where they part;
//!   [`figures`]: a world in a few numbers; [`pair`]: two worlds, as a link; [`lockstep`]: their one clock;
//!   [`variant`]: a pattern's world without the pattern
//! - [`diff`]: what is other in one text than in another
//! - [`field`]: where a field of an object stands in its YAML
//! - [`touch`]: what can be done to a thing; [`yaml`]: an object as people edit it
//! - [`belongings`]: a learner's progress as a file
//! - [`beside`]: where a card stands that points at something
//! - [`bookmark`]: instants that somebody wants to find again; [`breakpoint`]: events at which the world is to stop
//! - [`link`]: what one sees, as a link; [`what`]: a thing in words
//! - [`speed`]: how fast a world runs
//! - [`show`]: bytes and instants as text

pub mod belongings;
pub mod beside;
pub mod bookmark;
pub mod breakpoint;
pub mod chart;
pub mod consequence;
pub mod curl;
pub mod diff;
pub mod exchange;
pub mod field;
pub mod figures;
pub mod filter;
pub mod flight;
pub mod lanes;
pub mod layout;
pub mod likeness;
pub mod link;
pub mod lockstep;
pub mod pair;
pub mod parting;
pub mod pod;
pub mod predict;
pub mod recognise;
pub mod request;
pub mod route;
pub mod rows;
#[cfg(test)]
pub(crate) mod sample;
pub mod show;
pub mod speed;
pub mod timeline;
pub mod touch;
pub mod variant;
pub mod what;
pub mod yaml;
