//! What is inside the binary: guests (compiled for this machine already), patterns, the page;
//! and what is added to it on the command line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podlab_lab::{Catalogue, Pattern};
use podlab_server::Assets;
use podlab_wasm::{Engine, EngineOptions};
use podlab_world::{Image, Images};
use rust_embed::RustEmbed;

use crate::problem::Problem;

#[derive(RustEmbed)]
#[folder = "../../target/embed/images"]
struct Guests;

#[derive(RustEmbed)]
#[folder = "../../target/embed/patterns"]
struct Patterns;

#[derive(RustEmbed)]
#[folder = "../../target/embed/web"]
struct Page;

/// The tag of the guests that are shipped.
const TAG: &str = "v1";

/// Where compiled programs, recordings and uploaded images are kept: `--state`, else
/// `$XDG_STATE_HOME/podlab`, else `~/.local/state/podlab`.
pub fn state_dir(given: Option<&Path>) -> Option<PathBuf> {
    if let Some(dir) = given {
        return Some(dir.into());
    }
    let xdg = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let state = xdg.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    Some(state.join("podlab"))
}

/// An engine; it keeps what it compiles below the state folder.
///
/// # Errors
/// If this machine cannot run it.
pub fn engine(state: Option<&Path>) -> Result<Engine, Problem> {
    let options = EngineOptions {
        cache_dir: state.map(|dir| dir.join("compiled")),
        ..EngineOptions::default()
    };
    Engine::new(options).map_err(|e| Problem::failed(format!("the engine does not start: {e}"), ""))
}

/// The images that are shipped, and those given as `NAME:TAG=FILE.wasm`.
///
/// # Errors
/// If one cannot be used.
pub fn images(engine: &Engine, added: &[String]) -> Result<Images, Problem> {
    let mut images = Images::new();
    for path in Guests::iter() {
        let Some(name) = path.strip_suffix(".wasm") else { continue };
        let Some(wasm) = Guests::get(&path) else { continue };
        let native = Guests::get(&format!("{name}.cwasm"));
        let loaded = match &native {
            // What was compiled for another kind of machine is compiled again.
            Some(native) => {
                engine.load_precompiled(&native.data).or_else(|_| engine.load(&wasm.data))
            }
            None => engine.load(&wasm.data),
        };
        let program = loaded.map_err(|e| {
            Problem::failed(
                format!("the image {name} inside this binary cannot be used: {e}"),
                "Run `cargo xtask build` again.",
            )
        })?;
        let image = Image::plain(&format!("{name}:{TAG}"), Arc::from(&wasm.data[..]), program);
        let digest = image.digest.clone();
        images.add(Arc::new(image));
        let tagged = images.tag(&format!("{name}:latest"), &digest);
        tagged.map_err(|e| Problem::failed(e.to_string(), ""))?;
    }
    for given in added {
        let wrong = || {
            Problem::usage(
                format!("--image {given} is not NAME:TAG=FILE.wasm"),
                "Write for example --image hello:v1=hello.wasm.",
            )
        };
        let (name, file) = given.split_once('=').ok_or_else(wrong)?;
        let wasm = fs::read(file).map_err(|e| Problem::file(Path::new(file), e))?;
        images.load(engine, name, &wasm).map_err(|e| {
            Problem::usage(
                format!("{file}: {e}"),
                "An image is a WASI 0.2 component or a WASI 0.1 module: cargo build --target wasm32-wasip2.",
            )
        })?;
        images.pin(name);
    }
    Ok(images)
}

/// Adds the images that were uploaded to servers, by digest, for their recordings.
pub fn uploaded(
    engine: &Engine,
    state: Option<&Path>,
    images: &mut Images,
    wanted: &[(String, String)],
) {
    let Some(dir) = state.map(|s| s.join("images")) else { return };
    for (name, digest) in wanted {
        if images.by_digest(digest).is_some() {
            continue;
        }
        // An image that is missing or damaged is reported by name when the recording needs it.
        if let Ok(wasm) = fs::read(dir.join(format!("{digest}.wasm")))
            && let Ok(program) = engine.load(&wasm)
        {
            images.add_by_digest(Arc::new(Image::plain(name, wasm.into(), program)));
        }
    }
}

/// Says so if this binary was built without its images.
///
/// # Errors
/// If it was.
pub fn complete() -> Result<(), Problem> {
    if Guests::iter().next().is_some() {
        return Ok(());
    }
    Err(Problem::failed(
        "this podlab was built without its images and patterns",
        "Run `cargo xtask build`, then use target/podlab.",
    ))
}

/// The patterns that are shipped, and those of a folder: of a catalogue, or of one pattern.
///
/// # Errors
/// If one cannot be read: with file, line and field.
pub fn catalogue(dir: Option<&Path>) -> Result<Catalogue, Problem> {
    let bad =
        |e: podlab_lab::scenario::ScenarioError| Problem::usage(e.to_string(), "Correct the file.");
    let files = Patterns::iter()
        .filter_map(|path| Some((path.to_string(), Patterns::get(&path)?.data.into_owned())));
    let mut all = Catalogue::read(files.collect()).map_err(bad)?;
    if let Some(dir) = dir {
        all.extend(read_catalogue(dir)?);
    }
    Ok(all)
}

/// The patterns of a folder: one pattern if it has a pattern.yaml, else one for each folder in it.
///
/// # Errors
/// If there is none, or one cannot be read.
pub fn read_catalogue(dir: &Path) -> Result<Catalogue, Problem> {
    let files = read_folder(dir)?;
    let catalogue = Catalogue::read(files)
        .map_err(|e| Problem::usage(format!("in {}: {e}", dir.display()), "Correct the file."))?;
    if catalogue.iter().next().is_none() {
        return Err(Problem::usage(
            format!("{} has no pattern", dir.display()),
            "A pattern is a folder with a pattern.yaml.",
        ));
    }
    Ok(catalogue)
}

/// The files of a folder, named `pattern/path`: of one pattern if it has a pattern.yaml, else of
/// everything in it.
///
/// # Errors
/// If one cannot be read.
pub fn read_folder(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    let mut files = BTreeMap::new();
    let one = dir.join("pattern.yaml").is_file();
    let prefix = if one {
        let absolute = dir.canonicalize().map_err(|e| Problem::file(dir, e))?;
        absolute.file_name().map(|n| format!("{}/", n.to_string_lossy())).unwrap_or_default()
    } else {
        String::new()
    };
    read_files(dir, &prefix, &mut files)?;
    Ok(files)
}

/// A file.
///
/// # Errors
/// If it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    fs::read(path).map_err(|e| Problem::file(path, e))
}

fn read_files(
    dir: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), Problem> {
    let entries = fs::read_dir(dir).map_err(|e| Problem::file(dir, e))?;
    for entry in entries {
        let path = entry.map_err(|e| Problem::file(dir, e))?.path();
        let Some(name) = path.file_name().map(|n| n.to_string_lossy().into_owned()) else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            read_files(&path, &format!("{prefix}{name}/"), files)?;
        } else {
            files.insert(
                format!("{prefix}{name}"),
                fs::read(&path).map_err(|e| Problem::file(&path, e))?,
            );
        }
    }
    Ok(())
}

/// The pattern called `name`.
///
/// # Errors
/// If there is none.
pub fn pattern<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a Pattern, Problem> {
    catalogue.get(name).ok_or_else(|| {
        let known: Vec<&str> = catalogue.iter().map(|p| p.file.name.as_str()).collect();
        Problem::usage(
            format!("there is no pattern {name:?}"),
            format!("There are: {}.", known.join(", ")),
        )
    })
}

/// The names of the plans of workshops that are shipped.
pub fn plans() -> Vec<String> {
    let names = Patterns::iter()
        .filter_map(|p| Some(p.strip_prefix("plans/")?.strip_suffix(".yaml")?.to_owned()));
    names.collect()
}

/// A plan of a workshop that is shipped.
pub fn plan(name: &str) -> Option<String> {
    let file = Patterns::get(&format!("plans/{name}.yaml"))?;
    String::from_utf8(file.data.into_owned()).ok()
}

/// The page.
pub fn page() -> Assets {
    let files = Page::iter().filter_map(|path| {
        let data: Cow<'static, [u8]> = Page::get(&path)?.data;
        Some((path.to_string(), data))
    });
    Assets::new(files)
}

/// The page in a folder, as `cargo xtask build --page` leaves it.
///
/// # Errors
/// If the folder cannot be read, or has no page.
pub fn page_of(dir: &Path) -> Result<Assets, Problem> {
    let mut files = BTreeMap::new();
    read_files(dir, "", &mut files)?;
    if !files.contains_key("index.html") {
        return Err(Problem::usage(
            format!("{} has no index.html", dir.display()),
            "Run `cargo xtask build --page`; it leaves the page in target/embed/web.",
        ));
    }
    Ok(Assets::new(files.into_iter().map(|(path, data)| (path, Cow::Owned(data)))))
}
