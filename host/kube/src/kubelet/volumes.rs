//! The volumes of a pod, and how they get into its containers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, KeyToPath, Pod, ServiceAccountTokenProjection, Volume as Spec,
};
use podlab_fs::{FileType, MountOptions, Mounts, Volume, VolumeOptions};
use serde_json::Value;

use super::cell::{Ctx, PodCell};
use super::env;
use crate::api::access;
use crate::control_plane::Shared;
use crate::store::{object, quantity};

type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// Makes the volumes that are not there yet.
///
/// # Errors
/// The volume and what is wrong with it, in the kubelet's words.
pub(crate) fn set_up(ctx: &Ctx) -> Result<(), (String, String)> {
    let pod = ctx.cell.lock().pod.clone();
    for spec in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        if ctx.cell.volume(&spec.name).is_some() {
            continue;
        }
        let volume = make(ctx, &pod, spec).map_err(|why| (spec.name.clone(), why))?;
        ctx.cell.lock().volumes.insert(spec.name.clone(), volume);
    }
    Ok(())
}

fn make(ctx: &Ctx, pod: &Pod, spec: &Spec) -> Result<Volume, String> {
    let sim = &ctx.shared.sim;
    if let Some(empty) = &spec.empty_dir {
        let bytes = empty.size_limit.as_ref().and_then(|q| quantity::millis(&q.0));
        let quota = bytes.and_then(|m| u64::try_from(m / 1000).ok());
        return Ok(Volume::new(sim, &spec.name, VolumeOptions { quota, read_only: false }));
    }
    if let Some(claim) = &spec.persistent_volume_claim {
        return self::claim(ctx, &claim.claim_name);
    }
    let files = contents(ctx, pod, spec)?;
    let options = VolumeOptions { quota: None, read_only: true };
    let volume = Volume::new(sim, &spec.name, options);
    volume.publish(&files).map_err(|e| e.name().to_owned())?;
    Ok(volume)
}

/// The volume behind a claim: it outlives pods.
fn claim(ctx: &Ctx, name: &str) -> Result<Volume, String> {
    let namespace = &ctx.cell.namespace;
    let found = ctx.shared.store.get("persistentvolumeclaims", namespace, name);
    let Some(claim) = found else {
        return Err(format!("persistentvolumeclaim {name:?} not found"));
    };
    let bound = claim["spec"]["volumeName"].as_str().unwrap_or("");
    let Some(behind) = ctx.shared.store.get("persistentvolumes", "", bound) else {
        return Err(format!("PVC {namespace}/{name} is not bound"));
    };
    if behind["spec"]["claimRef"]["uid"] != object::uid(&claim) {
        return Err(format!("PVC {namespace}/{name} is not bound"));
    }
    // What was written stays with the volume, whoever claims it.
    let key = object::uid(&behind).to_owned();
    let mut claims = ctx.shared.claims.lock().expect("claims lock");
    let volume = claims.entry(key).or_insert_with(|| {
        let size = quantity::of(&behind["spec"]["capacity"]["storage"]);
        let quota = size.and_then(|m| u64::try_from(m / 1000).ok());
        Volume::new(&ctx.shared.sim, name, VolumeOptions { quota, read_only: false })
    });
    Ok(volume.clone())
}

/// What a volume of the API's objects contains now.
fn contents(ctx: &Ctx, pod: &Pod, spec: &Spec) -> Result<Files, String> {
    let mut files = Files::new();
    if let Some(source) = &spec.config_map {
        let mode = mode(source.default_mode);
        from_config_map(ctx, &source.name, &source.items, source.optional, mode, &mut files)?;
    } else if let Some(source) = &spec.secret {
        let mode = mode(source.default_mode);
        let name = source.secret_name.as_deref().unwrap_or("");
        from_secret(ctx, name, &source.items, source.optional, mode, &mut files)?;
    } else if let Some(source) = &spec.downward_api {
        let mode = mode(source.default_mode);
        downward(ctx, pod, source.items.iter().flatten(), mode, &mut files)?;
    } else if let Some(source) = &spec.projected {
        let mode = mode(source.default_mode);
        for part in source.sources.iter().flatten() {
            if let Some(s) = &part.config_map {
                from_config_map(ctx, &s.name, &s.items, s.optional, mode, &mut files)?;
            } else if let Some(s) = &part.secret {
                from_secret(ctx, &s.name, &s.items, s.optional, mode, &mut files)?;
            } else if let Some(s) = &part.downward_api {
                downward(ctx, pod, s.items.iter().flatten(), mode, &mut files)?;
            } else if let Some(s) = &part.service_account_token {
                let token = token(ctx, pod, &spec.name, s)?;
                files.insert(s.path.clone(), (token.into_bytes(), mode));
            } else {
                return Err("this source of a projected volume does not exist in a world: use configMap, secret, downwardAPI or serviceAccountToken".into());
            }
        }
    } else {
        return Err("this type of volume does not exist in a world: use emptyDir, configMap, secret, downwardAPI, projected or persistentVolumeClaim".into());
    }
    Ok(files)
}

/// A token of the pod's account; the one that is in the volume as long as at least a fifth of
/// its life is left (`pkg/kubelet/token`).
fn token(
    ctx: &Ctx,
    pod: &Pod,
    volume: &str,
    source: &ServiceAccountTokenProjection,
) -> Result<String, String> {
    let store = &ctx.shared.store;
    let seconds = source.expiration_seconds.unwrap_or(3600).max(600);
    if let Some(old) = ctx.cell.volume(volume).and_then(|v| v.read(&source.path).ok()) {
        let old = String::from_utf8_lossy(&old).into_owned();
        let now = ctx.shared.sim.unix_nanos() / 1_000_000_000;
        if access::token::ends(&old).is_some_and(|end| end > now + seconds.unsigned_abs() / 5) {
            return Ok(old);
        }
    }
    let namespace = &ctx.cell.namespace;
    let name = pod.spec.as_ref().and_then(|s| s.service_account_name.as_deref());
    let name = name.filter(|n| !n.is_empty()).unwrap_or("default");
    let Some(account) = store.get("serviceaccounts", namespace, name) else {
        return Err(format!("failed to fetch token: serviceaccounts {name:?} not found"));
    };
    let bound = store.get("pods", namespace, &ctx.cell.name);
    let audiences: Vec<String> = source.audience.iter().cloned().collect();
    Ok(access::token::issue(store, &account, bound.as_deref(), &audiences, seconds))
}

/// Renews the tokens in a pod's volumes before they end.
pub(crate) fn renew_tokens(ctx: &Ctx) {
    let pod = ctx.cell.lock().pod.clone();
    let sources = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    let sources = sources.flat_map(|v| v.projected.iter().flat_map(|p| p.sources.iter().flatten()));
    let tokens = sources.filter_map(|s| s.service_account_token.as_ref());
    let lives = tokens.map(|t| t.expiration_seconds.unwrap_or(3600).max(600).unsigned_abs());
    let Some(shortest) = lives.min() else { return };
    let body = ctx.clone();
    ctx.spawn(async move {
        loop {
            // A second after four fifths of its life, so that it counts as too old.
            body.shared.sim.sleep(Duration::from_secs(shortest * 4 / 5 + 1)).await;
            refresh(&body);
        }
    });
}

fn mode(default: Option<i32>) -> u32 {
    default.and_then(|m| u32::try_from(m).ok()).unwrap_or(0o644)
}

fn from_config_map(
    ctx: &Ctx,
    name: &str,
    items: &Option<Vec<KeyToPath>>,
    optional: Option<bool>,
    mode: u32,
    files: &mut Files,
) -> Result<(), String> {
    let optional = optional == Some(true);
    let Some(map) = env::config_map(ctx, name, optional)? else { return Ok(()) };
    let mut data: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (key, value) in map["data"].as_object().into_iter().flatten() {
        data.insert(key.clone(), value.as_str().unwrap_or("").as_bytes().to_vec());
    }
    data.extend(binary(&map["binaryData"]));
    project(&data, items, optional, mode, files)
}

fn from_secret(
    ctx: &Ctx,
    name: &str,
    items: &Option<Vec<KeyToPath>>,
    optional: Option<bool>,
    mode: u32,
    files: &mut Files,
) -> Result<(), String> {
    let optional = optional == Some(true);
    let Some(secret) = env::secret(ctx, name, optional)? else { return Ok(()) };
    project(&binary(&secret["data"]).collect(), items, optional, mode, files)
}

fn binary(data: &Value) -> impl Iterator<Item = (String, Vec<u8>)> + use<'_> {
    data.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), env::decode(v)))
}

fn project(
    data: &BTreeMap<String, Vec<u8>>,
    items: &Option<Vec<KeyToPath>>,
    optional: bool,
    mode: u32,
    files: &mut Files,
) -> Result<(), String> {
    let Some(items) = items.as_ref().filter(|i| !i.is_empty()) else {
        files.extend(data.iter().map(|(k, v)| (k.clone(), (v.clone(), mode))));
        return Ok(());
    };
    for item in items {
        let own = item.mode.and_then(|m| u32::try_from(m).ok()).unwrap_or(mode);
        match data.get(&item.key) {
            Some(bytes) => {
                files.insert(item.path.clone(), (bytes.clone(), own));
            }
            None if optional => {}
            None => return Err(format!("references non-existent config key: {}", item.key)),
        }
    }
    Ok(())
}

fn downward<'a>(
    ctx: &Ctx,
    pod: &Pod,
    items: impl Iterator<Item = &'a DownwardAPIVolumeFile>,
    mode: u32,
    files: &mut Files,
) -> Result<(), String> {
    for item in items {
        let text = if let Some(field) = &item.field_ref {
            env::field_value(ctx, field, ctx.cell.address())?
        } else if let Some(resource) = &item.resource_field_ref {
            env::resource_value(ctx, pod, None, resource)?
        } else {
            String::new()
        };
        let own = item.mode.and_then(|m| u32::try_from(m).ok()).unwrap_or(mode);
        files.insert(item.path.clone(), (text.into_bytes(), own));
    }
    Ok(())
}

/// Mounts a container's volumes.
///
/// # Errors
/// In the kubelet's words.
pub(crate) fn mount(
    ctx: &Ctx,
    pod: &Pod,
    spec: &Container,
    env: &[(String, String)],
    mut mounts: Mounts,
) -> Result<Mounts, String> {
    let env: IndexMap<String, String> = env.iter().cloned().collect();
    let volumes = ctx.cell.lock().volumes.clone();
    // Outer paths first, whatever the order in the spec.
    let mut all: Vec<_> = spec.volume_mounts.iter().flatten().collect();
    all.sort_by_key(|m| m.mount_path.clone());
    for m in all {
        let Some(volume) = volumes.get(&m.name) else {
            return Err(format!(
                "cannot find volume {:?} to mount into container {:?}",
                m.name, spec.name
            ));
        };
        let sub_path = match m.sub_path_expr.as_deref().filter(|s| !s.is_empty()) {
            Some(expression) => env::expand(expression, &env),
            None => m.sub_path.clone().unwrap_or_default(),
        };
        let generated = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()).any(|v| {
            v.name == m.name && v.empty_dir.is_none() && v.persistent_volume_claim.is_none()
        });
        let read_only = m.read_only == Some(true) || generated;
        let options = MountOptions { read_only, sub_path };
        mounts = mounts.mount(&m.mount_path, volume, options).map_err(|e| {
            format!("failed to mount {:?} at {}: {}", m.name, m.mount_path, e.name())
        })?;
    }
    Ok(mounts)
}

/// Brings changes of ConfigMaps and Secrets into volumes, after the delay.
pub(crate) fn follow(shared: &Arc<Shared>) {
    for kind in ["configmaps", "secrets"] {
        let shared = shared.clone();
        shared.clone().sim.spawn(async move {
            let mut changes = shared.store.informer(kind);
            loop {
                let change = changes.next().await;
                if change.previous.is_none() && change.event == 0 {
                    continue;
                }
                let (namespace, name) = (
                    object::namespace(&change.object).to_owned(),
                    object::name(&change.object).to_owned(),
                );
                let cells: Vec<Arc<PodCell>> = {
                    let pods = shared.pods();
                    let from = (namespace.clone(), String::new());
                    let of = pods.range(from..).take_while(|((ns, _), _)| *ns == namespace);
                    of.map(|(_, c)| c.clone()).filter(|c| refers(c, kind, &name)).collect()
                };
                for cell in cells {
                    let Some(node) = shared.nodes.get(&cell.node) else { continue };
                    let ctx = Ctx { shared: shared.clone(), node: node.clone(), cell };
                    refresh_later(&ctx);
                }
            }
        });
    }
}

/// Whether a volume of the pod shows the object.
fn refers(cell: &PodCell, kind: &str, name: &str) -> bool {
    let pod = cell.lock().pod.clone();
    pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()).any(|v| {
        let map = v.config_map.as_ref().map(|c| c.name.as_str());
        let secret = v.secret.as_ref().and_then(|s| s.secret_name.as_deref());
        let sources = || v.projected.iter().flat_map(|p| p.sources.iter().flatten());
        if kind == "configmaps" {
            map == Some(name)
                || sources().any(|s| s.config_map.as_ref().is_some_and(|c| c.name == name))
        } else {
            secret == Some(name)
                || sources().any(|s| s.secret.as_ref().is_some_and(|c| c.name == name))
        }
    })
}

/// Brings what changed into the pod's volumes, after the delay.
pub(crate) fn refresh_later(ctx: &Ctx) {
    let body = ctx.clone();
    ctx.spawn(async move {
        body.shared.sim.sleep(body.shared.delays().config).await;
        refresh(&body);
    });
}

/// Publishes what has changed.
fn refresh(ctx: &Ctx) {
    let pod = ctx.cell.lock().pod.clone();
    for spec in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        if spec.empty_dir.is_some() || spec.persistent_volume_claim.is_some() {
            continue;
        }
        let Some(volume) = ctx.cell.volume(&spec.name) else { continue };
        // What was deleted meanwhile stays as it was, as in Kubernetes.
        let Ok(files) = contents(ctx, &pod, spec) else { continue };
        let same = |(path, (bytes, _)): (&String, &(Vec<u8>, u32))| {
            volume.read(path).is_ok_and(|now| now[..] == bytes[..])
        };
        let is_file = |(_, stat): &&(String, podlab_fs::Stat)| stat.kind == FileType::File;
        let count = volume.list().iter().filter(is_file).count();
        if count != files.len() || !files.iter().all(same) {
            // A volume of the API's objects has no quota: nothing can fail but a name that is
            // none, which was refused when the volume was made.
            let _ = volume.publish(&files);
        }
    }
}
