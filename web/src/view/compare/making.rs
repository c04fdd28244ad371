//! The worlds of a pair are found, or made.

use serde_json::Value;

use crate::api::{self, Failure};
use crate::model::pair::{Pair, Side};
use crate::model::variant::variants;
use crate::view::command;

fn failure(reason: &str, message: String) -> Failure {
    Failure { reason: reason.into(), message, remedy: String::new() }
}

/// The world of a side: the one it names, if it is still there and what it should be; else a new
/// one. It stands: one clock is to run both.
///
/// # Errors
/// If there is none and none can be made.
pub async fn there(side: Side) -> Result<Side, Failure> {
    if !side.world.is_empty() {
        match found(&side).await {
            Ok(Some(found)) => return Ok(found),
            Err(e) if side.pattern.is_empty() || e.reason == "unreachable" => return Err(e),
            _ if side.pattern.is_empty() => {
                return Err(failure("gone", side.world));
            }
            _ => {}
        }
    }
    let world = api::begin(&side.pattern, side.seed, side.epoch, Some(0)).await?;
    let side = Side { world, ..side };
    if !side.without.is_empty() {
        take_out(&side).await?;
    }
    Ok(side)
}

/// The world that a side names; `None` if it is another by now.
async fn found(side: &Side) -> Result<Option<Side>, Failure> {
    let world: Value = api::call("GET", &format!("/api/worlds/{}", side.world), None).await?;
    let pattern = world["pattern"].as_str().unwrap_or_default();
    let seed = world["seed"].as_u64().unwrap_or(0);
    let other = !side.pattern.is_empty() && (side.pattern != pattern || side.seed != seed);
    if other || world["dead"] == true {
        return Ok(None);
    }
    if world["speed"] != 0 {
        command::time(side.world.clone(), command::speed(0)).await?;
    }
    Ok(Some(Side { seed, epoch: world["epoch"].as_u64().or(side.epoch), ..side.clone() }))
}

/// Puts a variant's objects in the place of the pattern's, before any time has passed.
async fn take_out(side: &Side) -> Result<(), Failure> {
    let pattern = command::pattern(side.pattern.clone(), &side.world).await;
    let variant = variants(&pattern).into_iter().find(|v| v.name == side.without);
    let variant = variant.ok_or_else(|| failure("variant", side.without.clone()))?;
    for object in &variant.objects {
        let Some(path) = object.path() else { continue };
        let at = format!("/api/worlds/{}/kube{path}", side.world);
        let answer = if object.kind == "Pod" {
            // The containers of a pod cannot be exchanged: it is made anew.
            api::kube("DELETE", &format!("{at}?gracePeriodSeconds=0"), "", None).await?;
            let all = at.rsplit_once('/').map_or(at.as_str(), |(all, _)| all);
            api::kube("POST", all, "application/yaml", Some(&object.text)).await?
        } else {
            let at = format!("{at}?fieldManager=podlab&force=true");
            api::kube("PATCH", &at, "application/apply-patch+yaml", Some(&object.text)).await?
        };
        if answer.0 >= 300 {
            let said = answer.1["message"].as_str().unwrap_or_default();
            return Err(failure("refused", format!("{} {}: {said}", object.kind, object.name)));
        }
    }
    Ok(())
}

/// A world and its fork at an instant, beside each other.
///
/// # Errors
/// As [`api::call`].
pub async fn fork(side: Side, at: u64) -> Result<Pair, Failure> {
    let answer = command::time(side.world.clone(), command::fork(at)).await?;
    let world = answer["world"]["id"].as_str().unwrap_or_default().to_owned();
    let right = Side { world, fork: Some(at), ..side.clone() };
    Ok(Pair { sides: [side, right], at: Some(at) })
}
