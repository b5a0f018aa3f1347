//! What the end-to-end tests share.
//!
//! [`Setup`] is a stage with the operator on it; [`conditions`] waits for what objects say; [`visitor`] asks a site as its visitors
//! do, [`moody`] lets servers go wrong. Nothing here sleeps: everything waits on a condition, and says what stood there instead when it does not come.

pub mod conditions;
pub mod moody;
mod running;
mod setup;
pub mod visitor;

use std::future::Future;
use std::time::{Duration, Instant};

use lamia_sandbox::servers::{ApiKind, Binary};
use lamia_sandbox::stage::StageOptions;

pub use self::conditions::{PATIENCE, host_is};
pub use self::running::Running;
pub use self::setup::{PROVIDER, Setup};

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

/// Whether the whole stage can be set here; says what is missing.
#[must_use]
pub fn can_stage() -> bool {
    has(ApiKind::tested().programs()) && has(&[Binary::Pebble, Binary::PowerDns, Binary::Envoy])
}

/// Whether tests are run on the real API server; else says why this one is skipped.
#[must_use]
pub fn is_real(why: &str) -> bool {
    let is_real = ApiKind::tested() == ApiKind::Real;
    if !is_real {
        println!("skipped: {why} (make test-kubernetes runs it)");
    }
    is_real
}

/// A stage with the API that tests are run on.
#[must_use]
pub fn stage() -> StageOptions {
    StageOptions { kubernetes: ApiKind::tested(), ..StageOptions::default() }
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
