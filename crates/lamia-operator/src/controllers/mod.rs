//! One controller per kind. Each: fetch (I/O) → decide (pure, in `lamia-core`) → apply (I/O) → status (one write).

pub mod certificate;
