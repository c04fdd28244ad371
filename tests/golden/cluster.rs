//! A cluster as the one of the transcripts: a world served by the real server, and a stand-in
//! for its kubelets, which says of every pod at once that it runs.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use podlab_kube::api::Request;
use podlab_server::live::{Live, Speed};
use podlab_server::{App, Assets, Options, router};
use podlab_world::{Images, World, WorldOptions};
use serde_json::{Value, json};

const MINUTE: u64 = 60_000_000_000;

/// A served world, until it is dropped.
pub struct Cluster {
    live: Arc<Live>,
    stop: Arc<AtomicBool>,
    stand_in: Option<JoinHandle<()>>,
    _server: tokio::runtime::Runtime,
    home: tempfile::TempDir,
    url: String,
    kubectl: PathBuf,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(stand_in) = self.stand_in.take() {
            let ended = stand_in.join();
            assert!(std::thread::panicking() || ended.is_ok(), "the stand-in failed");
        }
    }
}

impl Cluster {
    /// Starts it: two nodes, nothing else.
    pub fn start() -> Cluster {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the date is after 1970");
        let nanos = u64::try_from(now.as_nanos()).expect("the date is before 2554");
        // Half a minute before the next full one, for the CronJob.
        let nanos = nanos / MINUTE * MINUTE + MINUTE / 2
            - if nanos % MINUTE < MINUTE / 2 { MINUTE } else { 0 };
        let options = WorldOptions { epoch: nanos, nodes: Vec::new(), ..WorldOptions::default() };
        let catalogue = podlab_lab::Catalogue::read(Default::default()).expect("an empty one");
        let page = Assets::new(Vec::new());
        let images = Images::new();
        let world = World::new(&images, options);
        let app = App::new(podlab_tests::engine(), images, catalogue, page, Options::default());
        let live = app
            .adopt(world, Speed::Rate(1.0), podlab_server::workshop::viewer::Viewer::Owner)
            .expect("there is room for a world");
        let server = tokio::runtime::Runtime::new().expect("tokio starts");
        let listener = server
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        server.spawn(async move { axum::serve(listener, router(app)).await });
        let stop = Arc::new(AtomicBool::new(false));
        let stand_in = StandIn { live: live.clone(), pods: 1, beats: 0 };
        let mut cluster = Cluster {
            stand_in: None,
            _server: server,
            home: tempfile::tempdir().expect("there is room on disk"),
            url: format!("http://127.0.0.1:{port}/api/worlds/{}/kube", live.id()),
            kubectl: kubectl(),
            live,
            stop: stop.clone(),
        };
        cluster.furnish();
        cluster.stand_in = Some(std::thread::spawn(move || stand_in.run(&stop)));
        cluster
    }

    fn furnish(&self) {
        let home = self.home.path();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "world",
            "clusters": [{"name": "world", "cluster": {"server": self.url}}],
            "users": [{"name": "world", "user": {}}],
            "contexts": [{"name": "world", "context": {"cluster": "world", "user": "world"}}],
        });
        std::fs::write(home.join("config"), config.to_string()).expect("a file can be written");
        std::fs::create_dir(home.join("bin")).expect("a folder can be made");
        let link = home.join("bin/kubectl");
        std::os::unix::fs::symlink(&self.kubectl, link).expect("a link can be made");
        for number in 1..=2 {
            let name = format!("node-{number}");
            ask(&self.live, "POST", "/api/v1/nodes", Some(node(&name, number)));
        }
    }

    fn path(&self) -> String {
        format!("/api/worlds/{}/kube", self.live.id())
    }

    /// Runs a command of a transcript; gives what the transcript would hold.
    pub fn run(&self, command: &str) -> String {
        let command = command
            .replace("DIR/", &format!("{}/", self.home.path().display()))
            .replace("https://127.0.0.1:26443", &self.url)
            // kubectl takes the whole path.
            .replace("--raw /", &format!("--raw {}/", self.path()))
            .replace("--raw '/", &format!("--raw '{}/", self.path()));
        // Two commands that write into one pipe would write into each other's lines.
        let watched = self.home.path().join("watched").display().to_string();
        let command = match command.split_once(" & ") {
            Some((watch, other)) => format!("{watch} > {watched} & {other}; cat {watched}"),
            None => command,
        };
        let manifests = podlab_tests::root().join("host/kube/tests/api/golden/manifests");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-c", &command])
            .current_dir(manifests)
            .env("PATH", format!("{}:{path}", self.home.path().join("bin").display()))
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .replace(&self.url, "https://HOST")
                .replace(&format!("{}/", self.home.path().display()), "DIR/")
        };
        format!(
            "--- stdout\n{}--- stderr\n{}--- exit {}",
            text(&output.stdout),
            text(&output.stderr),
            output.status.code().unwrap_or(-1),
        )
    }
}

/// kubectl 1.32, with which the transcripts were made, if it can be found.
fn kubectl() -> PathBuf {
    let all = kubectls();
    let wanted = all.iter().find(|k| k.ends_with("kubectl.1.32"));
    wanted.unwrap_or(&all[0]).clone()
}

/// Every kubectl that can be found: some installations have a `kubectl` that starts the one of
/// the server's version, and those beside it.
pub fn kubectls() -> Vec<PathBuf> {
    let named = std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into());
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(&named))
        .find(|file| file.is_file())
        .expect("kubectl is on the PATH");
    let real = found.canonicalize().unwrap_or(found);
    let beside = (20..60).map(|minor| real.with_file_name(format!("kubectl.1.{minor}")));
    let mut all: Vec<PathBuf> = beside.filter(|file| file.is_file()).collect();
    if all.is_empty() {
        all.push(real);
    }
    all
}

fn node(name: &str, number: usize) -> Value {
    let capacity = json!({
        "cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "50Gi",
        "hugepages-1Gi": "0", "hugepages-2Mi": "0",
    });
    let fine = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": now(), "lastTransitionTime": now()})
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"node.alpha.kubernetes.io/ttl": "0"},
            "labels": {
                "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
            },
        },
        "spec": {"podCIDR": format!("10.244.{}.0/24", number - 1), "podCIDRs": [format!("10.244.{}.0/24", number - 1)]},
        "status": {
            "capacity": capacity, "allocatable": capacity,
            "addresses": [
                {"type": "InternalIP", "address": format!("127.0.0.{}", number + 1)},
                {"type": "Hostname", "address": name},
            ],
            "conditions": [
                fine("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
                fine("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
                fine("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
                fine("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "nodeInfo": {
                "architecture": "amd64", "bootID": format!("b-{name}"),
                "containerRuntimeVersion": "containerd://1.7.0", "kernelVersion": "6.1.0",
                "kubeProxyVersion": "v1.32.13", "kubeletVersion": "v1.32.13",
                "machineID": format!("m-{name}"), "operatingSystem": "linux",
                "osImage": "Fake Linux", "systemUUID": format!("u-{name}"),
            },
        },
    })
}

fn now() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the date is after 1970");
    podlab_kube::store::object::time(u64::try_from(elapsed.as_nanos()).expect("before 2554"))
}

/// A request without kubectl; the answer's status and object.
fn ask(live: &Live, method: &str, target: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = Request::new(method, target);
    if let Some(body) = body {
        let media = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        request = request.with_body(media, body.to_string());
    }
    let response = live.api(request).expect("the world lives");
    let value = response.bytes().and_then(|b| serde_json::from_slice(b).ok());
    (response.status, value.unwrap_or(Value::Null))
}

/// What says of pods that they run, as the one of the transcripts did: pods are Running and
/// Ready at once, those of Jobs succeed after 2 s, deleted ones go at once, and one that is
/// annotated `fake/hold` stays as it is.
struct StandIn {
    live: Arc<Live>,
    pods: u8,
    beats: u32,
}

impl StandIn {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Relaxed) {
            if self.beats.is_multiple_of(500) {
                self.beat();
            }
            self.beats += 1;
            let (_, list) = ask(&self.live, "GET", "/api/v1/pods", None);
            for pod in list["items"].as_array().into_iter().flatten() {
                self.look_at(pod);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn beat(&self) {
        let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        for name in ["node-1", "node-2"] {
            let renewed = now().replace('Z', ".000000Z");
            let spec =
                json!({"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": renewed});
            let lease = json!({"metadata": {"name": name}, "spec": spec});
            let (status, _) =
                ask(&self.live, "PATCH", &format!("{leases}/{name}"), Some(lease.clone()));
            if status == 404 {
                ask(&self.live, "POST", leases, Some(lease));
            }
        }
    }

    fn look_at(&mut self, pod: &Value) {
        let (meta, status) = (&pod["metadata"], &pod["status"]);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let path =
            format!("/api/v1/namespaces/{}/pods/{}", text(&meta["namespace"]), text(&meta["name"]));
        if pod["spec"]["nodeName"].is_null() || meta["annotations"]["fake/hold"] == "true" {
            return;
        }
        if !meta["deletionTimestamp"].is_null() {
            ask(&self.live, "DELETE", &path, Some(json!({"gracePeriodSeconds": 0})));
            return;
        }
        let owner = &meta["ownerReferences"][0]["kind"];
        if status["phase"] == "Pending" {
            self.pods = self.pods.wrapping_add(1);
            let address = format!("10.244.0.{}", self.pods);
            let new = self.running(pod, &address);
            self.report(&path, pod, new);
        } else if status["phase"] == "Running" && owner == "Job" {
            let began = text(&status["startTime"]);
            // The transcripts looked at the CronJob's while it ran, which may take longer here.
            let slow = text(&meta["name"]).starts_with("cj-");
            let long_ago = SystemTime::now() - Duration::from_secs(if slow { 12 } else { 2 });
            let elapsed = long_ago.duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
            let limit = podlab_kube::store::object::time(u64::try_from(elapsed).expect("small"));
            if began <= limit {
                let new = self.succeeded(pod);
                self.report(&path, pod, new);
            }
        }
    }

    fn report(&self, path: &str, pod: &Value, new: Value) {
        let mut reported = pod.clone();
        for (key, value) in new.as_object().into_iter().flatten() {
            reported["status"][key] = value.clone();
        }
        ask(&self.live, "PUT", &format!("{path}/status"), Some(reported));
    }

    fn conditions(&self, pod: &Value, ready: &str) -> Value {
        let mut all: Vec<Value> = [
            ("PodReadyToStartContainers", ready),
            ("Initialized", "True"),
            ("Ready", ready),
            ("ContainersReady", ready),
        ]
        .into_iter()
        .map(|(kind, status)| {
            json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": now()})
        })
        .collect();
        let there = pod["status"]["conditions"].as_array();
        all.extend(there.into_iter().flatten().filter(|c| c["type"] == "PodScheduled").cloned());
        all.into()
    }

    fn running(&self, pod: &Value, address: &str) -> Value {
        let host = if pod["spec"]["nodeName"] == "node-1" { "127.0.0.2" } else { "127.0.0.3" };
        let containers = pod["spec"]["containers"].as_array();
        let statuses: Vec<Value> = containers
            .into_iter()
            .flatten()
            .map(|c| {
                let image = c["image"].as_str().unwrap_or_default();
                let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
                json!({
                    "containerID": format!("containerd://{uid}"), "image": image,
                    "imageID": format!("fake.io/{image}@sha256:{:064}", 0),
                    "lastState": {}, "name": c["name"], "ready": true, "restartCount": 0,
                    "started": true, "state": {"running": {"startedAt": now()}},
                })
            })
            .collect();
        json!({
            "phase": "Running", "startTime": now(), "hostIP": host, "hostIPs": [{"ip": host}],
            "podIP": address, "podIPs": [{"ip": address}], "containerStatuses": statuses,
            "conditions": self.conditions(pod, "True"),
        })
    }

    fn succeeded(&self, pod: &Value) -> Value {
        let mut statuses = pod["status"]["containerStatuses"].clone();
        for status in statuses.as_array_mut().into_iter().flatten() {
            let began = status["state"]["running"]["startedAt"].clone();
            status["ready"] = false.into();
            status["started"] = false.into();
            status["state"] = json!({"terminated": {
                "exitCode": 0, "reason": "Completed", "startedAt": began, "finishedAt": now(),
                "containerID": status["containerID"],
            }});
        }
        json!({
            "phase": "Succeeded", "containerStatuses": statuses,
            "conditions": self.conditions(pod, "False"),
        })
    }
}
