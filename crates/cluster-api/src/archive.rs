//! A cluster that outlives its process: what is written is kept in a file.
//!
//! The store stays the truth; the file follows it. One thread takes what was written since it last looked and commits it as one
//! transaction, so writers wait for no disk, and what is in the file is always a state that the store had: after `kill -9`, one from some
//! milliseconds before. Dropping the cluster waits until everything is kept. Watches can't be resumed across a start: the log of
//! events is not kept, only its end.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde_json::Value;

use crate::store::{Change, Event, Key};

/// Objects by `resource NUL namespace NUL name`.
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
/// [`REVISION`] and [`SECRET`].
const CLUSTER: TableDefinition<'_, &str, &str> = TableDefinition::new("cluster");
const REVISION: &str = "revision";
const SECRET: &str = "secret";

/// What goes wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It can't be read or written, or another process has it.
    #[error("the file of the cluster can't be used")]
    File(#[from] redb::Error),
    /// It is not what was written.
    #[error("the file of the cluster is damaged at {0:?}")]
    Damaged(String),
}

/// A file that keeps a cluster.
#[derive(Debug)]
pub struct Archive {
    database: Database,
}

/// What a file has kept.
#[derive(Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) revision: u64,
    pub(crate) secret: String,
    pub(crate) objects: Vec<(Key, Value)>,
}

impl Archive {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It can't be read or written, or another process has it.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        Ok(Self { database: Database::create(path).map_err(redb::Error::from)? })
    }

    /// What it has kept; `None` when it is new.
    pub(crate) fn read(&self) -> Result<Option<Kept>, ArchiveError> {
        let reading = self.database.begin_read().map_err(redb::Error::from)?;
        let cluster = match reading.open_table(CLUSTER) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            opened => opened.map_err(redb::Error::from)?,
        };
        let text = |name: &str| -> Result<String, ArchiveError> {
            let found = cluster.get(name).map_err(redb::Error::from)?;
            found.map(|it| it.value().to_owned()).ok_or_else(|| ArchiveError::Damaged(name.to_owned()))
        };
        let revision = text(REVISION)?.parse().map_err(|_| ArchiveError::Damaged(REVISION.to_owned()))?;
        let mut kept = Kept { revision, secret: text(SECRET)?, objects: Vec::new() };
        let objects = reading.open_table(OBJECTS).map_err(redb::Error::from)?;
        for row in objects.iter().map_err(redb::Error::from)? {
            let (place, content) = row.map_err(redb::Error::from)?;
            let damaged = || ArchiveError::Damaged(place.value().replace('\0', "/"));
            let key = unpacked(place.value()).ok_or_else(damaged)?;
            let value = serde_json::from_slice(content.value()).map_err(|_| damaged())?;
            kept.objects.push((key, value));
        }
        Ok(Some(kept))
    }

    /// Writes the cluster's secret, once.
    pub(crate) fn begin(&self, secret: &str, revision: u64) -> Result<(), ArchiveError> {
        let writing = self.database.begin_write().map_err(redb::Error::from)?;
        {
            let mut cluster = writing.open_table(CLUSTER).map_err(redb::Error::from)?;
            cluster.insert(SECRET, secret).map_err(redb::Error::from)?;
            cluster.insert(REVISION, revision.to_string().as_str()).map_err(redb::Error::from)?;
            writing.open_table(OBJECTS).map_err(redb::Error::from)?;
        }
        Ok(writing.commit().map_err(redb::Error::from)?)
    }

    /// Writes what happened, in order, as one step.
    fn write(&self, events: &[Arc<Event>]) -> Result<(), ArchiveError> {
        let Some(last) = events.last() else { return Ok(()) };
        let writing = self.database.begin_write().map_err(redb::Error::from)?;
        {
            let mut objects = writing.open_table(OBJECTS).map_err(redb::Error::from)?;
            for event in events {
                let place = packed(event.object.key());
                match event.change {
                    Change::Deleted(_) => objects.remove(place.as_str()).map(drop),
                    Change::Added | Change::Modified(_) => {
                        let content = event.object.value().to_string();
                        objects.insert(place.as_str(), content.as_bytes()).map(drop)
                    }
                }
                .map_err(redb::Error::from)?;
            }
            let mut cluster = writing.open_table(CLUSTER).map_err(redb::Error::from)?;
            cluster.insert(REVISION, last.revision().to_string().as_str()).map_err(redb::Error::from)?;
        }
        Ok(writing.commit().map_err(redb::Error::from)?)
    }
}

fn packed(key: &Key) -> String {
    [&*key.resource, &*key.namespace, &*key.name].join("\0")
}

fn unpacked(place: &str) -> Option<Key> {
    let mut parts = place.split('\0');
    let (resource, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Key::new(&resource.into(), namespace, name))
}

/// The thread that follows the store. Dropped, it keeps what it was told and ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    told: Option<mpsc::Sender<Arc<Event>>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(archive: Archive) -> Self {
        let (told, events) = mpsc::channel::<Arc<Event>>();
        let thread = std::thread::spawn(move || {
            while let Ok(first) = events.recv() {
                let batch: Vec<_> = std::iter::once(first).chain(events.try_iter()).collect();
                if let Err(error) = archive.write(&batch) {
                    // What follows would leave a gap: the file stays at the last whole state.
                    tracing::error!(%error, "the cluster is not kept any more");
                    return;
                }
            }
        });
        Self { told: Some(told), thread: Some(thread) }
    }

    /// Something happened.
    pub(crate) fn tell(&self, event: Arc<Event>) {
        if let Some(told) = &self.told {
            // A thread that gave up has said so.
            let _ = told.send(event);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.told = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there is nothing to keep it with.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::Store;

    fn key(name: &str) -> Key {
        Key::new(&"widgets.example.org".into(), "shop", name)
    }

    #[test]
    fn what_was_written_is_read_again_and_what_was_removed_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("cluster.redb");
        let archive = Archive::open(&path).expect("opens");
        assert_eq!(archive.read().expect("readable"), None);
        archive.begin("hush", 1).expect("written");

        let mut store = Store::new(100);
        let object = |size: u8| json!({"metadata": {"name": "it"}, "spec": {"size": size}});
        let kept = store.put(key("kept"), object(1), None).expect("new");
        let changed = store.put(key("kept"), object(2), Some(kept.revision())).expect("changed");
        let gone = store.put(key("gone"), object(3), None).expect("new");
        store.remove(&key("gone"), gone.revision()).expect("removed");
        let keeper = Keeper::start(archive);
        store.log_after(0).for_each(|event| keeper.tell(Arc::clone(event)));
        drop(keeper);

        let read = Archive::open(&path).expect("opens again").read().expect("readable").expect("kept");
        let expected = Kept {
            revision: store.revision(),
            secret: "hush".to_owned(),
            objects: vec![(key("kept"), changed.value().clone())],
        };
        assert_eq!(read, expected);
        let again = Store::kept(100, read.revision, read.objects);
        assert_eq!(again.get(&key("kept")).map(|it| it.revision()), Some(changed.revision()));
    }

    #[test]
    fn a_file_that_is_no_cluster_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("cluster.redb");
        std::fs::write(&path, "a shopping list").expect("written");
        let error = Archive::open(&path).expect_err("no database");
        assert!(matches!(error, ArchiveError::File(_)), "{error:?}");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "a shopping list");
    }
}
