//! `lamia doctor`: what is wrong with this installation, and what to do about each thing.
//!
//! [`facts`] asks the cluster and judges nothing; [`checks`] judges and asks nothing.

mod checks;
mod facts;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use self::checks::{Check, State};
use crate::arguments::Global;
use crate::cluster::Cluster;
use crate::output::{self, ObjectFormat, Paint};

/// Say what is wrong with this installation, and what to do.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Lamia's own namespace
    #[arg(long, value_name = "NAME", default_value = "lamia-system")]
    system_namespace: String,
    /// How
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

impl Doctor {
    /// Exit code 1 where there is a problem.
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode> {
        let cluster = Cluster::from(global).await?;
        let facts = facts::gather(&cluster, &self.system_namespace).await?;
        let checks = checks::examine(&facts, Timestamp::now());
        match self.output {
            Format::Json => output::data(&output::object(&checks, ObjectFormat::Json)?)?,
            Format::Text => output::data(&in_words(&checks, Paint::for_stdout(global.color)))?,
        }
        let problems = checks.iter().filter(|check| check.state == State::Problem).count();
        output::talk(&match problems {
            0 => "no problems".to_owned(),
            1 => "1 problem".to_owned(),
            many => format!("{many} problems"),
        });
        Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn in_words(checks: &[Check], paint: Paint) -> String {
    let width = checks.iter().map(|check| check.about.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        let mark = match check.state {
            State::Fine => paint.good("✓"),
            State::Advice => paint.waiting("!"),
            State::Problem => paint.bad("✗"),
        };
        text.push_str(&format!("{mark} {:width$}  {}\n", check.about, check.says));
        if let Some(advice) = &check.advice {
            text.push_str(&format!("  {:width$}  → {advice}\n", ""));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_under_what_it_is_for() {
        let checks = [
            Check::fine("API server", "v1.36.3"),
            Check::problem("Operator", "nobody leads", "run it: lamia operator"),
            Check::advice("Zone a.net", "not delegated yet", "lamia zone get a.net"),
        ];
        insta::assert_snapshot!(in_words(&checks, Paint::PLAIN), @r"
        ✓ API server  v1.36.3
        ✗ Operator    nobody leads
                      → run it: lamia operator
        ! Zone a.net  not delegated yet
                      → lamia zone get a.net
        ");
    }
}
