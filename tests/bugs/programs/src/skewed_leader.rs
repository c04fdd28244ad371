//! An election that compares the time in a lease with its own wall clock: a candidate whose clock is ahead
//! of the leader's takes a lease that is fresh, and for a while two lead.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use podlab_guest::runtime::sleep;

use crate::dice::Dice;
use crate::service::{Caller, number, reply, serve_now};
use crate::{Ended, Part, say};

/// A lease that is not renewed this long is free.
const LEASE: Duration = Duration::from_secs(3);
/// A leader who could not renew for this long leads no more.
const DEADLINE: Duration = Duration::from_secs(2);

/// `leases` keeps the lease, all others stand for election.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "leases" => leases(part).await,
        _ => candidate(part).await,
    }
}

/// A record that only who knows its version can change.
async fn leases(part: Part) -> Ended {
    let (mut holder, mut renewed, mut version) = (String::new(), 0, 0);
    serve_now(8080, part.stop, move |request| {
        if request.method == "PUT" {
            if number(&request, "version") != version {
                return reply(409, "changed meanwhile");
            }
            holder = request.parameter("by").unwrap_or_default();
            renewed = number(&request, "renewed");
            version += 1;
        }
        reply(200, format!("{version} {renewed} {holder}"))
    })
    .await
}

async fn candidate(part: Part) -> Ended {
    let dice = Dice::default();
    let mut leases = Caller::new("localhost:8080", 400)?;
    let mut leads: Option<Instant> = None;
    // Which version was seen first when.
    let mut seen = (u64::MAX, Instant::now());
    while !part.stop.raised() {
        dice.work(250, 350).await;
        let began = Instant::now();
        let result = turn(&mut leases, &part, &mut seen).await;
        let still = match result {
            Some(mine) => mine,
            None => leads.is_some_and(|since| since.elapsed() < DEADLINE),
        };
        match (leads, still) {
            (None, true) => say::did("leads", &part.role),
            (Some(_), false) => say::did("stops", &part.role),
            _ => {}
        }
        leads = still.then(|| if result == Some(true) { began } else { leads.unwrap_or(began) });
    }
    Ok(())
}

/// Whether the lease is ours after this turn; `None` if it cannot be told.
async fn turn(leases: &mut Caller, part: &Part, seen: &mut (u64, Instant)) -> Option<bool> {
    let Ok((200, text)) = leases.call("GET", "/").await else { return None };
    let mut words = text.split(' ');
    let mut number = || words.next().and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
    let (version, renewed) = (number(), number());
    let holder = words.next().unwrap_or_default();
    if version != seen.0 {
        *seen = (version, Instant::now());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_millis() as u64;
    let free = match part.wrong {
        true => now > renewed + LEASE.as_millis() as u64,
        // Only its own clock, and only how fast that goes.
        false => seen.1.elapsed() > LEASE,
    };
    if holder != part.role && !holder.is_empty() && !free {
        return Some(false);
    }
    let target = format!("/?by={}&renewed={now}&version={version}", part.role);
    match leases.call("PUT", &target).await {
        Ok((200, _)) => Some(true),
        Ok(_) => Some(false),
        Err(_) => {
            sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
