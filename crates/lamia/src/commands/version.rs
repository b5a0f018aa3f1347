//! `lamia version`.

use anyhow::Result;
use lamia_api::meta::{GROUP, VERSION};

use lamia_operator::DNS_PROVIDERS;

use crate::output;

/// Prints the program's version, that of the API it speaks, and the DNS providers that it was built with.
pub(super) fn run() -> Result<()> {
    output::data(&format!(
        "lamia {} (API {GROUP}/{VERSION}; DNS providers: {})",
        env!("CARGO_PKG_VERSION"),
        DNS_PROVIDERS.join(", ")
    ))
}
