//! `make simulate SEEDS=N FROM=M`: plays histories, one seed after the other; a failing one is printed in words, made smaller.

use std::time::Instant;

use anyhow::Context as _;
use lamia_sandbox::simulation::{Outcome, Scale, play, shrink};

/// As in the operator's own binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) if !text.is_empty() => text.parse().with_context(|| format!("{name} must be a number, not {text:?}")),
        _ => Ok(default),
    };
    let (seeds, from) = (number("SEEDS", 20)?, number("FROM", 0)?);
    let hosts = usize::try_from(number("HOSTS", 20)?)?;
    let events = usize::try_from(number("EVENTS", 20)?)?;
    let scale = Scale::new(hosts, number("DAYS", 7)?, number("LIFE", 6)?, events);
    let (begun, mut failed) = (Instant::now(), 0);
    for seed in from..from + seeds {
        let started = Instant::now();
        let outcome = play(seed, scale)?;
        let Outcome { broken, certificates, orders, ready, most, .. } = &outcome;
        let (ready, there) = ready;
        println!(
            "seed {seed}: {ready}/{there} hosts Ready, {orders} orders, {certificates} certificates, most in an hour {most:?}, {:.2} s",
            started.elapsed().as_secs_f64()
        );
        if std::env::var_os("SHOW").is_some() {
            outcome.history.iter().for_each(|line| println!("  {line}"));
        }
        if !broken.is_empty() {
            failed += 1;
            broken.iter().for_each(|it| println!("  BROKEN {}: {} {}", it.invariant, it.at, it.words));
            explain(seed, scale)?;
        }
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    println!("{seeds} histories, {failed} with a broken invariant, {:.1} a minute", seeds as f64 / minutes);
    anyhow::ensure!(failed == 0, "{failed} of {seeds} histories break an invariant");
    Ok(())
}

/// Prints the smallest history that fails alike.
fn explain(seed: u64, scale: Scale) -> anyhow::Result<()> {
    if std::env::var_os("NO_SHRINK").is_some() {
        return Ok(());
    }
    if let Some((events, outcome)) = shrink(seed, scale)? {
        println!("  the smallest history that fails alike has {} events:", events.len());
        outcome.history.iter().for_each(|line| println!("    {line}"));
    }
    Ok(())
}
