//! lamia-sandbox
