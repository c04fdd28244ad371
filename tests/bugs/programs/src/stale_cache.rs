//! A cache that is filled with what was read before a write, after the write has emptied it: until it is read
//! again everybody gets the old value.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::service::{reply, serve};
use crate::{Ended, Part};

/// What is cached is read again after this long.
const KEPT: Duration = Duration::from_millis(60);

#[derive(Default)]
struct Shop {
    dice: Dice,
    database: Cell<u64>,
    cached: Cell<Option<(u64, Instant)>>,
    /// How many writes there were: a value read under an earlier number is not cached.
    writes: Cell<u64>,
}

/// `server` has a price in a database and a cache before it.
pub async fn play(part: Part) -> Ended {
    if part.role != "server" {
        return part.unknown();
    }
    let shop = Rc::new(Shop::default());
    let wrong = part.wrong;
    serve(8080, part.stop, move |request| {
        let shop = shop.clone();
        async move {
            let value =
                if request.method == "PUT" { shop.write().await } else { shop.read(wrong).await };
            reply(200, value.to_string())
        }
    })
    .await
}

impl Shop {
    async fn read(&self, wrong: bool) -> u64 {
        if let Some((value, _)) = self.cached.get().filter(|(_, at)| at.elapsed() < KEPT) {
            return value;
        }
        let writes = self.writes.get();
        self.dice.work(1, 5).await;
        let value = self.database.get();
        self.dice.work(1, 10).await;
        if wrong || writes == self.writes.get() {
            self.cached.set(Some((value, Instant::now())));
        }
        value
    }

    /// Writes the next number.
    async fn write(&self) -> u64 {
        self.dice.work(1, 5).await;
        let value = self.database.get() + 1;
        self.database.set(value);
        self.writes.set(self.writes.get() + 1);
        self.cached.set(None);
        self.dice.work(1, 5).await;
        value
    }
}
