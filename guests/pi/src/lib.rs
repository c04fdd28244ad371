//! Estimates pi by chance: of points in a square, how many lie in the circle within it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::handover::{self, Figures};
use podlab_guest::runtime::{Flag, sleep, sleep_until};
use serde_json::Value;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "pi",
    version: env!("CARGO_PKG_VERSION"),
    about: "Does tasks {\"samples\": N, \"seed\": S}: counts points that lie within a circle.",
    options: &[
        opt("dir", "DIR", "/work", "where the tasks are"),
        opt("listen", "ADDR", "-", "HTTP: /healthz, /readyz, /stats; '-' for nowhere"),
        opt("least", "TIME", "0", "a task takes at least this long"),
    ],
};

/// Points between two looks at whether to end.
const PIECE: u64 = 20_000;
/// Points of one task.
const MOST: u64 = 100_000_000;

/// Works until `stop`, or until no more tasks will come.
///
/// # Errors
/// A wrong option, a directory that cannot be used.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let (dir, least) = (PathBuf::from(args.text("dir")), args.duration("least")?);
    let figures = Figures::show(&args, &stop).await?;
    handover::serve(&dir, &stop, &figures, async |_, bytes| {
        let begun = Instant::now();
        let answer = task(bytes).await?;
        sleep_until(begun + least).await;
        Ok(answer)
    })
    .await
}

async fn task(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let task: Value = serde_json::from_slice(bytes).map_err(|e| format!("this is no JSON: {e}"))?;
    let number = |name: &str| task["task"][name].as_u64();
    let samples = number("samples").filter(|n| (1..=MOST).contains(n));
    let samples = samples.ok_or_else(|| format!("samples must be 1 to {MOST}"))?;
    let mut seed = number("seed").unwrap_or(1);
    let (mut inside, mut left) = (0, samples);
    while left > 0 {
        let piece = left.min(PIECE);
        inside += count(&mut seed, piece);
        left -= piece;
        sleep(Duration::ZERO).await;
    }
    let pi = 4.0 * inside as f64 / samples as f64;
    Ok(format!("{{\"samples\":{samples},\"inside\":{inside},\"pi\":{pi:.6}}}").into_bytes())
}

/// Of `n` points, how many lie in the circle.
fn count(seed: &mut u64, n: u64) -> u64 {
    // SplitMix64: any seed does, and so does the state it leaves.
    let mut next = || {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let within = |(x, y): (f64, f64)| u64::from(x * x + y * y < 1.0);
    (0..n).map(|_| within((next(), next()))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_spread_evenly() {
        let mut seed = 7;
        let pi = 4.0 * count(&mut seed, 1_000_000) as f64 / 1e6;
        assert!((pi - std::f64::consts::PI).abs() < 0.01, "{pi}");
        assert_ne!(count(&mut seed, 1000), count(&mut 99, 1000));
    }
}
