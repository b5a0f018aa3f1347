//! `lamia plan`: what Lamia would do now, and why, with nothing done. Zones are read at their providers, so credentials are
//! needed; who may not read them is told so.

use anyhow::Result;
use clap::{Args, ValueEnum};
use lamia_operator::Config;
use lamia_operator::plan::{Forecast, HostForecast, PlanError};

use crate::arguments::Global;
use crate::cluster::Cluster;
use crate::failure::{Failure, explain};
use crate::installation::Installation;
use crate::output::{self, ObjectFormat};

/// Say what Lamia would do now, and do nothing.
#[derive(Args, Debug)]
pub(crate) struct Plan {
    /// Name of a SecuredHost, or its host; default: all that there are, or those of the namespace that -n names
    name: Option<String>,
    /// Lamia's own namespace
    #[arg(long, value_name = "NAME", default_value_t = Config::default().namespace)]
    system_namespace: String,
    #[command(flatten)]
    installation: Installation,
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

impl Plan {
    /// Prints the forecast; exit code 0 whatever it says.
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        let cluster = Cluster::from(global).await?;
        let config = Config { namespace: self.system_namespace.clone(), ..self.installation.clone().config() };
        let forecast = lamia_operator::plan(&config, &cluster.client).await.map_err(in_words)?;
        let chosen = self.choose(forecast, &cluster.namespace, global.namespace.is_some())?;
        match self.output {
            Format::Json => output::data(&output::object(&chosen, ObjectFormat::Json)?),
            Format::Text => output::data(&chosen.to_string()),
        }
    }

    /// What of it was asked for. A name means the namespace of the context, where -n names no other.
    fn choose(&self, forecast: Forecast, namespace: &str, named: bool) -> Result<Forecast> {
        let Some(name) = &self.name else {
            return Ok(if named { forecast.only(|host| host.namespace == namespace) } else { forecast });
        };
        let is_it = |host: &HostForecast| host.namespace == namespace && (host.name == *name || host.host == *name);
        if !forecast.hosts.iter().any(is_it) {
            let what = format!("no SecuredHost in namespace {namespace} has the name or the host {name}");
            return Err(Failure::new(what, "see what there is: lamia host list -A").into());
        }
        Ok(forecast.only(is_it))
    }
}

pub(super) fn in_words(error: PlanError) -> anyhow::Error {
    match error {
        PlanError::List { what, source } => explain(*source, &format!("list {what}")),
        PlanError::Identity(error) => anyhow::Error::new(error),
    }
}
