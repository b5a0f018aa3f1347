//! `watch`: what happened since a revision, and then what happens, line by line.
//!
//! | event | when |
//! |---|---|
//! | `ADDED` | an object comes, or comes to be chosen by the selectors |
//! | `MODIFIED` | a chosen one was changed and still is chosen |
//! | `DELETED` | a chosen one is gone, or is no longer chosen (then with its last chosen state) |
//! | `BOOKMARK` | nothing happened, but so far was looked (once a minute, at the end, and after the initial events) |
//! | `ERROR` | what happened in between is no longer known: 410 |
//!
//! A watch sleeps until something is written in its scope ([`waiting`](crate::waiting)). Time is tokio's: under a paused clock watches end
//! and bookmarks come in virtual time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::answered::AtEnd;
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::http::accept::{Format, Shape};
use crate::http::query::ListOptions;
use crate::http::reply::{Body, Reply};
use crate::http::show::{Showing, Shown};
use crate::http::{Call, errors, read};
use crate::kinds;
use crate::store::{Event, Object, Scope};
use crate::waiting::Watcher;

/// How often whoever asked for bookmarks gets one.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// The longest, lest the clock overflow.
const LONGEST: u64 = 365 * 24 * 3600;

/// About so many octets are told at once: a watch of everything begins with all there is.
const CHUNK: usize = 64 * 1024;

/// One watch.
struct Watch {
    cluster: Cluster,
    watcher: Arc<Watcher>,
    showing: Showing,
    options: ListOptions,
    /// Up to here was told.
    position: u64,
    /// What is told first.
    initial: std::vec::IntoIter<Arc<Object>>,
    /// Whether the end of the initial events is to be marked.
    mark: bool,
    deadline: Instant,
    next_bookmark: Instant,
    /// Whether a Table's columns were told.
    columns_told: bool,
    ended: bool,
    _counted: AtEnd,
}

/// The answer to a watch.
///
/// # Errors
/// As of a list; what is found out later is told as an event.
pub(crate) fn start(call: &Call<'_>, mut options: ListOptions) -> Result<Reply, ApiError> {
    kinds::check_fields(call.served, &options.fields)?;
    let showing = call.showing()?;
    if showing.form.format == Format::Yaml {
        return Err(errors::not_acceptable());
    }
    let from = read::revision(&options.revision, errors::internal)?.filter(|it| *it > 0);
    let watcher = call.cluster.waiting().begin(call.served.scope(call.namespace()));
    let everything = from.is_none() || options.initial_events;
    options.limit = 0;
    let (initial, position) = match from {
        _ if everything => initial(call, watcher.scope(), &options)?,
        from => (Vec::new(), from.unwrap_or_default()),
    };
    let timeout =
        options.timeout.map_or(call.cluster.options().watch_timeout, |it| Duration::from_secs(it.min(LONGEST)));
    let now = Instant::now();
    let watch = Watch {
        cluster: call.cluster.clone(),
        watcher,
        showing,
        position,
        initial: initial.into_iter(),
        mark: options.initial_events && options.bookmarks,
        options,
        deadline: now + timeout,
        next_bookmark: now + BOOKMARKS,
        columns_told: false,
        ended: false,
        _counted: AtEnd::of(call),
    };
    Ok(Reply { body: watch.into_body(), ..Reply::new(200, "application/json", Bytes::new()) })
}

fn initial(call: &Call<'_>, scope: &Scope, options: &ListOptions) -> Result<(Vec<Arc<Object>>, u64), ApiError> {
    let store = call.cluster.store();
    let wanted = |object: &Object| read::is_wanted(call.served, options, object);
    let page = store.list(scope, store.revision(), None, 0, wanted);
    Ok((page.map_err(|it| errors::expired(it.to_string()))?.objects, store.revision()))
}

impl Watch {
    fn into_body(self) -> Body {
        let stream = futures::stream::unfold(self, Self::next);
        let frames = futures::StreamExt::map(stream, |chunk| Ok::<_, Infallible>(Frame::data(chunk)));
        StreamBody::new(frames).boxed_unsync()
    }

    /// The next lines; none at the end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        while !self.ended {
            let lines = self.pull();
            if !lines.is_empty() {
                return Some((lines.into(), self));
            }
            let bookmark = if self.options.bookmarks { self.next_bookmark.min(self.deadline) } else { self.deadline };
            tokio::select! {
                biased;
                () = self.watcher.woken() => {}
                () = sleep_until(bookmark) => {
                    self.ended = bookmark == self.deadline;
                    self.next_bookmark += BOOKMARKS;
                    if self.options.bookmarks {
                        // The store has gone on while nothing happened here.
                        let mut lines = self.pull();
                        lines.extend_from_slice(&self.bookmark(false));
                        return Some((lines.into(), self));
                    }
                }
            }
        }
        None
    }

    /// What is to be told by now.
    fn pull(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        while let Some(object) = self.initial.next() {
            self.line("ADDED", &object, &mut lines);
            if lines.len() >= CHUNK {
                return lines;
            }
        }
        if std::mem::take(&mut self.mark) {
            lines.extend_from_slice(&self.bookmark(true));
        }
        let (events, current) = {
            let store = self.cluster.store();
            let untold = self.watcher.take().map(|first| self.position.max(first.saturating_sub(1)));
            let events = untold.map_or(Ok(Vec::new()), |after| store.events(self.watcher.scope(), after));
            (events, store.revision())
        };
        match events {
            Ok(events) => {
                for event in &events {
                    self.tell(event, &mut lines);
                }
                self.position = self.position.max(current);
            }
            Err(gone) => {
                self.ended = true;
                let why = format!("too old resource version: {} ({})", gone.asked, gone.oldest);
                lines.extend_from_slice(&error(&errors::expired(why)));
            }
        }
        lines
    }

    fn tell(&mut self, event: &Event, lines: &mut Vec<u8>) {
        let wanted = |object: &Arc<Object>| read::is_wanted(&self.showing.served, &self.options, object);
        match (event.before().is_some_and(wanted), event.after().is_some_and(wanted)) {
            (false, true) => self.line("ADDED", &event.object, lines),
            (true, true) => self.line("MODIFIED", &event.object, lines),
            (true, false) if event.after().is_none() => self.line("DELETED", &event.object, lines),
            (true, false) => {
                // As it was when it was last chosen, with the revision of the write that took it away.
                let mut last = event.before().map(|it| it.value().clone()).unwrap_or_default();
                last["metadata"]["resourceVersion"] = event.revision().to_string().into();
                self.loose_line("DELETED", last, lines);
            }
            (false, false) => {}
        }
    }

    fn line(&mut self, kind: &str, object: &Arc<Object>, lines: &mut Vec<u8>) {
        self.shown_line(kind, &Shown::Stored(Arc::clone(object)), lines);
    }

    fn loose_line(&mut self, kind: &str, value: Value, lines: &mut Vec<u8>) {
        let value = kinds::presented(&self.showing.served, &value).into_owned();
        self.shown_line(kind, &Shown::Loose(value), lines);
    }

    fn shown_line(&mut self, kind: &str, shown: &Shown, lines: &mut Vec<u8>) {
        lines.extend_from_slice(format!(r#"{{"type":"{kind}","object":"#).as_bytes());
        self.showing.one(shown, !self.columns_told, lines);
        self.columns_told = true;
        lines.extend_from_slice(b"}\n");
    }

    fn bookmark(&self, initial: bool) -> Vec<u8> {
        let mut metadata = json!({"resourceVersion": self.position.to_string()});
        if initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let served = &self.showing.served;
        let object = match self.showing.form.shape {
            Shape::Table => {
                let row =
                    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
                let row = json!({"cells": vec![Value::Null; served.columns().len()], "object": row});
                json!({
                    "kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": [], "rows": [row],
                    "metadata": {"resourceVersion": self.position.to_string()},
                })
            }
            Shape::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            _ => json!({"kind": served.kind, "apiVersion": served.api_version(), "metadata": metadata}),
        };
        format!("{}\n", json!({"type": "BOOKMARK", "object": object})).into_bytes()
    }
}

fn error(error: &ApiError) -> Vec<u8> {
    format!("{}\n", json!({"type": "ERROR", "object": error.to_status()})).into_bytes()
}
