//! CustomResourceDefinitions: read, refused, accepted.
//!
//! Everything here is a function of the definition given. Which other definitions exist, and so whose names are taken, the caller says.
//! Source: `apiextensions-apiserver/pkg/apis/apiextensions/{v1,validation}`.

mod definition;

pub use definition::{Definition, Names, Scale, Version};
