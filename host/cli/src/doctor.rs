//! `podlab doctor`: whether this machine is fit to hold a workshop, asked the evening before.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use podlab_server::app::pattern_images;
use podlab_sim::Time;
use podlab_world::{World, WorldOptions, replay};
use serde_json::json;

use crate::problem::Done;
use crate::{embedded, workshop};

/// Memory of one world with its learner, as measured with the pattern sidecar, and some.
const MEMORY_EACH: u64 = 64 << 20;
/// Virtual time of the world that is tried out.
const TRIED: Duration = Duration::from_secs(20);
/// Browsers, by the names of their programs.
const BROWSERS: [&str; 8] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "firefox",
    "brave-browser",
    "microsoft-edge",
    "open",
    "xdg-open",
];

/// Says whether this machine can hold a workshop.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab doctor\n  podlab doctor --port 80 --json\n\nExit codes: 0 all is well, or there are only warnings; 1 something would fail."
)]
pub struct Args {
    /// The address the workshop is to listen on.
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    listen: IpAddr,
    /// The port.
    #[arg(long, default_value_t = 7878)]
    port: u16,
    /// Where workshops are kept [default: $XDG_STATE_HOME/podlab].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Failed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Failed => "failed",
        }
    }
}

/// What was looked at, how it is, and what to know about it.
struct Finding(&'static str, State, String);

/// Looks at everything.
pub fn run(args: Args) -> Done {
    let state = embedded::state_dir(args.state.as_deref());
    let mut found =
        vec![port(args.listen, args.port), network(args.listen), disk(state.as_deref())];
    let memory = available_memory();
    found.push(match memory {
        Some(bytes) => {
            let learners = bytes / MEMORY_EACH;
            let fine = if learners >= 30 { State::Ok } else { State::Warning };
            Finding(
                "memory",
                fine,
                format!("{} MiB are free: enough for about {learners} worlds", bytes >> 20),
            )
        }
        None => {
            Finding("memory", State::Warning, "this system does not say how much is free".into())
        }
    });
    found.push(browser());
    found.push(world(state.as_deref()));
    if args.json {
        let all: Vec<_> = found
            .iter()
            .map(|Finding(what, state, about)| json!({ "what": what, "state": state.word(), "about": about }))
            .collect();
        println!("{:#}", json!(all));
    } else {
        for Finding(what, state, about) in &found {
            println!("{:<8} {what:<8} {about}", state.word());
        }
    }
    Ok(ExitCode::from(u8::from(found.iter().any(|f| f.1 == State::Failed))))
}

fn port(listen: IpAddr, port: u16) -> Finding {
    match TcpListener::bind(SocketAddr::new(listen, port)) {
        Ok(_) => Finding("port", State::Ok, format!("{listen}:{port} is free")),
        Err(e) => {
            let about =
                format!("cannot listen on {listen}:{port}: {e}; choose another with --port");
            Finding("port", State::Failed, about)
        }
    }
}

fn network(listen: IpAddr) -> Finding {
    if listen.is_loopback() {
        let about = "only this machine can join: listen on 0.0.0.0".into();
        return Finding("network", State::Warning, about);
    }
    let all: Vec<String> = workshop::reachable(listen).iter().map(ToString::to_string).collect();
    match all.split_first() {
        None => {
            let about = "this machine is in no network: join the room's, or open a hotspot".into();
            Finding("network", State::Failed, about)
        }
        Some((first, [])) => Finding(
            "network",
            State::Ok,
            format!(
                "learners will open {first}; try it with a phone, since a firewall may stand between"
            ),
        ),
        Some((first, more)) => {
            let about = format!(
                "learners will open {first}; this machine is also {} (--address chooses); try it with a phone",
                more.join(", ")
            );
            Finding("network", State::Ok, about)
        }
    }
}

fn disk(state: Option<&Path>) -> Finding {
    let Some(dir) = state else {
        let about = "there is no folder for recordings: give --state DIR".into();
        return Finding("disk", State::Warning, about);
    };
    let tried = dir.join(format!("doctor-{}", std::process::id()));
    let written = fs::create_dir_all(dir).and_then(|()| fs::write(&tried, vec![7; 1 << 20]));
    // It was only tried; a leftover of a full disk is empty.
    let _ = fs::remove_file(&tried);
    match written {
        Ok(()) => Finding("disk", State::Ok, format!("{} can be written", dir.display())),
        Err(e) => Finding("disk", State::Failed, format!("{}: {e}", dir.display())),
    }
}

/// Free memory in bytes, where the system says (`MemAvailable` of Linux).
fn available_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
}

fn browser() -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = BROWSERS
        .iter()
        .find(|name| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()));
    match found {
        Some(name) => {
            Finding("browser", State::Ok, format!("{name} is there, for board and projector"))
        }
        None => {
            let about =
                "no browser was found here; board and projector need one, on any machine".into();
            Finding("browser", State::Warning, about)
        }
    }
}

/// Tries a world out, and says how many of its kind this machine drives at once.
fn world(state: Option<&Path>) -> Finding {
    match speed(state) {
        Ok((factor, threads)) => {
            let at_once = factor * threads as f64;
            let fine = if at_once >= 30.0 { State::Ok } else { State::Warning };
            let about = format!(
                "a sidecar world runs {factor:.0} times as fast as real time on one of {threads} processors: about {at_once:.0} at once keep pace, more run slower"
            );
            Finding("worlds", fine, about)
        }
        Err(why) => Finding("worlds", State::Failed, why),
    }
}

fn speed(state: Option<&Path>) -> Result<(f64, usize), String> {
    let said = |p: crate::problem::Problem| p.to_string();
    embedded::complete().map_err(said)?;
    let engine = embedded::engine(state).map_err(said)?;
    let images = embedded::images(&engine, &[]).map_err(said)?;
    let catalogue = embedded::catalogue(None).map_err(said)?;
    let pattern = embedded::pattern(&catalogue, "sidecar").map_err(said)?;
    let images = pattern_images(&engine, &images, pattern)?;
    let mut world = World::new(&images, WorldOptions::default());
    for manifest in &pattern.file.manifests {
        world.apply(pattern.text(manifest).unwrap_or_default()).map_err(|e| e.to_string())?;
    }
    let began = Instant::now();
    replay::run(&mut world, Time::from(TRIED)).map_err(|e| e.to_string())?;
    let factor = TRIED.as_secs_f64() / began.elapsed().as_secs_f64().max(1e-9);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok((factor, threads))
}
