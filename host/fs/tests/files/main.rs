//! What a program sees of its files, by subject.

mod devices;
mod mounts;
mod paths;
mod publish;
mod quota;

use podlab_fs::{Errno, Handle, Mounts, OpenOptions, Volume, VolumeOptions};
use podlab_sim::Sim;
use podlab_trace::{Event, Kind, PlaceId, Trace};

/// A container with its own layer, and what is needed to mount more.
struct Container {
    sim: Sim,
    trace: Trace,
    place: PlaceId,
    layer: Volume,
}

impl Container {
    fn new() -> Container {
        Container::with_quota(None)
    }

    fn with_quota(quota: Option<u64>) -> Container {
        let sim = Sim::new(1, 1_000_000_000);
        let layer = Volume::new(&sim.handle(), "layer", VolumeOptions { quota, read_only: false });
        let trace = Trace::new(1 << 20);
        let place = trace.place(0, "node", "ns", "pod", "container");
        Container { sim, trace, place, layer }
    }

    fn volume(&self, name: &str) -> Volume {
        Volume::new(&self.sim.handle(), name, VolumeOptions::default())
    }

    fn mounts(&self) -> Mounts {
        Mounts::new(self.layer.clone(), &self.trace, self.place)
    }

    fn root(&self) -> Handle {
        self.mounts().root()
    }

    /// What the trace says of file operations.
    fn events(&self) -> Vec<Kind> {
        let events: Vec<Event> = self.trace.read(1, 1000);
        events.into_iter().map(|e| e.kind).filter(|k| matches!(k, Kind::File { .. })).collect()
    }
}

const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    create: false,
    exclusive: false,
    truncate: false,
    directory: false,
    follow: true,
};
const WRITE: OpenOptions = OpenOptions { write: true, create: true, ..READ };

fn put(root: &Handle, path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let file = root.open_at(path, OpenOptions { truncate: true, ..WRITE })?;
    file.write(bytes, 0).map(|_| ())
}

fn get(root: &Handle, path: &str) -> Result<String, Errno> {
    let bytes = root.open_at(path, READ)?.read(1 << 20, 0)?;
    Ok(String::from_utf8(bytes.to_vec()).expect("text"))
}

fn names(dir: &Handle) -> Vec<String> {
    dir.entries().expect("a directory").into_iter().map(|(name, ..)| name).collect()
}
