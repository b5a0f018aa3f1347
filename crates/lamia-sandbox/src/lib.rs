//! The playground: the real operator with real components around it, all on loopback.
//!
//! [`servers`] starts the components (a CA, DNS servers, a Kubernetes API, a gateway). Never part of a production image:
//! nothing here may be needed by the operator.

pub mod control;
pub mod definitions;
pub mod guest;
pub mod manifests;
pub mod resolver;
pub mod servers;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod stage;
pub mod state;
pub mod story;
pub mod translator;
