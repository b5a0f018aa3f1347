//! The small Kubernetes API ([`cluster_api`]) in this process: up at once, and nothing has to be built for it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use cluster_api::source::Wall;
use cluster_api::{Archive, Cluster, Options, Server, Token};
use tokio::net::TcpListener;

use super::api_access::{ADMIN, ApiAccess, admin_token};
use super::directory::Directory;
use super::{KubeApiServerOptions, loopback};

/// A served cluster. Dropping it ends the serving; what it holds is in its directory, if it was given one.
#[derive(Debug)]
pub struct EmbeddedApi {
    access: ApiAccess,
    _server: Server,
    _directory: Directory,
}

/// Reached like any other.
impl std::ops::Deref for EmbeddedApi {
    type Target = ApiAccess;

    fn deref(&self) -> &ApiAccess {
        &self.access
    }
}

impl EmbeddedApi {
    /// Opens the cluster that the directory keeps, or a new one, and serves it.
    ///
    /// # Errors
    /// The directory can't be read or written, or the address can't be bound.
    pub async fn start(options: KubeApiServerOptions) -> anyhow::Result<Self> {
        let is_kept = options.directory.is_some();
        let directory = Directory::open(options.directory, "cluster-api")?;
        let ip = options.address.unwrap_or_else(loopback::address);
        let port = options.port.map_or_else(|| loopback::port(ip), Ok)?;
        let address = SocketAddr::from((ip, port));
        let admin = Token {
            secret: admin_token(&directory)?,
            user: ADMIN.to_owned(),
            groups: vec!["system:masters".to_owned()],
        };
        let (wall, settings) =
            (Arc::new(Wall::new(rand::random())), Options { tokens: vec![admin], ..Options::default() });
        let cluster = match is_kept {
            true => {
                let path = directory.path().join("cluster.redb");
                let archive = Archive::open(&path).with_context(|| format!("can't open {}", path.display()))?;
                Cluster::kept_in(archive, settings, wall).with_context(|| format!("can't read {}", path.display()))?
            }
            false => Cluster::new(settings, wall),
        };
        let listener = TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))?;
        let server = cluster.serve(listener)?;
        let access = ApiAccess::new(&directory, address, server.ca().to_owned())?;
        Ok(Self { access, _server: server, _directory: directory })
    }
}
