//! Serves an empty cluster on loopback and prints a kubeconfig for its administrator: `cargo run --example serve > kubeconfig`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cluster_api::source::Wall;
use cluster_api::{Cluster, Options, Token};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let admin =
        Token { secret: "admin".to_owned(), user: "admin".to_owned(), groups: vec!["system:masters".to_owned()] };
    let person = |name: &str| Token { secret: name.to_owned(), user: name.to_owned(), groups: Vec::new() };
    let options = Options { tokens: vec![admin, person("alice"), person("bob")], ..Options::default() };
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let cluster = Cluster::new(options, Arc::new(Wall::new(seed)));
    let port = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    let server = cluster.serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await?)?;
    print!("{}", server.kubeconfig("admin", "admin", "default"));
    tokio::signal::ctrl_c().await
}
