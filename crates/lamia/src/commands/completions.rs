//! `lamia completions SHELL`.

use anyhow::Result;
use clap::{Args, CommandFactory};

use crate::arguments::Arguments;
use crate::output;

/// Print a shell's completions.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell. For bash: source <(lamia completions bash)
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "lamia", &mut script);
        output::data(&String::from_utf8(script)?)
    }
}
