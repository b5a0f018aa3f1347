//! Issuance: one certificate from nothing to its Secret, and from there to its renewals.
//!
//! What is to be done next is decided in [`lamia_core::cert::step`], whose theory and table say why it survives a crash anywhere; here
//! it is done. [`advance`] takes one turn of one certificate: step after step until one has to wait, then it says until when. No task
//! sleeps and no certificate has a task of its own: the [certificate controller](crate::controllers::certificate) keeps the
//! cases, gives out turns, and is woken by zones, issuers, watches and the clock.
//!
//! ```text
//!            ┌────────────── one turn ───────────────┐
//!   Case ──▶ observe ─▶ next_step ─▶ take ─▶ observe … ─▶ report ──▶ Case, CertificateState, when again
//!            (memory,    (pure,       (one word to         (condition; a status
//!             edges)      core)        CA, store, DNS)      write if worth it)
//! ```
//!
//! | file | what |
//! |---|---|
//! | `edges` | the traits at the edges, and what goes through them |
//! | `case` | one certificate's state: asked for, in hand, recorded, remembered |
//! | `book` | the HostCertificate's status, parsed and written |
//! | `turn` | the loop |
//! | `steps` | each step carried out |
//! | `failure` | what a failure leaves behind |
//! | `report` | condition, certificate in hand, when a status is worth a write |
//! | `budgets` | the CA's limits, shared by all |
//! | `store` | the edge to the API server: Secrets, status, finalizer |
//!
//! # Writes on the happy path
//! HostCertificate made (1), pending key (2), status with order and values (3), certificate (4), status with the end (5). The last
//! one waits until the TXT values are gone, so that "ours are those that a status lists" holds with two status writes; hosts are told of
//! the certificate from memory as soon as it is in the Secret. Should the values not go within 30 s, the certificate is written
//! into the status all the same, and the values' end in a third write.
//!
//! # Wiring
//! Fill in [`Edges`]: [`KubeStore`] for the store, the issuer controller for [`Issuers`], the zone workers behind [`ChallengeDns`],
//! DNS look-ups behind [`CaaLookup`], one [`Budgets`] that the issuer controller shows. Hand them to the
//! [certificate controller](crate::controllers::certificate), whose module doc says who has to tell it what. Three promises are
//! the wirer's: a [`ChallengeDns::state`] is always that of the last wish; a place's facts keep what was last known over a
//! start; whoever changes one of them wakes the certificate.
//!
//! It must not know Kubernetes (but in `store`), DNS providers or HTTP.

mod book;
mod budgets;
mod case;
mod edges;
mod failure;
mod key;
mod report;
mod steps;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod turn;

pub use book::Book;
pub use budgets::Budgets;
pub use case::{Asked, Case, Memory, Request, SecretState, seed};
pub use edges::{
    About, CaaLookup, CertificateStore, ChallengeDns, ChallengePlace, ChallengeState, Edges, Issuer, Issuers,
    NewCertificate, Owner, StoreError, Version,
};
pub use key::PublicKey;
pub use report::{CertificateState, CurrentCertificate};
pub(crate) use store::ROLE_MASTER;
pub use store::{KubeStore, read_secret};
pub use turn::{Outcome, advance};
