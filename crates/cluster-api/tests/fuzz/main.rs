//! Whatever is sent, the API answers: no panic, and a `Status` for everything that it refuses.
//!
//! | Variable | Each target runs |
//! |---|---|
//! | none | a few batches, always the same, so that nothing fails by chance |
//! | `FUZZ_SECONDS=60` | for so many seconds, each batch with a seed of its own |
//! | `FUZZ_SEED=n` | the one batch of that seed |
//!
//! A failure tells its seed and the smallest case that fails. By concept, for CI: `FUZZ_SECONDS=60 cargo test --package cluster-api --release
//! --test fuzz patch` (or `validate`, `selectors`; `requests` for paths, queries and whole bodies).

mod api;
mod inputs;
mod patch;
mod requests;
mod runner;
mod selectors;
mod validate;

pub(crate) const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
pub(crate) const BODIES: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
pub(crate) const OBJECTS: [&str; 5] = [
    "/api/v1/namespaces/default/configmaps/a",
    "/apis/apps/v1/namespaces/default/deployments/a",
    "/apis/example.org/v1/namespaces/default/foos/a",
    "/apis/example.org/v1/namespaces/default/foos/a/status",
    "/apis/example.org/v1/namespaces/default/foos/a/scale",
];
