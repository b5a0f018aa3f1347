//! What the plug-in keeps, or shows, in another form than it was asked for: a TTL rounded up to what its provider allows, or
//! no TTL at all.
//!
//! Shown as it stands, such an RRset would differ from the plan for ever, and every turn would write it again. So while it
//! stands as the plug-in said that it would, it is shown as it was wanted. After a start this is learned again with the first
//! apply, which finds that nothing is to be sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use lamia_core::record::{Rrset, RrsetKey};

/// Forms that differ, by key.
#[derive(Default)]
pub(super) struct Normals(Mutex<BTreeMap<RrsetKey, Normal>>);

struct Normal {
    wanted: Rrset,
    kept: Rrset,
}

impl Normals {
    /// `wanted` is kept as `kept`.
    pub(super) fn learn(&self, key: &RrsetKey, wanted: Rrset, kept: Rrset) {
        let mut normals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted == kept {
            normals.remove(key);
        } else {
            normals.insert(key.clone(), Normal { wanted, kept });
        }
    }

    /// The RRset is gone, or as it was asked for.
    pub(super) fn forget(&self, key: &RrsetKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// What was wanted, where that is kept as `standing`; else what stands.
    pub(super) fn wanted(&self, key: &RrsetKey, standing: Rrset) -> Rrset {
        let normals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match normals.get(key).filter(|normal| normal.kept == standing) {
            Some(normal) => normal.wanted.clone(),
            None => standing,
        }
    }
}
