//! `lamia version`.

use anyhow::Result;
use lamia_api::meta::{GROUP, VERSION};

use crate::output;

/// Prints the program's version and that of the API it speaks.
pub(super) fn run() -> Result<()> {
    output::data(&format!("lamia {} (API {GROUP}/{VERSION})", env!("CARGO_PKG_VERSION")))
}
