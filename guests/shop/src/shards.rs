//! Where the cache is: behind one address, or, without an ambassador, wherever this program thinks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use podlab_guest::keyvalue::Client;
use podlab_guest::memcached::{Reply, Request};
use podlab_guest::net::resolve;

/// The cache.
pub enum Cache {
    /// Somebody else knows how many there are.
    One(Client),
    /// This program knows: the name of all shards, and what an exchange may take. It looks them up
    /// for each request, and takes the one at `hash(key) % n`.
    Modulo { host: String, port: u16, limit: Duration, clients: Clients },
}

type Clients = std::cell::RefCell<BTreeMap<SocketAddr, std::rc::Rc<Client>>>;

impl Cache {
    /// One address.
    ///
    /// # Errors
    /// If it is none.
    pub fn one(address: &str, limit: Duration) -> Result<Cache, String> {
        Client::new(address, limit).map(Cache::One)
    }

    /// All addresses of a name.
    ///
    /// # Errors
    /// If there is no port.
    pub fn modulo(name: &str, limit: Duration) -> Result<Cache, String> {
        let wrong = || format!("--modulo: {name:?} is no name such as cache:11211");
        let (host, port) = name.rsplit_once(':').ok_or_else(wrong)?;
        let (host, port) = (host.to_owned(), port.parse().map_err(|_| wrong())?);
        Ok(Cache::Modulo { host, port, limit, clients: Clients::default() })
    }

    /// Asks.
    ///
    /// # Errors
    /// What went wrong.
    pub async fn ask(&self, request: &Request) -> Result<Reply, String> {
        match self {
            Cache::One(client) => client.memcached(request).await.map_err(|e| e.to_string()),
            Cache::Modulo { host, port, limit, clients } => {
                let mut shards = resolve(host, *port).await.map_err(|e| format!("{host}: {e}"))?;
                shards.sort_unstable();
                let mut parts: BTreeMap<SocketAddr, Vec<Vec<u8>>> = BTreeMap::new();
                for key in &request.keys {
                    let shard = shards.get((hash(key) % shards.len().max(1) as u64) as usize);
                    let shard = *shard.ok_or("there are no shards")?;
                    parts.entry(shard).or_default().push(key.clone());
                }
                let mut items = Vec::new();
                for (shard, keys) in parts {
                    let known = clients.borrow().get(&shard).cloned();
                    let client = match known {
                        Some(client) => client,
                        None => {
                            let client = Client::new(&shard.to_string(), *limit)?;
                            let client = std::rc::Rc::new(client);
                            clients.borrow_mut().insert(shard, client.clone());
                            client
                        }
                    };
                    let part = Request { keys, ..request.clone() };
                    match client.memcached(&part).await.map_err(|e| format!("{shard}: {e}"))? {
                        Reply::Items(found) => items.extend(found),
                        other => return Ok(other),
                    }
                }
                Ok(Reply::Items(items))
            }
        }
    }
}

/// FNV-1a.
fn hash(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_more_moves_nearly_everything() {
        let key = |n: u32| format!("product:{n}").into_bytes();
        let moved = (0..10_000).filter(|n| hash(&key(*n)) % 4 != hash(&key(*n)) % 5).count();
        assert!((7_500..8_500).contains(&moved), "{moved}");
    }
}
