//! Envoy, the gateway, told what to serve by files that it watches: no restart, and what is unchanged is not touched.
//!
//! Each file is replaced by renaming, which is what Envoy looks for. Written first is what others point to: secrets, then
//! clusters, then listeners.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::binary::Binary;
use super::directory::{Directory, write_private};
use super::process::{Launch, Process};
use super::vigil::Watched;
use super::{http_client, loopback};

/// How an Envoy is started.
#[derive(Debug, Clone, Default)]
pub struct EnvoyOptions {
    /// Where its files live. None: a temporary directory.
    pub directory: Option<PathBuf>,
    /// Its address on loopback, for its admin interface. None: one of its own.
    pub address: Option<Ipv4Addr>,
}

/// What an Envoy serves: resources of its API, version 3, each with its `@type`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EnvoyResources {
    /// `Listener`s.
    pub listeners: Vec<Value>,
    /// `Cluster`s.
    pub clusters: Vec<Value>,
    /// `Secret`s, by the name of their file in [`EnvoyFiles::secrets`].
    pub secrets: BTreeMap<String, Vec<Value>>,
}

/// The files that an Envoy watches.
#[derive(Debug, Clone)]
pub struct EnvoyFiles {
    directory: PathBuf,
}

impl EnvoyFiles {
    /// The directory of the secrets' files: listeners refer to it.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.directory.join("secrets")
    }

    /// Replaces what is served. Files whose content is the same stay untouched.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn replace(&self, resources: &EnvoyResources) -> anyhow::Result<()> {
        let EnvoyResources { listeners, clusters, secrets } = resources;
        for (name, content) in secrets {
            write(&self.secrets().join(name), content)?;
        }
        write(&self.clusters(), clusters)?;
        write(&self.listeners(), listeners)?;
        // A key that no listener names any more has no business on disk.
        for entry in fs::read_dir(self.secrets())?.flatten() {
            if !entry.file_name().to_str().is_some_and(|name| secrets.contains_key(name)) {
                fs::remove_file(entry.path()).with_context(|| format!("can't remove {}", entry.path().display()))?;
            }
        }
        Ok(())
    }

    fn clusters(&self) -> PathBuf {
        self.directory.join("clusters.json")
    }

    fn listeners(&self) -> PathBuf {
        self.directory.join("listeners.json")
    }
}

/// A running Envoy. Dropping it ends it.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    files: EnvoyFiles,
}

impl Envoy {
    /// Starts an Envoy that serves what its directory tells, at first nothing, and waits until it is ready.
    ///
    /// # Errors
    /// If `envoy` is missing or does not come up.
    pub async fn start(options: EnvoyOptions) -> anyhow::Result<Self> {
        let program = Binary::Envoy.find()?;
        let directory = Directory::open(options.directory, "envoy")?;
        let address = options.address.unwrap_or_else(loopback::address);
        let admin = SocketAddr::from((address, loopback::port(address)?));
        let files = EnvoyFiles { directory: directory.path().to_owned() };
        fs::create_dir_all(files.secrets()).with_context(|| format!("can't make {}", files.secrets().display()))?;
        for file in [files.clusters(), files.listeners()] {
            if !file.exists() {
                write(&file, &[])?;
            }
        }
        let bootstrap = directory.write("bootstrap.json", bootstrap(&files, admin).to_string())?;
        let launch = Launch::new("envoy", program).arg("--config-path").arg(bootstrap).args([
            "--disable-hot-restart",
            "--concurrency",
            "2",
            "--log-level",
            "warning",
        ]);
        let mut server = Self { process: Process::start(launch, directory)?, admin, files };
        let (http, ready) = (http_client()?, format!("http://{admin}/ready"));
        let probe = || async { http.get(&ready).send().await?.error_for_status().map(drop).map_err(Into::into) };
        server.process.ready(probe).await?;
        Ok(server)
    }

    /// The files that tell it what to serve.
    #[must_use]
    pub fn files(&self) -> &EnvoyFiles {
        &self.files
    }

    /// The root of its admin interface, as in `http://127.1.2.3:15000`.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// What is to be watched while it runs.
    pub(crate) fn watched(&self) -> Option<Watched> {
        self.process.watched()
    }
}

fn bootstrap(files: &EnvoyFiles, admin: SocketAddr) -> Value {
    let watched = |file: PathBuf| json!({"path_config_source": {"path": file}, "resource_api_version": "V3"});
    json!({
        "node": {"id": "gateway", "cluster": "sandbox"},
        "admin": {"address": {"socket_address": {"address": admin.ip(), "port_value": admin.port()}}},
        "dynamic_resources": {"lds_config": watched(files.listeners()), "cds_config": watched(files.clusters())},
    })
}

fn write(path: &Path, resources: &[Value]) -> anyhow::Result<()> {
    let content = json!({"resources": resources}).to_string();
    if fs::read_to_string(path).is_ok_and(|written| written == content) {
        return Ok(());
    }
    write_private(path, content.as_bytes()).with_context(|| format!("can't write {}", path.display()))
}
