//! lamia
fn main() {}
