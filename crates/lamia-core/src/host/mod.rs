//! One SecuredHost, from spec to status: `validate → (grants, claims, address) → plan → status`.
//!
//! Everything here is a function of its arguments. What the operator fetched goes in, what it shall do or say comes out;
//! nothing here knows how to fetch or to apply.

pub mod address;
pub mod claims;
pub mod facts;
pub mod grants;
pub mod plan;
pub mod reason;
pub mod status;
pub mod validate;

use std::fmt;

/// The namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    /// The object `namespace/name`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
