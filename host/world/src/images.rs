//! The programs that containers can run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podlab_wasm::{Engine, LoadError, Program};

use crate::stand_ins;

/// A container image: a program and what surrounds it.
pub struct Image {
    /// Its name and tag: `web:v1`.
    pub name: String,
    /// BLAKE3 of the wasm file, hex. Kubernetes shows it as the image id.
    pub digest: String,
    /// The compiled program.
    pub program: Program,
    /// The command, unless the pod gives one.
    pub entrypoint: Vec<String>,
    /// Variables, beside those of the pod.
    pub env: Vec<(String, String)>,
    /// Files of the image: path and contents.
    pub files: Vec<(String, Vec<u8>)>,
    /// The wasm file, for recordings that carry their images.
    pub wasm: Arc<[u8]>,
}

/// The images a world can run, by name and tag. Cheap to clone.
#[derive(Clone, Default)]
pub struct Images {
    by_name: BTreeMap<String, Arc<Image>>,
    by_digest: BTreeMap<String, Arc<Image>>,
    /// Guests under the well-known names that they stand in for.
    stand_ins: BTreeMap<&'static str, Arc<Image>>,
    /// Names that whoever started the process has given to images of their own.
    pinned: BTreeSet<String>,
}

impl Images {
    /// No images.
    pub fn new() -> Images {
        Images::default()
    }

    /// Adds or replaces an image. An image replaced stays reachable by its digest, for
    /// recordings that began with it.
    pub fn add(&mut self, image: Arc<Image>) {
        let guest = image.name.split(':').next().unwrap_or("");
        for (name, stand_in) in stand_ins::of_guest(guest) {
            let env = stand_in.env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let file = stand_in.file.iter();
            let file = file.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
            let image = Image {
                name: name.into(),
                digest: image.digest.clone(),
                program: image.program.clone(),
                entrypoint: image.entrypoint.clone(),
                env: image.env.iter().cloned().chain(env).collect(),
                files: image.files.iter().cloned().chain(file).collect(),
                wasm: image.wasm.clone(),
            };
            self.stand_ins.insert(name, Arc::new(image));
        }
        self.by_digest.insert(image.digest.clone(), image.clone());
        self.by_name.insert(image.name.clone(), image);
    }

    /// Compiles `wasm` and adds it as `name`.
    ///
    /// # Errors
    /// If the name is not `NAME:TAG`, or the program cannot run in a world.
    pub fn load(&mut self, engine: &Engine, name: &str, wasm: &[u8]) -> Result<(), ImageError> {
        check_name(name)?;
        let program = engine.load(wasm)?;
        self.add(Arc::new(Image::plain(name, wasm.into(), program)));
        Ok(())
    }

    /// Whatever a pattern says, this name stays with the image it has now.
    pub fn pin(&mut self, name: &str) {
        self.pinned.insert(name.into());
    }

    /// Whether a pattern may not give this name to another image.
    pub fn is_pinned(&self, name: &str) -> bool {
        self.pinned.contains(name)
    }

    /// Makes an image reachable by its digest only.
    pub fn add_by_digest(&mut self, image: Arc<Image>) {
        self.by_digest.insert(image.digest.clone(), image);
    }

    /// All images, replaced ones too, by digest.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.by_digest.values()
    }

    /// Makes the image with this digest run under `name`.
    ///
    /// # Errors
    /// If there is no such image.
    pub fn tag(&mut self, name: &str, digest: &str) -> Result<(), ImageError> {
        check_name(name)?;
        let found = self.by_digest.get(digest).ok_or_else(|| ImageError::Unknown(digest.into()))?;
        if found.name == name {
            self.by_name.insert(name.into(), found.clone());
            return Ok(());
        }
        let image = Image {
            name: name.into(),
            digest: found.digest.clone(),
            program: found.program.clone(),
            entrypoint: found.entrypoint.clone(),
            env: found.env.clone(),
            files: found.files.clone(),
            wasm: found.wasm.clone(),
        };
        self.by_name.insert(name.into(), Arc::new(image));
        Ok(())
    }

    /// The image that a pod means by `name`: a missing tag is `latest`, as everywhere, and the
    /// registry `docker.io/library` may be written or not.
    /// A well-known name that nobody added has a guest that stands in ([`stand_ins`]).
    pub fn resolve(&self, name: &str) -> Option<&Arc<Image>> {
        self.exact(name).or_else(|| self.stand_ins.get(stand_ins::known_name(name)?))
    }

    /// The well-known name that a guest stands in for, if `name` is one and nobody added it.
    pub fn stand_in(&self, name: &str) -> Option<&'static str> {
        if self.exact(name).is_some() { None } else { stand_ins::known_name(name) }
    }

    fn exact(&self, name: &str) -> Option<&Arc<Image>> {
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        let name = name.strip_prefix("library/").unwrap_or(name);
        if let Some((_, digest)) = name.split_once('@') {
            return self.by_digest.get(digest.trim_start_matches("blake3:"));
        }
        let tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        if tagged { self.by_name.get(name) } else { self.by_name.get(&format!("{name}:latest")) }
    }

    /// The image with this digest.
    pub fn by_digest(&self, digest: &str) -> Option<&Arc<Image>> {
        self.by_digest.get(digest)
    }

    /// All images by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Image>> {
        self.by_name.values()
    }
}

impl Image {
    /// An image that is only a program: its entrypoint is its own name.
    pub fn plain(name: &str, wasm: Arc<[u8]>, program: Program) -> Image {
        let command = name.split(':').next().unwrap_or(name).rsplit('/').next().unwrap_or(name);
        Image {
            name: name.into(),
            digest: blake3::hash(&wasm).to_hex().to_string(),
            program,
            entrypoint: vec![command.into()],
            env: Vec::new(),
            files: Vec::new(),
            wasm,
        }
    }
}

fn check_name(name: &str) -> Result<(), ImageError> {
    let good = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b))
            && part.as_bytes()[0].is_ascii_alphanumeric()
    };
    match name.rsplit_once(':') {
        Some((repo, tag)) if good(repo) && good(tag) && !tag.contains('/') && name.len() <= 255 => {
            Ok(())
        }
        _ => Err(ImageError::Name(name.into())),
    }
}

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is not a name with a tag.
    #[error("{0:?} is not an image name: write NAME:TAG, for example hello:v1")]
    Name(String),
    /// The program cannot run in a world.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No such image is known here.
    #[error("no image with digest {0} is known here: add it with --image NAME:TAG=FILE.wasm")]
    Unknown(String),
}
