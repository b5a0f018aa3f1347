//! `lamia crds`: the definitions of the five kinds, as this binary knows them.

use anyhow::Result;
use lamia_api::crd;

use crate::output;

/// Prints them as one YAML stream.
pub(super) fn run() -> Result<()> {
    let documents = crd::manifests()?.iter().map(serde_saphyr::to_string).collect::<Result<Vec<_>, _>>()?;
    output::data(&documents.join("---\n"))
}
