//! `lamia sandbox delegate`: what a person does at the registrar, told to a sandbox that runs.

use anyhow::Result;
use clap::Args;
use lamia_sandbox::control::{self, ControlError};

use super::Place;
use crate::failure::Failure;
use crate::output;

/// Tell the running sandbox to set a zone's name servers at its registrar.
#[derive(Args, Clone, Debug)]
pub(super) struct Delegate {
    /// The zone, as in democluster.net
    zone: String,
    #[command(flatten)]
    place: Place,
}

impl Delegate {
    pub(super) async fn run(&self) -> Result<()> {
        let directory = self.place.directory()?;
        let name_servers = control::delegate(&directory, &self.zone).await.map_err(in_words)?;
        output::talk(&format!("{} is delegated to {}", self.zone, name_servers.join(", ")));
        Ok(())
    }
}

fn in_words(error: ControlError) -> anyhow::Error {
    let advice = match &error {
        ControlError::NotRunning(_) => {
            "start one: lamia sandbox\nif one runs on another directory, name it: --state DIR\nwith --once the sandbox plays the registrar itself"
        }
        ControlError::Refused(_) => "see the zones: lamia zone list",
        ControlError::NoAnswer { .. } | ControlError::Unreadable { .. } => "start the sandbox anew: lamia sandbox",
    };
    let causes: Vec<String> = anyhow::Error::new(error).chain().map(ToString::to_string).collect();
    Failure::new(causes.join(": "), advice).into()
}
