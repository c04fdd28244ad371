//! Check, then act: two servers ask the store whether a seat is free, both hear yes, both book it. The
//! store would refuse a booking that names a version which is past.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use podlab_guest::runtime::sleep;

use crate::dice::Dice;
use crate::service::{Caller, number, reply, serve, serve_now};
use crate::{Ended, Part, say};

const SEATS: u64 = 12;
/// A sale begins so often, in ms of the wall clock: for everybody at the same instant.
const SALE: u64 = 500;

/// `store` keeps seats, `shop-1` and `shop-2` sell them to `ann` and `bob`.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "store" => store(part).await,
        "shop-1" => shop(part, 8081).await,
        "shop-2" => shop(part, 8082).await,
        "ann" => customer(part, 8081).await,
        "bob" => customer(part, 8082).await,
        _ => part.unknown(),
    }
}

async fn store(part: Part) -> Ended {
    let mut seats: BTreeMap<u64, (String, u64)> = BTreeMap::new();
    for seat in 1..=SEATS {
        say::did("offered", seat);
    }
    serve_now(8080, part.stop, move |request| {
        let seat = seats.entry(number(&request, "seat")).or_default();
        if request.method == "GET" {
            return reply(200, format!("{} {}", seat.1, seat.0));
        }
        let expected = request.parameter("version");
        if expected.is_some_and(|version| version != seat.1.to_string()) {
            return reply(409, "changed meanwhile");
        }
        *seat = (request.parameter("by").unwrap_or_default(), seat.1 + 1);
        reply(200, "changed")
    })
    .await
}

async fn shop(part: Part, port: u16) -> Ended {
    let dice = Rc::new(Dice::default());
    let wrong = part.wrong;
    serve(port, part.stop, move |request| {
        let dice = dice.clone();
        async move {
            let (seat, by) =
                (number(&request, "seat"), request.parameter("by").unwrap_or_default());
            let booked = book(&dice, wrong, seat, &by).await;
            match booked {
                Ok(true) => {
                    say::did_by("booked", seat, &by);
                    reply(200, "yours")
                }
                Ok(false) => reply(409, "taken"),
                Err(error) => reply(503, error),
            }
        }
    })
    .await
}

async fn book(dice: &Dice, wrong: bool, seat: u64, by: &str) -> Result<bool, String> {
    let mut store = Caller::new("localhost:8080", 1000)?;
    let (_, text) = store.call("GET", &format!("/seats?seat={seat}")).await?;
    let Some((version, "")) = text.split_once(' ') else { return Ok(false) };
    // The price is worked out.
    dice.work(0, 3).await;
    let condition = if wrong { String::new() } else { format!("&version={version}") };
    let target = format!("/seats?seat={seat}&by={by}{condition}");
    Ok(store.call("PUT", &target).await?.0 == 200)
}

async fn customer(part: Part, port: u16) -> Ended {
    let dice = Dice::default();
    let mut shop = Caller::new(&format!("localhost:{port}"), 1000)?;
    sleep(Duration::from_secs(1)).await;
    for seat in 1..=SEATS {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?;
        let left = SALE - now.as_millis() as u64 % SALE;
        sleep(Duration::from_millis(left + dice.throw(0, 40))).await;
        let _taken = shop.call("POST", &format!("/book?seat={seat}&by={}", part.role)).await;
    }
    part.rest().await
}
