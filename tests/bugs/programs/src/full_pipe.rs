//! A client that sends everything before it reads anything, and a filter that answers as it reads: once
//! all buffers between them are full, each waits for the other for ever.

use std::net::SocketAddr;
use std::rc::Rc;

use podlab_guest::net::{TcpListener, TcpStream};
use podlab_guest::runtime::{Flag, race, spawn};

use crate::dice::Dice;
use crate::{Ended, Part, say};

const PORT: u16 = 8080;
const JOBS: u64 = 4;

/// `filter` turns letters into capitals, `client` has texts for it.
pub async fn play(part: Part) -> Ended {
    match part.role.as_str() {
        "filter" => filter(part).await,
        "client" => client(part).await,
        _ => part.unknown(),
    }
}

async fn filter(part: Part) -> Ended {
    let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], PORT))).await;
    let listener = listener.map_err(|e| e.to_string())?;
    let serve = async {
        loop {
            let Ok(stream) = listener.accept().await else { continue };
            spawn(async move {
                while let Ok(mut bytes) = stream.read(16 << 10).await {
                    bytes.make_ascii_uppercase();
                    if bytes.is_empty() || stream.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
            });
        }
    };
    race(serve, part.stop.wait()).await;
    Ok(())
}

async fn client(part: Part) -> Ended {
    let dice = Dice::default();
    dice.work(500, 1000).await;
    for job in 1..=JOBS {
        // Most texts fit into the buffers.
        let size = dice.throw(100 << 10, 1500 << 10) as usize;
        say::did("began", job);
        let stream = TcpStream::connect("localhost", PORT).await.map_err(|e| e.to_string())?;
        let stream = Rc::new(stream);
        let sent = Flag::default();
        let (sender, done) = (stream.clone(), sent.clone());
        spawn(async move {
            // The filter's end shows in what comes back.
            let _gone = sender.write_all(&vec![b'a'; size]).await;
            let _gone = sender.shutdown_write();
            done.raise();
        });
        if part.wrong {
            sent.wait().await;
        }
        let mut got = 0;
        while got < size {
            let bytes = stream.read(64 << 10).await.map_err(|e| e.to_string())?;
            if bytes.is_empty() || bytes.iter().any(|b| *b != b'A') {
                return Err(format!("job {job}: {got} of {size} bytes came back"));
            }
            got += bytes.len();
        }
        say::did("finished", job);
    }
    part.rest().await
}
