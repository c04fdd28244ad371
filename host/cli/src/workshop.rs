//! `podlab workshop`: a room of learners, each in a world of their own.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podlab_lab::{Catalogue, Plan};
use podlab_server::guard::Names;
use podlab_server::tls::Tls;
use podlab_server::workshop::{Rules, Workshop, parking};
use podlab_server::{App, Limits, Options};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::problem::{Done, Problem};
use crate::{embedded, log, tls, up};

/// Worlds of one learner that are in memory at once, at most.
const WORLDS_EACH: usize = 4;
/// Bytes of a world's trace that are kept: a room of worlds must fit into one machine.
const TRACE: u64 = 16 << 20;
/// Bytes that enter a world from outside, all its life long: they stay in its recording.
const ENTERED: u64 = 16 << 20;
/// Streams of one learner.
const STREAMS_EACH: usize = 16;
/// How often worlds are looked over that nobody looks at.
const PARKING: Duration = Duration::from_secs(10);

/// Holds a workshop: learners join with a code, each gets a world of their own.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab workshop --listen 0.0.0.0\n  podlab workshop --listen 0.0.0.0 --plan half-day\n  podlab workshop --listen 0.0.0.0 --tls\n  podlab workshop --listen 192.168.0.2 --plan my-plan.yaml --patterns ./my-patterns\n  podlab workshop --listen 0.0.0.0 --resume        after a stop: the same seats and worlds"
)]
pub struct Args {
    /// The address to listen on: 0.0.0.0 for every network this machine is in.
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// The port; 0 for any that is free.
    #[arg(long, default_value_t = 7878)]
    port: u16,
    /// The plan: a YAML file, or the name of a shipped one (introduction, half-day).
    #[arg(long, value_name = "FILE", default_value = "introduction")]
    plan: String,
    /// The address that learners use, where this machine has several or a name.
    #[arg(long, value_name = "NAME")]
    address: Option<String>,
    /// How many learners may join.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=500))]
    learners: u16,
    /// Goes on with the last workshop: the same code, seats and worlds.
    #[arg(long)]
    resume: bool,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
    /// Adds the patterns of a folder.
    #[arg(long, value_name = "DIR")]
    patterns: Option<PathBuf>,
    /// Where workshops are kept [default: $XDG_STATE_HOME/podlab].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Serves the page from this folder, read at the start: for work on the page itself.
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
    #[command(flatten)]
    tls: tls::Args,
    #[command(flatten)]
    log: log::Args,
}

/// Runs until Ctrl-C.
pub fn run(args: Args) -> Done {
    embedded::complete()?;
    args.log.start(log::Level::Info);
    up::block_on(start(args))
}

async fn start(args: Args) -> Done {
    let listener = up::listen(SocketAddr::new(args.listen, args.port)).await?;
    let port = listener.local_addr().map_err(|e| Problem::failed(e.to_string(), ""))?.port();
    let catalogue = embedded::catalogue(args.patterns.as_deref())?;
    let plan = plan(&args.plan, &catalogue)?;
    let state = embedded::state_dir(args.state.as_deref());
    let dir = state.as_deref().map(|state| folder(state, args.resume)).transpose()?;
    if dir.is_none() {
        eprintln!(
            "podlab: there is no folder for recordings (--state DIR): nothing survives a stop"
        );
    }
    let host = match &args.address {
        Some(name) => name.clone(),
        None => shown(reachable(args.listen).first().copied().unwrap_or(args.listen)),
    };
    let names: Vec<String> = args.address.iter().cloned().collect();
    let tls = args.tls.open(state.as_deref(), &names, &reachable(args.listen))?;
    let learners = usize::from(args.learners);
    let address = format!("{}://{host}:{port}", args.tls.scheme());
    let certificate = args.tls.to_trust(state.as_deref());
    let rules = Rules { learners, plan, address, certificate };
    let workshop = Workshop::open(dir.as_deref(), rules).map_err(|e| {
        Problem::failed(e, "Choose another folder with --state, or leave --resume out.")
    })?;
    let workshop = Arc::new(workshop);
    let engine = embedded::engine(state.as_deref())?;
    let images = embedded::images(&engine, &args.image)?;
    let limits = Limits {
        worlds: learners * WORLDS_EACH + 16,
        streams: learners * STREAMS_EACH + 64,
        trace: TRACE,
        twins: 16,
        recordings: learners * 100,
        entered: ENTERED,
        ..Limits::default()
    };
    let names = Names { allowed: names, any_address: !args.listen.is_loopback() };
    let page = args.page.as_deref().map_or_else(|| Ok(embedded::page()), embedded::page_of)?;
    let options = Options {
        names,
        limits,
        state: dir,
        workshop: Some(workshop.clone()),
        ..Options::default()
    };
    let app = App::new(engine, images, catalogue, page, options);
    let parked = app.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PARKING).await;
            let app = parked.clone();
            // Ends with the process; a look that failed is followed by another.
            let _ = tokio::task::spawn_blocking(move || app.park(parking::PATIENCE)).await;
        }
    });
    // Whoever read it may have closed the pipe since.
    let _ = announce(&workshop, args.listen, port, tls.as_ref());
    up::serve_until_interrupted(app, listener, tls).await
}

/// Says where learners join, and where the instructor goes. The secrets are in the part of the
/// address that browsers send to nobody.
fn announce(
    workshop: &Workshop,
    listen: IpAddr,
    port: u16,
    tls: Option<&Tls>,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let link = workshop.join_link();
    let code = workshop.code();
    writeln!(out, "Learners open   {}", workshop.rules().address)?;
    writeln!(out, "and type        {} {}", &code[..3], &code[3..])?;
    if let Ok(picture) = QrCode::new(link.as_bytes()) {
        let text = picture
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        writeln!(out, "\n{text}\n")?;
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let others: Vec<String> = reachable(listen).into_iter().skip(1).map(shown).collect();
    if !others.is_empty() {
        writeln!(out, "This machine is also {} (choose with --address).", others.join(", "))?;
    }
    writeln!(
        out,
        "You, the instructor, open (keep it to yourself):\n  {scheme}://{}:{port}/#/board?key={}",
        if listen.is_unspecified() { "127.0.0.1".into() } else { shown(listen) },
        workshop.secret()
    )?;
    if let Some(tls) = tls {
        writeln!(out, "{}", tls::notice(tls))?;
        writeln!(
            out,
            "Browsers warn of a certificate that was made here: learners accept it once."
        )?;
    }
    if listen.is_loopback() {
        writeln!(out, "Only this machine can join: --listen 0.0.0.0 opens the room.")?;
    }
    writeln!(out, "Press Ctrl-C to stop; --resume goes on.")?;
    out.flush()
}

/// An address as it stands in a URL.
fn shown(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// The addresses by which others reach this machine, the likeliest first.
pub fn reachable(listen: IpAddr) -> Vec<IpAddr> {
    if !listen.is_unspecified() {
        return vec![listen];
    }
    let mut all: Vec<IpAddr> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .filter(|i| !i.is_loopback() && !i.is_link_local())
        .map(|i| i.ip())
        .filter(|ip| ip.is_ipv4() || listen.is_ipv6())
        .collect();
    // Container engines put their bridges into 172.16/12; rooms are rarely there.
    let bridge = |ip: &IpAddr| matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 172);
    all.sort_by_key(|ip| (ip.is_ipv6(), bridge(ip)));
    all
}

/// The plan called `name`: a file, or one that is shipped.
fn plan(name: &str, catalogue: &Catalogue) -> Result<Plan, Problem> {
    let path = Path::new(name);
    let (file, source) = match embedded::plan(name) {
        Some(source) if !path.exists() => (format!("plans/{name}.yaml"), source),
        _ => (
            name.to_owned(),
            fs::read_to_string(path).map_err(|e| {
                let shipped = embedded::plans().join(", ");
                Problem::usage(
                    format!("{name}: {e}"),
                    format!("Shipped plans: {shipped}. Else give a YAML file."),
                )
            })?,
        ),
    };
    let plan = Plan::read(&file, &source)
        .map_err(|e| Problem::usage(e.to_string(), "Correct the plan: podlab lint FILE.yaml."))?;
    match plan.findings(&file, &source, catalogue).first() {
        Some(finding) => {
            Err(Problem::usage(finding.to_string(), "Correct the plan: podlab lint FILE.yaml."))
        }
        None => Ok(plan),
    }
}

/// The folder of a new workshop, or of the last one.
fn folder(state: &Path, resume: bool) -> Result<PathBuf, Problem> {
    let all = state.join("workshops");
    if !resume {
        let now = podlab_server::app::now_nanos() / 1_000_000;
        return Ok(all.join(now.to_string()));
    }
    let entries = fs::read_dir(&all).into_iter().flatten().filter_map(Result::ok);
    let numbered =
        entries.filter_map(|e| Some((e.file_name().to_str()?.parse::<u64>().ok()?, e.path())));
    numbered.max().map(|(_, path)| path).ok_or_else(|| {
        Problem::usage(
            format!("there is no workshop in {} to go on with", all.display()),
            "Leave --resume out to begin one, or give the --state it was started with.",
        )
    })
}
