//! Kubernetes Events: what `kubectl describe` shows under an object.
//!
//! An Event costs the API server 1.4 ms, and a flood of them buries the one that matters. So each piece of news is told
//! once an hour per object:
//!
//! | the same news of this object was told | what is sent |
//! |---|---|
//! | not in the last hour | a new Event |
//! | and nothing else since | nothing |
//! | and something else since, 5 minutes ago or more | its count and time are patched: it happened again |
//! | and something else since, less than 5 minutes ago | nothing |
//!
//! An Event's name follows from its content, so a successor or a restarted process that has the same news finds it told.
//! Recording never waits: news goes into a bounded channel, and is dropped (and counted) when that is full. An Event that
//! the API server does not take is not repeated; status is the truth, Events are a courtesy.
//!
//! `kube::runtime::events::Recorder` is not used: it folds news of one reason into one Event whatever their text, keeps
//! each whole Event in memory, and derives names that are too long from long object names.

mod memory;

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::metrics::Metrics;
use memory::{Memory, Telling};

/// News that wait to be sent, at most.
const CAPACITY: usize = 4096;
/// The API's limit of an Event's text, in bytes.
const MAX_NOTE: usize = 1024;
/// The longest part of the object's name in an Event's name: 253 less a dot and 16 digits.
const MAX_NAME: usize = 236;
/// Who reports.
const CONTROLLER: &str = "lamia.dev/operator";
/// What Lamia was doing; the API wants a word.
const ACTION: &str = "Reconcile";

/// Takes news and sees to it that they are told. Clones share it.
#[derive(Clone, Debug)]
pub struct EventRecorder {
    news: mpsc::Sender<News>,
    metrics: Metrics,
}

/// One piece of news.
#[derive(Clone, Debug)]
struct News {
    object: ObjectReference,
    severity: &'static str,
    reason: String,
    note: String,
}

impl EventRecorder {
    /// Starts telling. `instance` is this process's name (that of the pod). Ends when the last clone is dropped.
    pub fn start(client: Client, instance: impl Into<String>, metrics: Metrics) -> Self {
        Self::with_room_for(CAPACITY, client, instance, metrics)
    }

    /// The same, where so many news may wait.
    fn with_room_for(waiting: usize, client: Client, instance: impl Into<String>, metrics: Metrics) -> Self {
        let (news, receiver) = mpsc::channel(waiting);
        let teller = Teller { client, instance: instance.into(), metrics: metrics.clone(), memory: Memory::default() };
        tokio::spawn(teller.run(receiver));
        Self { news, metrics }
    }

    /// Something good happened to the object: it became Ready. The note is stable text.
    pub fn normal<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: &str) {
        self.record(object.object_ref(&()), "Normal", reason, note);
    }

    /// Something went wrong with the object. The note is stable text: what, where, what to do next.
    pub fn warning<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: &str) {
        self.record(object.object_ref(&()), "Warning", reason, note);
    }

    fn record(&self, object: ObjectReference, severity: &'static str, reason: &str, note: &str) {
        let news = News { object, severity, reason: reason.to_owned(), note: shortened(note) };
        if self.news.try_send(news).is_err() {
            self.metrics.event("dropped");
        }
    }
}

/// The task that tells.
struct Teller {
    client: Client,
    instance: String,
    metrics: Metrics,
    memory: Memory,
}

impl Teller {
    async fn run(mut self, mut news: mpsc::Receiver<News>) {
        while let Some(news) = news.recv().await {
            let (object, content) = (news.object_hash(), news.hash());
            let result = match self.memory.telling(object, content, Instant::now()) {
                Telling::Not => Ok("repeated"),
                Telling::Again { count } => self.tell_again(&news, count).await,
                Telling::New => self.tell(&news).await,
            };
            match result {
                Ok(result) => self.metrics.event(result),
                Err(error) => {
                    self.memory.forget(content);
                    self.metrics.event("failed");
                    tracing::warn!(reason = news.reason, %error, "could not record an Event");
                }
            }
        }
    }

    async fn tell(&self, news: &News) -> Result<&'static str, kube::Error> {
        match self.events(news).create(&PostParams::default(), &news.event(&self.instance)).await {
            Ok(_) => Ok("sent"),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok("repeated"),
            Err(error) => Err(error),
        }
    }

    async fn tell_again(&self, news: &News, count: u32) -> Result<&'static str, kube::Error> {
        let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(Timestamp::now())}});
        match self.events(news).patch(&news.event_name(), &PatchParams::default(), &Patch::Merge(series)).await {
            Ok(_) => Ok("sent"),
            Err(kube::Error::Api(status)) if status.is_not_found() => self.tell(news).await,
            Err(error) => Err(error),
        }
    }

    fn events(&self, news: &News) -> Api<Event> {
        Api::namespaced(self.client.clone(), news.namespace())
    }
}

impl News {
    /// Events of cluster-scoped objects live in `default`: the API server accepts them nowhere else.
    fn namespace(&self) -> &str {
        self.object.namespace.as_deref().unwrap_or("default")
    }

    fn object_hash(&self) -> u64 {
        let ObjectReference { kind, namespace, name, uid, .. } = &self.object;
        hash_of(&(kind, namespace, name, uid))
    }

    /// The same in every process of one build, which is all that a name needs.
    fn hash(&self) -> u64 {
        hash_of(&(self.object_hash(), self.severity, &self.reason, &self.note))
    }

    fn event_name(&self) -> String {
        let name = cut(self.object.name.as_deref().unwrap_or_default(), MAX_NAME);
        format!("{}.{:016x}", name.trim_end_matches(['.', '-']), self.hash())
    }

    fn event(&self, instance: &str) -> Event {
        Event {
            metadata: ObjectMeta {
                name: Some(self.event_name()),
                namespace: Some(self.namespace().to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            action: Some(ACTION.to_owned()),
            reason: Some(self.reason.clone()),
            note: Some(self.note.clone()),
            type_: Some(self.severity.to_owned()),
            regarding: Some(self.object.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(cut(instance, 128).to_owned()),
            ..Event::default()
        }
    }
}

fn hash_of(content: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// A note as long as the API allows.
fn shortened(note: &str) -> String {
    if note.len() <= MAX_NOTE { note.to_owned() } else { format!("{}…", cut(note, MAX_NOTE - '…'.len_utf8())) }
}

/// The longest beginning of at most `bytes` bytes.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
