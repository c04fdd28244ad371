//! `podlab up`: the server.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use podlab_lab::Catalogue;
use podlab_server::app::NewWorld;
use podlab_server::guard::Names;
use podlab_server::live::Speed;
use podlab_server::tls::{Tls, TlsListener};
use podlab_server::workshop::viewer::Viewer;
use podlab_server::{App, Options, router};
use podlab_wasm::Engine;
use podlab_world::replay::{self, ReplayError};
use podlab_world::{Images, World};
use tokio::net::TcpListener;

use crate::problem::{Done, Problem};
use crate::{embedded, log, tls};

/// The pattern that a browser opens on, unless another is named.
const FIRST: &str = "sidecar";

/// Starts the server and opens the page, on a running world of the sidecar pattern unless another
/// is named.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  podlab up\n  podlab up --pattern sidecar --seed 7 --speed 10\n  podlab up --image hello:v1=hello.wasm --patterns ./my-patterns\n  podlab up --listen 0.0.0.0 --allow-host lab.example --tls --no-open"
)]
pub struct Args {
    /// The address to listen on. Anyone who reaches it can use the server.
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// The port; 0 for any that is free.
    #[arg(long, default_value_t = 7878)]
    port: u16,
    /// Also answers to this name.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Does not open the browser.
    #[arg(long)]
    no_open: bool,
    /// Adds an image.
    #[arg(long, value_name = "NAME:TAG=FILE.wasm")]
    image: Vec<String>,
    /// Adds the patterns of a folder.
    #[arg(long, value_name = "DIR")]
    patterns: Option<PathBuf>,
    /// Starts with a world of this pattern.
    #[arg(long, value_name = "NAME")]
    pattern: Option<String>,
    /// The speed of that world: 0 (paused), 0.1 to 100, or max.
    #[arg(long, default_value = "1", requires = "pattern")]
    speed: Speed,
    /// The seed of that world.
    #[arg(long, default_value_t = 1, requires = "pattern")]
    seed: u64,
    /// Starts with the world of this recording, at its end: rewind it in the page.
    #[arg(long, value_name = "FILE", conflicts_with = "pattern")]
    recording: Option<PathBuf>,
    /// Serves the page from this folder, read at the start: for work on the page itself.
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
    /// Where recordings and compiled programs are kept [default: $XDG_STATE_HOME/podlab].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    tls: tls::Args,
    #[command(flatten)]
    log: log::Args,
}

/// Runs until Ctrl-C.
pub fn run(args: Args) -> Done {
    embedded::complete()?;
    args.log.start(log::Level::Warn);
    block_on(start(args))
}

/// Does what a server does, until it is done.
pub fn block_on(serving: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Problem::failed(format!("cannot start: {e}"), ""))?;
    runtime.block_on(serving)
}

/// Serves `world`, paused, on any port that is free, until Ctrl-C.
///
/// # Errors
/// If there is no such port, or no room.
pub fn show(engine: &Engine, images: &Images, catalogue: Catalogue, world: World) -> Done {
    log::Args::usual().start(log::Level::Warn);
    block_on(async {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let listener = listen(address).await?;
        let names = Names { allowed: Vec::new(), any_address: false };
        // Nothing is kept: the run can be had again at any time.
        let options = Options { names, state: None, ..Options::default() };
        let (engine, images) = (engine.clone(), images.clone());
        let app = App::new(engine, images, catalogue, embedded::page(), options);
        let live = adopt(&app, world)?;
        serve(app, listener, None, &format!("#/w/{live}"), true).await
    })
}

/// Takes a world in, paused; its name is given back.
fn adopt(app: &App, world: World) -> Result<String, Problem> {
    let live = app
        .adopt(world, Speed::Paused, Viewer::Owner)
        .map_err(|e| Problem::usage(e.message, e.remedy))?;
    Ok(live.id().to_owned())
}

/// Listens.
///
/// # Errors
/// If the port is taken, or not ours.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|e| {
        Problem::failed(
            format!("cannot listen on {address}: {e}"),
            "Is podlab running already? Choose another port with --port, or --port 0 for any.",
        )
    })
}

async fn start(args: Args) -> Done {
    // The port first: when it is taken, the user should hear so at once.
    let listener = listen(SocketAddr::new(args.listen, args.port)).await?;
    let mut world = None;
    let state = embedded::state_dir(args.state.as_deref());
    let (engine, images) = match &args.recording {
        Some(file) => {
            let (engine, images, recording) =
                crate::replay::open(file, &args.image, args.state.as_deref())?;
            let cannot = |e: ReplayError| crate::replay::cannot(&e);
            let mut again = replay::begin(&engine, &images, &recording).map_err(cannot)?;
            replay::run(&mut again, recording.end()).map_err(cannot)?;
            world = Some(again);
            (engine, images)
        }
        None => {
            let engine = embedded::engine(state.as_deref())?;
            let images = embedded::images(&engine, &args.image)?;
            (engine, images)
        }
    };
    let catalogue = embedded::catalogue(args.patterns.as_deref())?;
    let names = Names { allowed: args.allow_host.clone(), any_address: !args.listen.is_loopback() };
    let tls_state = state.clone();
    let options = Options { names, state, ..Options::default() };
    let page = args.page.as_deref().map_or_else(|| Ok(embedded::page()), embedded::page_of)?;
    let app = App::new(engine, images, catalogue, page, options);
    // Whose browser opens sees something run, whatever they know; who starts a server for others
    // decides what is in it.
    let shown = !args.no_open && args.recording.is_none();
    let mut place = String::new();
    if let Some(pattern) = args.pattern.clone().or(shown.then(|| FIRST.to_owned())) {
        let new = NewWorld { pattern, seed: args.seed, speed: args.speed, epoch: None };
        let live =
            app.create(&new, Viewer::Owner).map_err(|e| Problem::usage(e.message, e.remedy))?;
        if shown {
            place = format!("#/w/{}", live.id());
        }
    }
    if let Some(world) = world {
        place = format!("#/w/{}", adopt(&app, world)?);
    }
    let reachable = crate::workshop::reachable(args.listen);
    let tls = args.tls.open(tls_state.as_deref(), &args.allow_host, &reachable)?;
    serve(app, listener, tls, &place, !args.no_open).await
}

/// Serves until Ctrl-C; the page opens at `place`, in a browser if it is to.
async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    tls: Option<Tls>,
    place: &str,
    browser: bool,
) -> Done {
    let address = listener.local_addr().map_err(|e| Problem::failed(e.to_string(), ""))?;
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{host}:{}/{place}", address.port());
    let notice = tls.as_ref().map(|tls| tls::notice(tls) + "\n").unwrap_or_default();
    // Whoever read the address may have closed the pipe since.
    let _ = writeln!(std::io::stdout(), "Podlab is at {url}\n{notice}Press Ctrl-C to stop.");
    if !address.ip().is_loopback() {
        eprintln!("Anyone who reaches {address} can use this server.");
    }
    if browser {
        open(&url);
    }
    serve_until_interrupted(app, listener, tls).await
}

/// Serves until Ctrl-C, and then finishes what is open.
///
/// # Errors
/// If the server stops by itself.
pub async fn serve_until_interrupted(
    app: Arc<App>,
    listener: TcpListener,
    tls: Option<Tls>,
) -> Done {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ending = app.clone();
    tokio::spawn(async move {
        interrupted().await;
        eprintln!("\nStopping: closing streams, finishing recordings.");
        // Watches and streams end when their worlds do; only then can connections drain.
        let ended = tokio::task::spawn_blocking(move || ending.shut_down()).await;
        if ended.is_err() {
            eprintln!("podlab: a recording could not be finished");
        }
        // The receiver is gone only if the server has ended already.
        let _ = stop.send(());
    });
    let stopped = async {
        // An error means that the sender is gone, which is the end as well.
        let _ = stopped.await;
        tokio::spawn(async {
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            // A client that holds its connection does not hold the process.
            std::process::exit(0);
        });
    };
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    let served = match tls {
        None => axum::serve(listener, service).with_graceful_shutdown(stopped).await,
        Some(tls) => match TlsListener::new(listener, &tls) {
            // What is tapped tells axum where it comes from.
            Ok(listener) => {
                let listener = listener.tap_io(|_| {});
                axum::serve(listener, service).with_graceful_shutdown(stopped).await
            }
            Err(e) => Err(e),
        },
    };
    served.map_err(|e| Problem::failed(format!("the server stopped: {e}"), ""))?;
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C, or SIGTERM where there is such a thing.
async fn interrupted() {
    let ctrl_c = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = ctrl_c => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a way to hear Ctrl-C the system ends the process itself.
    if ctrl_c.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Opens the browser. That there is none is no error: the URL was printed.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Ok(mut child) = started {
        std::thread::spawn(move || child.wait());
    }
}
