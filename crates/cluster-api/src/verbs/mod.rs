//! What can be done with objects, whoever asks: a request, or a controller of the cluster itself.
//!
//! A write reads the object, computes the new one, and puts it if nobody was quicker; else it begins anew. Nothing is locked while it
//! computes. Source: `apiserver/pkg/registry/{rest,generic/registry}`.

mod create;
mod decoded;
mod delete;
mod fields;
mod metadata;
mod patch;
mod scale;
mod update;

use std::sync::Arc;

use serde_json::Value;

use crate::auth::By;
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::http::errors;
use crate::http::query::WriteOptions;
use crate::http::show::Shown;
use crate::registry::{DEFINITIONS, Served};
use crate::store::{Key, Object, Stale};

pub(crate) use create::create;
pub(crate) use delete::{DeleteOptions, Deleted, FOREGROUND, ORPHAN, Policy, delete, delete_options};
pub(crate) use patch::{PatchKind, apply, patch};
pub(crate) use scale::{Rescale, read as read_scale, write as write_scale};
pub(crate) use update::{Replace, replace, update};

/// How often a write begins anew when others are quicker.
const ATTEMPTS: usize = 50;

/// An object that something is done with; its name is empty for one that has none yet.
#[derive(Clone, Copy)]
pub(crate) struct On<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) served: &'a Arc<Served>,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// For whom; the cluster's own controllers ask nobody.
    pub(crate) by: Option<By<'a>>,
}

impl<'a> On<'a> {
    pub(crate) fn key(&self) -> Key {
        Key::new(&self.served.storage, self.namespace, self.name)
    }

    /// The object as it is.
    ///
    /// # Errors
    /// 404 if it is not.
    pub(crate) fn read(&self) -> Result<Arc<Object>, ApiError> {
        let found = self.cluster.store().get(&self.key()).cloned();
        found.ok_or_else(|| errors::not_found(self.served, self.name))
    }

    fn is_definition(&self) -> bool {
        &*self.served.storage == DEFINITIONS
    }

    fn put(&self, value: Value, read: Option<u64>) -> Result<Arc<Object>, Stale> {
        let mut store = self.cluster.store();
        let object = store.put(self.key(), value, read)?;
        self.cluster.announce(&store, &object);
        Ok(object)
    }

    fn remove(&self, read: u64) -> Result<Arc<Object>, Stale> {
        let mut store = self.cluster.store();
        let object = store.remove(&self.key(), read)?;
        self.cluster.announce(&store, &object);
        Ok(object)
    }

    /// 422, about this object.
    fn invalid(&self, causes: Vec<crate::error::Cause>) -> ApiError {
        errors::invalid(self.served.about_kind(self.name), causes)
    }
}

/// What a write led to.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) shown: Shown,
    /// For people.
    pub(crate) warnings: Vec<String>,
    /// Whether it made the object.
    pub(crate) created: bool,
}

/// How the cluster's own controllers write.
pub(crate) fn internally(manager: &str) -> WriteOptions {
    WriteOptions { manager: manager.to_owned(), ..WriteOptions::default() }
}

/// Does something until nobody is quicker.
fn retried<T>(mut attempt: impl FnMut() -> Result<Result<T, Stale>, ApiError>) -> Result<T, ApiError> {
    for _ in 0..ATTEMPTS {
        if let Ok(done) = attempt()? {
            return Ok(done);
        }
    }
    Err(ApiError::new(409, "Conflict", "the object was changed by others again and again"))
}
