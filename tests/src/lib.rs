//! What the end-to-end tests share.

use lamia_sandbox::servers::Binary;

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
