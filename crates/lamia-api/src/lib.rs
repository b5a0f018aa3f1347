//! lamia-api
