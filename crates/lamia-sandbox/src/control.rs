//! How another process speaks to a running sandbox, for `lamia sandbox delegate`: one question over HTTP on loopback.
//!
//! Where the sandbox listens, and the token that it wants to hear, stand in `control.json` in its state directory, which
//! only its owner may read. (A Unix socket there would do without a token, but the path of one may have 107 characters
//! only, and people choose directories.) The file goes with the sandbox; after a kill it names an address that nobody
//! listens on any more, which comes to the same.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::servers::{http_client, loopback, write_private};

/// The file in the state directory.
const FILE: &str = "control.json";
/// The one question.
const DELEGATIONS: &str = "/delegations";

/// Why a sandbox did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody is there.
    #[error("no sandbox runs on {}, or it is still starting", .0.display())]
    NotRunning(PathBuf),
    /// It says no; in its words.
    #[error("{0}")]
    Refused(String),
    /// Its answer makes no sense: it ended, or is of another version.
    #[error("the sandbox on {} gave no answer", .directory.display())]
    NoAnswer {
        /// Its state directory.
        directory: PathBuf,
        /// Why.
        source: reqwest::Error,
    },
    /// The file can't be read.
    #[error("can't read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Asks whoever plays the registrar. Clones ask the same.
#[derive(Clone, Debug)]
pub struct Registrar {
    requests: mpsc::Sender<Request>,
}

/// A zone to be delegated, and who waits for the outcome.
#[derive(Debug)]
pub(crate) struct Request {
    /// The zone, as it was typed.
    pub(crate) zone: String,
    /// Takes the name servers, or in words why not.
    pub(crate) reply: oneshot::Sender<Result<Vec<String>, String>>,
}

impl Registrar {
    /// A registrar, and what it is asked.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, asked) = mpsc::channel(1);
        (Self { requests }, asked)
    }

    /// Names the provider's servers for a zone; gives them.
    ///
    /// # Errors
    /// In words: the zone is not known, or the sandbox ends.
    pub async fn delegate(&self, zone: &str) -> Result<Vec<String>, String> {
        let (reply, answer) = oneshot::channel();
        let ended = || "the sandbox ends".to_owned();
        self.requests.send(Request { zone: zone.to_owned(), reply }).await.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// The listening end. Dropped, nobody listens any more.
#[derive(Debug)]
pub(crate) struct Control {
    file: PathBuf,
    _task: JoinSet<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        // One that is not there is what we want; one that stays names an address that nobody listens on.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// What the file tells.
#[derive(Serialize, Deserialize)]
struct Place {
    address: SocketAddr,
    token: String,
}

#[derive(Serialize, Deserialize)]
struct Question {
    zone: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    name_servers: Vec<String>,
}

#[derive(Clone)]
struct Ears {
    registrar: Registrar,
    authorization: String,
}

impl Control {
    /// Listens for what other processes ask of this registrar.
    pub(crate) async fn open(directory: &Path, registrar: Registrar) -> anyhow::Result<Self> {
        let ip = loopback::address();
        let listener = TcpListener::bind((ip, 0)).await.with_context(|| format!("can't bind {ip}"))?;
        let place = Place { address: listener.local_addr()?, token: HEXLOWER.encode(&rand::random::<[u8; 16]>()) };
        let ears = Ears { registrar, authorization: format!("Bearer {}", place.token) };
        let router = Router::new().route(DELEGATIONS, post(delegations)).with_state(ears);
        let mut task = JoinSet::new();
        task.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "nobody listens for `lamia sandbox delegate` any more");
            }
        });
        let file = directory.join(FILE);
        write_private(&file, &serde_json::to_vec(&place)?)
            .with_context(|| format!("can't write {}", file.display()))?;
        Ok(Self { file, _task: task })
    }
}

async fn delegations(
    Shared(ears): Shared<Ears>,
    headers: HeaderMap,
    Json(question): Json<Question>,
) -> Result<Json<Answer>, (StatusCode, String)> {
    let shown = headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
    if shown != Some(ears.authorization.as_bytes()) {
        return Err((StatusCode::UNAUTHORIZED, "this is another sandbox; try again".to_owned()));
    }
    let outcome = ears.registrar.delegate(&question.zone).await;
    outcome
        .map(|name_servers| Json(Answer { name_servers }))
        .map_err(|refusal| (StatusCode::UNPROCESSABLE_ENTITY, refusal))
}

/// Asks the sandbox that runs on this state directory to delegate a zone; gives the name servers that it set.
///
/// # Errors
/// None runs there, or it refuses.
pub async fn delegate(directory: &Path, zone: &str) -> Result<Vec<String>, ControlError> {
    let path = directory.join(FILE);
    let nobody = || ControlError::NotRunning(directory.to_owned());
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(nobody()),
        read => read.map_err(|source| ControlError::Unreadable { path: path.clone(), source })?,
    };
    let place: Place = serde_json::from_str(&text)
        .map_err(|error| ControlError::Unreadable { path, source: io::Error::other(error) })?;
    let no_answer = |source: reqwest::Error| match source.is_connect() {
        true => nobody(),
        false => ControlError::NoAnswer { directory: directory.to_owned(), source },
    };
    let client = http_client().map_err(|error| ControlError::Refused(error.to_string()))?;
    let url = format!("http://{}{DELEGATIONS}", place.address);
    let asked = client.post(url).bearer_auth(place.token).json(&Question { zone: zone.to_owned() });
    let answer = asked.send().await.map_err(no_answer)?;
    if !answer.status().is_success() {
        return Err(ControlError::Refused(answer.text().await.map_err(no_answer)?));
    }
    Ok(answer.json::<Answer>().await.map_err(no_answer)?.name_servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sandbox that delegates `known.net` and nothing else.
    async fn sandbox(directory: &Path) -> Control {
        let (registrar, mut asked) = Registrar::new();
        tokio::spawn(async move {
            while let Some(Request { zone, reply }) = asked.recv().await {
                let known = zone == "known.net";
                let outcome = known.then(|| vec!["ns1.lamia.test".to_owned()]).ok_or(format!("{zone} is not known"));
                reply.send(outcome).expect("somebody waits");
            }
        });
        Control::open(directory, registrar).await.expect("listens")
    }

    #[tokio::test]
    async fn a_running_sandbox_is_found_by_its_directory_and_says_what_it_did_or_why_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let running = sandbox(directory.path()).await;
        assert_eq!(delegate(directory.path(), "known.net").await.expect("done"), ["ns1.lamia.test"]);
        let refused = delegate(directory.path(), "other.net").await.expect_err("unknown");
        assert!(matches!(&refused, ControlError::Refused(words) if words == "other.net is not known"), "{refused}");
        drop(running);
        let refused = delegate(directory.path(), "known.net").await.expect_err("gone");
        assert!(matches!(refused, ControlError::NotRunning(_)), "{refused}");
    }

    #[tokio::test]
    async fn what_a_killed_sandbox_left_behind_is_nobody() {
        let directory = tempfile::tempdir().expect("a directory");
        let address = SocketAddr::from((loopback::address(), 9));
        let left = serde_json::to_vec(&Place { address, token: "old".to_owned() }).expect("JSON");
        std::fs::write(directory.path().join(FILE), left).expect("written");
        let refused = delegate(directory.path(), "known.net").await.expect_err("nobody");
        assert!(matches!(refused, ControlError::NotRunning(_)), "{refused}");
    }

    #[tokio::test]
    async fn who_can_not_read_the_file_is_not_heard() {
        let directory = tempfile::tempdir().expect("a directory");
        let _running = sandbox(directory.path()).await;
        let file = directory.path().join(FILE);
        let mut place: Place = serde_json::from_slice(&std::fs::read(&file).expect("read")).expect("JSON");
        place.token = "guessed".to_owned();
        std::fs::write(&file, serde_json::to_vec(&place).expect("JSON")).expect("written");
        let refused = delegate(directory.path(), "known.net").await.expect_err("not heard");
        assert!(matches!(refused, ControlError::Refused(_)), "{refused}");
    }
}
