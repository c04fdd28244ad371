//! How the kubelet gets images and programs. This crate does not know what a program is: who
//! composes a world implements [`Runtime`].

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use podlab_fs::{Mounts, SignalQueue, Volume};
use podlab_net::Stack;
use podlab_trace::{PlaceId, Stream};

/// What the kubelet wants to know of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageInfo {
    /// The command that runs unless the pod gives one.
    pub entrypoint: Vec<String>,
    /// Variables beside those of the pod.
    pub env: Vec<(String, String)>,
    /// The digest, hex, as in the container's `imageID`.
    pub digest: String,
}

/// Images and programs.
pub trait Runtime: Send + Sync {
    /// The image that a pod means by `name`.
    ///
    /// # Errors
    /// If there is none: a message that says how to add one.
    fn image(&self, name: &str) -> Result<ImageInfo, String>;

    /// A fresh writable layer with the image's files, for one run of a container.
    fn root(&self, image: &str, container_id: &str) -> Volume;

    /// Starts a program.
    fn start(&self, spec: StartSpec) -> Arc<dyn Running>;
}

/// Takes what a program writes, as it writes it.
pub type Output = Arc<Mutex<dyn FnMut(Stream, &[u8]) + Send>>;

/// What a program is started with.
pub struct StartSpec {
    /// The node that it runs on, whose cores it shares.
    pub node: String,
    /// Where its events happen.
    pub place: PlaceId,
    /// The namespace of its pod.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// Its container.
    pub container: String,
    /// Its image, as the pod names it.
    pub image: String,
    /// Its arguments; the first is the program.
    pub args: Vec<String>,
    /// Its environment, complete.
    pub env: Vec<(String, String)>,
    /// Its network.
    pub stack: Stack,
    /// Its files.
    pub mounts: Mounts,
    /// Its signals, which `mounts` offers as `/dev/signals`.
    pub signals: SignalQueue,
    /// Its share when cores are short: the millicores it requests.
    pub cpu_weight: u32,
    /// The most it may use, in millicores.
    pub cpu_limit: Option<u32>,
    /// The most memory it takes, in bytes.
    pub memory_limit: Option<u64>,
    /// How often its container was started before.
    pub run: u32,
    /// The name of its random stream.
    pub rng_name: String,
    /// Whether this is the container's main program, or a further one in it (a probe's, a
    /// hook's, `kubectl exec`).
    pub main: bool,
    /// Takes what it writes.
    pub output: Output,
    /// Whether its standard input stays open for [`Running::feed`], or is at its end.
    pub stdin: bool,
    /// Whether it shall believe that its standard input and output are a terminal.
    pub terminal: bool,
}

/// Waits for the end of a program.
pub type Ending = Pin<Box<dyn Future<Output = Exit> + Send>>;

/// A program that was started. Dropping it does not end the program.
pub trait Running: Send + Sync {
    /// Sends a signal, as `kill(2)` does.
    fn signal(&self, number: u8);
    /// Ends it at once.
    fn kill(&self);
    /// Stops it where it is, or lets it go on.
    fn set_frozen(&self, frozen: bool);
    /// How it ended, if it has.
    fn exit(&self) -> Option<Exit>;
    /// Gives it something to read as standard input. Says how many bytes were taken; the rest is
    /// to be given again when it has read more.
    fn feed(&self, bytes: &[u8]) -> usize {
        bytes.len()
    }
    /// Ends its standard input.
    fn end_input(&self) {}
    /// Waits for its end.
    fn wait(&self) -> Ending;
    /// The memory it has, in bytes.
    fn memory(&self) -> u64;
    /// How long it has computed, in ns.
    fn cpu_nanos(&self) -> u64;
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; 128 + n for a signal.
    pub code: i32,
    /// "Completed", "Error", "OOMKilled", "ContainerCannotRun".
    pub reason: String,
    /// What went wrong, if that is known.
    pub message: String,
}
