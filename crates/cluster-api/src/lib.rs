//! A small Kubernetes API in one process: for tests, simulations and playgrounds of operators.
//!
//! It answers like kube-apiserver, for the kinds that it has: a dozen built-in ones and whatever CustomResourceDefinitions
//! are created in it. What it does not have it answers with 404, as the real one does. It knows nothing of any operator.
//!
//! # Parts
//! An object is a [`serde_json::Value`] all the way; nothing is typed but what the API itself reads.
//!
//! | Module | What it does | I/O |
//! |---|---|---|
//! | `answered` | how many requests were answered (`/metrics`) | none |
//! | `archive` | a cluster that outlives its process | a file |
//! | `auth` | who asks, and whether they may | none |
//! | [`builtin`] | the kinds that are there from the start | none |
//! | `cluster` | [`Cluster`]: the whole of it, a handle | none |
//! | `collect` | what controllers do: garbage, namespaces, definitions | none |
//! | [`crd`] | CustomResourceDefinitions: read, checked, accepted | none |
//! | [`error`] | the `Status` that a refused request is answered with | none |
//! | [`go`] | how Go prints values, for messages | none |
//! | [`managed`] | who owns which field: server-side apply, `managedFields` | none |
//! | [`patch`] | what a JSON patch, merge patch or strategic merge patch makes of an object | none |
//! | `http` | requests and answers, watches: a tower service | none |
//! | `kubeconfig` | the file by which clients find a server | none |
//! | `kinds` | what is special about single kinds | none |
//! | `protobuf` | the bodies that Go's typed clients send | none |
//! | `registry` | which kinds are answered, and where | none |
//! | [`openapi`] | OpenAPI v3 documents | none |
//! | [`schema`] | what a kind's objects look like: types, lists, defaults | none |
//! | [`selector`] | label and field selectors | none |
//! | `serve` | the same over TLS, with a kubeconfig | sockets |
//! | [`source`] | time and randomness, handed in | none |
//! | [`store`] | objects by key and revision, their history | none |
//! | [`table`] | what `kubectl get` shows | none |
//! | `verbs` | create, update, patch, delete, scale | none |
//! | [`validate`] | whether an object is what its schema says | none |
//! | `waiting` | which watches a write wakes | none |

mod answered;
mod archive;
mod auth;
mod bootstrap;
pub mod builtin;
mod cluster;
mod collect;
pub mod crd;
pub mod error;
pub mod go;
mod http;
mod kinds;
mod kubeconfig;
pub mod managed;
pub mod openapi;
pub mod patch;
mod protobuf;
mod registry;
pub mod schema;
pub mod selector;
mod serve;
pub mod source;
pub mod store;
pub mod table;
pub mod validate;
mod verbs;
mod waiting;

/// The example in the README is one that compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use self::http::Body;
pub use answered::Answered;
pub use archive::{Archive, ArchiveError};
pub use auth::Token;
pub use cluster::{Authorization, Cluster, Housekeeping, Options};
pub use error::ApiError;
pub use kubeconfig::Kubeconfig;
pub use schema::Schema;
pub use serve::Server;
