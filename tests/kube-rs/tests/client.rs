//! A kube-rs client against a world of the real binary (`$PODLAB`, or `target/podlab`): verbs,
//! watchers, waiting, and a controller of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Config, Resource as _, ResourceExt as _};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where all happens.
const HOME: &str = "default";

/// A running podlab with one world, until it is dropped.
struct Up {
    child: Child,
    url: String,
    _state: tempfile::TempDir,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Up {
    fn start() -> Up {
        let state = tempfile::tempdir().unwrap();
        let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/podlab");
        let podlab = std::env::var("PODLAB").unwrap_or_else(|_| built.into());
        // It takes a free port itself: one that is looked for here may be another test's by then.
        let mut child = Command::new(podlab)
            .args(["up", "--no-open", "--pattern", "sidecar", "--speed", "10"])
            .args(["--port", "0", "--state"])
            .arg(state.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("target/podlab: run `cargo xtask build` first");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("http://")?.1.split_once('/')?.0.to_owned()))
            .expect("podlab says where it is");
        let url = format!("http://{address}/api/worlds/w1/kube");
        Up { child, url, _state: state }
    }

    /// A client, as soon as the server answers.
    async fn client(&self) -> Client {
        let url = self.url.parse().expect("the URL of the world");
        let client = Client::try_from(Config::new(url)).expect("it needs no network to be made");
        let began = Instant::now();
        while client.apiserver_version().await.is_err() {
            assert!(began.elapsed() < PATIENCE, "podlab did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        client
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} never came"))
}

fn map(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    let data = data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let mut map = ConfigMap { data: Some(data), ..ConfigMap::default() };
    map.meta_mut().name = Some(name.into());
    map
}

fn value<'a>(map: &'a ConfigMap, key: &str) -> Option<&'a str> {
    map.data.as_ref()?.get(key).map(String::as_str)
}

/// In the namespace `default`, which is there when the world begins to run.
async fn maps(client: &Client) -> Api<ConfigMap> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let there = await_condition(namespaces, HOME, conditions::is_created());
    within("the namespace", there).await.unwrap();
    Api::namespaced(client.clone(), HOME)
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_made_changed_applied_listed_in_pages_and_deleted() {
    let up = Up::start();
    let client = up.client().await;
    assert_eq!(client.apiserver_version().await.unwrap().minor, "32");
    let maps = maps(&client).await;
    let made = maps.create(&PostParams::default(), &map("a", &[("x", "1")])).await.unwrap();
    assert_eq!((value(&made, "x"), made.uid().is_some()), (Some("1"), true));

    let stale = made.clone();
    let merge = Patch::Merge(json!({"data": {"x": "2"}}));
    let patched = maps.patch("a", &PatchParams::default(), &merge).await.unwrap();
    assert_eq!(value(&patched, "x"), Some("2"));
    let conflict = maps.replace("a", &PostParams::default(), &stale).await.unwrap_err();
    assert!(matches!(&conflict, kube::Error::Api(s) if s.code == 409), "{conflict:?}");

    let mine = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"y": "1", "x": "3"}});
    let apply = PatchParams::apply("me");
    let conflict = maps.patch("a", &apply, &Patch::Apply(&mine)).await.unwrap_err();
    assert!(conflict.to_string().contains("conflict with"), "{conflict}");
    let applied = maps.patch("a", &apply.force(), &Patch::Apply(&mine)).await.unwrap();
    assert_eq!((value(&applied, "x"), value(&applied, "y")), (Some("3"), Some("1")));

    for name in ["b", "c", "d"] {
        maps.create(&PostParams::default(), &map(name, &[])).await.unwrap();
    }
    let (mut names, mut page) = (Vec::new(), ListParams::default().limit(2));
    loop {
        let list = maps.list(&page).await.unwrap();
        assert!(list.items.len() <= 2);
        names.extend(list.items.iter().map(|m| m.name_any()));
        match list.metadata.continue_.filter(|t| !t.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    names.retain(|n| ["a", "b", "c", "d"].contains(&n.as_str()));
    assert_eq!(names, ["a", "b", "c", "d"]);

    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let gone = maps.get("a").await.unwrap_err();
    assert!(matches!(&gone, kube::Error::Api(s) if s.code == 404 && s.reason == "NotFound"));
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_what_is_there_and_then_every_change() {
    let up = Up::start();
    let client = up.client().await;
    let maps = maps(&client).await;
    maps.create(&PostParams::default(), &map("before", &[])).await.unwrap();
    for (round, config) in
        [watcher::Config::default().page_size(1), watcher::Config::default().streaming_lists()]
            .into_iter()
            .enumerate()
    {
        let mut events = std::pin::pin!(watcher(maps.clone(), config));
        let (mut first, name) = (Vec::new(), format!("during-{round}"));
        loop {
            match within("the initial list", events.try_next()).await.unwrap().expect("no end") {
                watcher::Event::InitApply(map) => first.push(map.name_any()),
                watcher::Event::InitDone => break,
                _ => {}
            }
        }
        assert!(first.contains(&"before".to_owned()), "{first:?}");
        maps.create(&PostParams::default(), &map(&name, &[])).await.unwrap();
        maps.delete(&name, &DeleteParams::default()).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            match within("a change", events.try_next()).await.unwrap().expect("no end") {
                watcher::Event::Apply(map) if map.name_any() == name => seen.push("applied"),
                watcher::Event::Delete(map) if map.name_any() == name => seen.push("deleted"),
                _ => {}
            }
        }
        assert_eq!(seen, ["applied", "deleted"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_come_true_while_a_client_waits() {
    let up = Up::start();
    let client = up.client().await;
    maps(&client).await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), HOME);
    let web: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "toolbox:v1", "args": ["sleep", "3600"]}]},
            },
        },
    }))
    .unwrap();
    deployments.create(&PostParams::default(), &web).await.unwrap();
    let complete = conditions::is_deployment_completed();
    let done = within("the rollout", await_condition(deployments, "web", complete)).await;
    assert_eq!(done.unwrap().unwrap().status.unwrap().available_replicas, Some(3));

    let pods: Api<Pod> = Api::namespaced(client, HOME);
    let list = pods.list(&ListParams::default().labels("app=web")).await.unwrap();
    let (name, uid) = (list.items[0].name_any(), list.items[0].uid().unwrap());
    let running = await_condition(pods.clone(), &name, conditions::is_pod_running());
    within("a running pod", running).await.unwrap();
    pods.delete(&name, &DeleteParams::default()).await.unwrap();
    let gone = await_condition(pods, &name, conditions::is_deleted(&uid));
    within("the pod's end", gone).await.unwrap();
}

/// A copy of every ConfigMap that asks for one, owned by it.
async fn copy(original: Arc<ConfigMap>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let copies: Api<ConfigMap> = Api::namespaced(Client::clone(&client), HOME);
    if original.labels().contains_key("copy") {
        let mut copy = ConfigMap { data: original.data.clone(), ..ConfigMap::default() };
        copy.metadata.name = Some(format!("{}-copy", original.name_any()));
        copy.metadata.owner_references = original.controller_owner_ref(&()).map(|o| vec![o]);
        let name = copy.name_any();
        copies.patch(&name, &PatchParams::apply("copier").force(), &Patch::Apply(&copy)).await?;
    }
    Ok(Action::await_change())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_keeps_what_it_owns_as_it_should_be() {
    let up = Up::start();
    let client = up.client().await;
    let maps = maps(&client).await;
    let controller = Controller::new(maps.clone(), watcher::Config::default())
        .owns(maps.clone(), watcher::Config::default())
        .run(copy, |_, e, _| panic!("{e}"), Arc::new(client))
        .for_each(|done| async move {
            // An object may be gone again when its turn comes.
            drop(done);
        });
    let running = tokio::spawn(controller);
    let mut original = map("settings", &[("color", "red")]);
    original.metadata.labels = Some(BTreeMap::from([("copy".into(), "yes".into())]));
    maps.create(&PostParams::default(), &original).await.unwrap();
    let copied = |color: &'static str| {
        move |map: Option<&ConfigMap>| map.is_some_and(|m| value(m, "color") == Some(color))
    };
    let wait = |color| await_condition(maps.clone(), "settings-copy", copied(color));
    let copy = within("the copy", wait("red")).await.unwrap().unwrap();
    assert_eq!(copy.owner_references()[0].name, "settings");
    // Changed by hand, it is put right; so it is when the original changes, or it goes.
    let blue = Patch::Merge(json!({"data": {"color": "blue"}}));
    maps.patch("settings-copy", &PatchParams::default(), &blue).await.unwrap();
    within("the repair", wait("red")).await.unwrap();
    maps.patch("settings", &PatchParams::default(), &blue).await.unwrap();
    within("the change", wait("blue")).await.unwrap();
    maps.delete("settings-copy", &DeleteParams::default()).await.unwrap();
    within("the new copy", wait("blue")).await.unwrap();
    // And with its owner it is collected.
    let uid = maps.get("settings-copy").await.unwrap().uid().unwrap();
    maps.delete("settings", &DeleteParams::background()).await.unwrap();
    let gone = await_condition(maps.clone(), "settings-copy", conditions::is_deleted(&uid));
    within("the end", gone).await.unwrap();
    running.abort();
}
