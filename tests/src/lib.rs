//! What the end-to-end tests share.

use std::future::Future;
use std::time::{Duration, Instant};

use lamia_sandbox::servers::Binary;

/// How long anything may take on a machine that does much else.
const WITHIN: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Whether all the programs are there; else says which is missing and that the test is skipped.
#[must_use]
pub fn has(programs: &[Binary]) -> bool {
    for program in programs {
        if let Err(missing) = program.find() {
            println!("skipped: {missing}");
            return false;
        }
    }
    true
}

/// Looks again and again until it finds what it looks for.
///
/// # Panics
/// After a minute, with the last reason why not.
pub async fn eventually<T, F>(what: &str, look: impl Fn() -> F) -> T
where
    F: Future<Output = anyhow::Result<T>>,
{
    let began = Instant::now();
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        match look().await {
            Ok(found) => return found,
            Err(error) if began.elapsed() > WITHIN => panic!("{what}: not within {WITHIN:?}: {error:#}"),
            Err(_) => {}
        }
    }
}
