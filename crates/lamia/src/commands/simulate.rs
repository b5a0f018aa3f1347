//! `lamia simulate`: how an installation of some size would fare, told before there is one. The real operator plays it, in a world
//! where all goes well and time costs nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum, value_parser};
use lamia_sandbox::simulation::{Outcome, Scale, play};
use serde::Serialize;

use crate::output;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// When the hosts are created.
const BEGINNING: Duration = Duration::from_secs(60);
/// The longest bar of the histogram.
const WIDTH: usize = 40;

#[derive(Args)]
pub(crate) struct Simulate {
    /// Hosts, all created at once
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=10_000))]
    hosts: u32,
    /// Registered domains among which the hosts are dealt out
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1_000))]
    zones: u32,
    /// Days to play
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = value_parser!(u64).range(1..=400))]
    days: u64,
    /// How long the CA's certificates live, in days; it advises to renew them after half of that
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = value_parser!(u64).range(1..=400))]
    certificate_days: u64,
    /// New orders that the CA takes in 3 hours
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = value_parser!(u32).range(1..))]
    orders: u32,
    /// New certificates that the CA issues for a registered domain in 7 days
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
    certificates_per_domain: u32,
    /// Another number, another history of the same kind
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How to print it
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What people want to know of it.
#[derive(Debug, Serialize)]
struct Forecast {
    hosts: usize,
    zones: usize,
    days: u64,
    certificate_days: u64,
    /// Hosts that are Ready at the end.
    ready: usize,
    /// Seconds from their creation until all hosts were Ready, looked at every minute; `null` if they never were.
    all_ready_within_seconds: Option<u64>,
    /// First certificates, which count against the CA's limits.
    first_orders: usize,
    /// Renewals, which do not where the CA advises them.
    renewals: usize,
    /// Orders in the busiest hour, which is this one since the beginning.
    busiest_hour: (u64, usize),
    /// Orders by day.
    orders_by_day: Vec<usize>,
    /// Requests to the Kubernetes API (without the Lease and watches), to the CA, and changes at the DNS provider.
    requests: Requests,
    /// The most of each in an hour.
    most_in_an_hour: Requests,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Requests {
    api: u64,
    ca: u64,
    dns: u64,
}

impl Simulate {
    /// Plays it and prints what is to be known.
    ///
    /// # Errors
    /// The simulation fails, or an invariant does not hold: then that is a mistake of Lamia's.
    pub(super) async fn run(self) -> Result<ExitCode> {
        let scale = self.scale();
        output::talk(&format!("{} hosts and {} days: this may take minutes …", scale.hosts, scale.days));
        let (seed, format) = (self.seed, self.output);
        // It runs runtimes of its own, whose time is not ours.
        let outcome =
            tokio::task::spawn_blocking(move || play(seed, scale)).await.context("the simulation panicked")??;
        let forecast = Forecast::of(scale, &outcome);
        match format {
            Format::Text => output::data(&forecast.text())?,
            Format::Json => output::data(&serde_json::to_string_pretty(&forecast).context("write JSON")?)?,
        }
        for broken in &outcome.broken {
            output::talk(&format!("at {}, {} did not hold: {}", broken.at, broken.invariant, broken.words));
        }
        Ok(if outcome.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn scale(&self) -> Scale {
        Scale {
            zones: usize::try_from(self.zones.min(self.hosts)).unwrap_or(usize::MAX),
            orders: self.orders,
            certificates_per_domain: self.certificates_per_domain,
            ..Scale::new(usize::try_from(self.hosts).unwrap_or(usize::MAX), self.days, self.certificate_days, 0)
        }
    }
}

impl Forecast {
    fn of(scale: Scale, outcome: &Outcome) -> Self {
        let mut by_hour: BTreeMap<u64, usize> = BTreeMap::new();
        let mut orders_by_day = vec![0; usize::try_from(scale.days).unwrap_or_default()];
        for (at, _) in &outcome.placed {
            *by_hour.entry(at.as_secs() / HOUR).or_default() += 1;
            if let Some(day) = usize::try_from(at.as_secs() / DAY).ok().and_then(|day| orders_by_day.get_mut(day)) {
                *day += 1;
            }
        }
        // The first of the busiest ones.
        let busiest = by_hour.into_iter().rev().max_by_key(|(_, orders)| *orders).unwrap_or_default();
        let renewals = outcome.placed.iter().filter(|(_, renews)| *renews).count();
        let requests = |it: lamia_sandbox::simulation::Traffic| Requests { api: it.api, ca: it.ca, dns: it.dns };
        Self {
            hosts: scale.hosts,
            zones: scale.zones,
            days: scale.days,
            certificate_days: scale.life,
            ready: outcome.ready.0,
            all_ready_within_seconds: outcome.all_ready.map(|at| at.saturating_sub(BEGINNING).as_secs()),
            first_orders: outcome.placed.len() - renewals,
            renewals,
            busiest_hour: busiest,
            orders_by_day,
            requests: requests(outcome.total),
            most_in_an_hour: requests(outcome.most),
        }
    }

    fn text(&self) -> String {
        let Self { hosts, zones, days, certificate_days, ready, first_orders, renewals, .. } = self;
        let mut text =
            format!("{hosts} hosts in {zones} zones, {days} days, certificates of {certificate_days} days\n\n");
        let mut row = |what: &str, figure: String| _ = writeln!(text, "{what:<24}{figure}");
        match self.all_ready_within_seconds {
            Some(seconds) => row("all hosts live within", in_words(Duration::from_secs(seconds))),
            None => row("hosts live at the end", format!("{ready} of {hosts}; the CA's limits let no more through")),
        }
        row("orders", format!("{} ({first_orders} first ones, {renewals} renewals)", first_orders + renewals));
        let (hour, orders) = self.busiest_hour;
        row("busiest hour", format!("{orders} orders, day {}, {:02} h", hour / 24, hour % 24));
        let requests = |it: &Requests| format!("Kubernetes API {}, CA {}, DNS changes {}", it.api, it.ca, it.dns);
        row("requests", requests(&self.requests));
        row("the most in an hour", requests(&self.most_in_an_hour));
        let most = self.orders_by_day.iter().copied().max().unwrap_or_default().max(1);
        text.push_str("\norders by day\n");
        for (day, orders) in self.orders_by_day.iter().enumerate().filter(|(_, orders)| **orders > 0) {
            _ = writeln!(text, "{day:>5} {:<WIDTH$} {orders}", "█".repeat((orders * WIDTH).div_ceil(most)));
        }
        text
    }
}

/// Two units are enough: `3 d 4 h`, `12 min 5 s`.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..HOUR => format!("{} min {} s", seconds / 60, seconds % 60),
        HOUR..DAY => format!("{} h {} min", seconds / HOUR, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / DAY, seconds / HOUR % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_hosts_are_forecast() {
        let scale = Scale { zones: 1, certificates_per_domain: 2, ..Scale::new(3, 1, 90, 0) };
        let outcome = play(1, scale).expect("a world");
        let forecast = Forecast::of(scale, &outcome);
        // Two at once, and one more after half a week.
        assert_eq!((forecast.ready, forecast.first_orders, forecast.renewals), (2, 2, 0));
        assert_eq!((&forecast.orders_by_day, forecast.busiest_hour), (&vec![2], (0, 2)));
        assert_eq!(forecast.all_ready_within_seconds, None);
        assert!(forecast.text().contains("2 of 3; the CA's limits let no more through"), "{}", forecast.text());
    }

    #[test]
    fn spans_are_told_in_two_units() {
        let told = [59, 61, 3_661, 90_061].map(|seconds| in_words(Duration::from_secs(seconds)));
        assert_eq!(told, ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
