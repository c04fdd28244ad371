//! A server that forgets to free what it took for a request when the request fails: it runs for a while,
//! and then the kernel ends it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::dice::Dice;
use crate::service::{reply, serve};
use crate::{Ended, Part};

/// What a request needs, in bytes.
const ROOM: usize = 256 << 10;

/// `server` serves.
pub async fn play(part: Part) -> Ended {
    if part.role != "server" {
        return part.unknown();
    }
    let sessions: Rc<RefCell<BTreeMap<u64, Vec<u8>>>> = Rc::default();
    let dice = Rc::new(Dice::default());
    let wrong = part.wrong;
    serve(8080, part.stop, move |_| {
        let (sessions, dice) = (sessions.clone(), dice.clone());
        async move {
            let session = dice.throw(0, u64::MAX - 1);
            sessions.borrow_mut().insert(session, vec![1; ROOM]);
            dice.work(1, 5).await;
            if dice.throw(1, 10) <= 3 {
                if !wrong {
                    sessions.borrow_mut().remove(&session);
                }
                return reply(422, "this cannot be done");
            }
            sessions.borrow_mut().remove(&session);
            reply(200, "done")
        }
    })
    .await
}
