//! An ingress controller.
mod canary;
mod objects;
mod table;
pub const SPEC: podlab_guest::args::Spec = podlab_guest::args::Spec{name:"gateway",version:"1",about:"",options:&[]};
pub async fn run(_: podlab_guest::args::Args, _: podlab_guest::runtime::Flag) -> Result<(), String> { Ok(()) }
