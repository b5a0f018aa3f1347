//! One write, as watchers are told of it.

use std::sync::Arc;

use super::Object;

/// What a write did, with the object as it was before.
#[derive(Clone, Debug)]
pub enum Change {
    /// There was none.
    Added,
    /// It was like this.
    Modified(Arc<Object>),
    /// It was like this, and is no more.
    Deleted(Arc<Object>),
}

/// One write.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it did.
    pub change: Change,
    /// The object as it is now; of a deleted one its last state, with the revision of its end.
    pub object: Arc<Object>,
}

impl Event {
    /// The write's number.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.object.revision()
    }

    /// The object as it was before.
    #[must_use]
    pub fn before(&self) -> Option<&Arc<Object>> {
        match &self.change {
            Change::Added => None,
            Change::Modified(before) | Change::Deleted(before) => Some(before),
        }
    }

    /// The object as it is now; none if it is gone.
    #[must_use]
    pub fn after(&self) -> Option<&Arc<Object>> {
        match &self.change {
            Change::Added | Change::Modified(_) => Some(&self.object),
            Change::Deleted(_) => None,
        }
    }
}
