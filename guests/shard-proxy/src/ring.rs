//! Which shard a key belongs to: consistent hashing on a ring, as libketama lays it out, so that
//! clients and proxies of that family agree (<https://github.com/RJ/ketama>).

/// Digests for each shard; each gives four points.
const DIGESTS: u32 = 40;

/// A ring of shards, each known by its place in the list.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// Points and their shards, in order.
    points: Vec<(u32, usize)>,
}

impl Ring {
    /// The ring of the shards with these names. A shard's points depend on its name alone, so the
    /// points of the others stay where they are when one comes or goes.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Ring {
        let mut points = Vec::new();
        for (shard, name) in names.into_iter().enumerate() {
            for n in 0..DIGESTS {
                let digest = md5::compute(format!("{name}-{n}")).0;
                points.extend((0..4).map(|part| (word(&digest, part), shard)));
            }
        }
        points.sort_unstable();
        Ring { points }
    }

    /// Shards for `key`, nearest first: the first one that is `live`, then those that follow it on
    /// the ring, each once.
    pub fn shards<'a>(
        &'a self,
        key: &[u8],
        live: impl Fn(usize) -> bool + 'a,
    ) -> impl Iterator<Item = usize> + 'a {
        let hash = word(&md5::compute(key).0, 0);
        let first = self.points.partition_point(|(point, _)| *point < hash);
        let mut seen: Vec<usize> = Vec::new();
        let around = self.points[first..].iter().chain(&self.points[..first]);
        around.map(|(_, shard)| *shard).filter(move |shard| {
            let new = live(*shard) && !seen.contains(shard);
            if new {
                seen.push(*shard);
            }
            new
        })
    }

    /// How many points there are.
    pub fn points(&self) -> usize {
        self.points.len()
    }
}

/// Four bytes of a digest, the least significant first.
fn word(digest: &[u8; 16], part: usize) -> u32 {
    let at = 4 * part;
    u32::from_le_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("cache-{i}")).collect()
    }

    fn ring(n: usize) -> Ring {
        Ring::new(names(n).iter().map(String::as_str))
    }

    fn owner(ring: &Ring, key: u32) -> usize {
        ring.shards(format!("key-{key}").as_bytes(), |_| true).next().unwrap()
    }

    #[test]
    fn one_shard_more_moves_one_part_in_n() {
        for n in [1, 3, 7] {
            let (before, after) = (ring(n), ring(n + 1));
            let moved: Vec<usize> = (0..10_000)
                .filter(|k| owner(&before, *k) != owner(&after, *k))
                .map(|k| owner(&after, k))
                .collect();
            assert!(moved.iter().all(|to| *to == n), "keys move to the new shard only");
            let share = moved.len() as f64 / 10_000.0 * (n + 1) as f64;
            assert!((0.7..1.3).contains(&share), "{n}: {share}");
        }
    }

    #[test]
    fn a_dead_shard_costs_its_keys_only() {
        let ring = ring(5);
        for key in 0..1000 {
            let all: Vec<usize> = ring.shards(format!("key-{key}").as_bytes(), |_| true).collect();
            let live = ring.shards(format!("key-{key}").as_bytes(), |s| s != 2).next().unwrap();
            assert_eq!(all.len(), 5);
            assert_eq!(live, if all[0] == 2 { all[1] } else { all[0] });
        }
    }

    #[test]
    fn shares_are_near_each_other() {
        let ring = ring(8);
        let mut shares = [0; 8];
        for key in 0..16_000 {
            shares[owner(&ring, key)] += 1;
        }
        assert_eq!(ring.points(), 8 * 160);
        assert!(shares.iter().all(|s| (1200..2900).contains(s)), "{shares:?}");
    }

    #[test]
    fn points_are_those_of_libketama() {
        // `printf cache-0-0 | md5sum` begins with d97d3a13.
        let ring = Ring::new(["cache-0"]);
        assert!(ring.points.iter().any(|(point, _)| *point == 0x133a_7dd9));
        assert_eq!(Ring::new([]).shards(b"key", |_| true).next(), None);
    }

    #[test]
    fn keys_go_where_other_programs_of_the_family_send_them() {
        // As the Python package uhashring has it (hash_fn="ketama", 40 vnodes).
        let ring = Ring::new(["cache-0:11211", "cache-1:11211", "cache-2:11211"]);
        let owners: Vec<usize> = (0..12).map(|key| owner(&ring, key)).collect();
        assert_eq!(owners, [0, 0, 0, 2, 2, 2, 2, 1, 0, 1, 0, 0]);
    }
}
