//! The conformance suite on moto, a server that many projects try their AWS clients on (`tools/install moto`). It reads the
//! SDK's requests and writes their answers by AWS' own models; what it lets pass is made up for in `moto.py`.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::name;
use super::stand_in::{config, provider};
use crate::dns::DnsProvider as _;
use crate::dns::conformance::{Bench, run};

/// A running moto; killed when dropped.
struct Moto {
    process: Child,
    endpoint: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `$LAMIA_CACHE`, by default `~/.cache/lamia`, as in `tools/install`.
fn python() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("LAMIA_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("lamia")))
        .or_else(|| Some(variable("HOME")?.join(".cache/lamia")));
    cache.unwrap_or_default().join("moto/bin/python")
}

impl Moto {
    /// Starts it and waits until it takes connections; `None` where it is not installed.
    async fn start() -> Option<Self> {
        let python = python();
        if !python.exists() {
            println!("skipped: there is no {}; tools/install moto brings it", python.display());
            return None;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/dns/route53/tests/moto.py");
        let process = Command::new(python)
            .args(["-I", "-B", script, &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("moto starts");
        let mut moto = Self { process, endpoint: format!("http://{address}") };
        let up = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            while tokio::net::TcpStream::connect(address).await.is_err() {
                assert!(moto.process.try_wait().expect("its state").is_none(), "moto ended at once");
                tick.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), up).await.expect("moto is up within a minute");
        Some(moto)
    }
}

#[tokio::test]
async fn the_contract_is_kept_on_moto() {
    let Some(moto) = Moto::start().await else { return };
    let provider = provider(&config(&moto.endpoint));
    let account = provider.account().await.expect("an answer").expect("an account");
    assert!(account.starts_with("account 123456789012 (arn:aws:"), "{account}");
    let bench =
        Bench { provider: &provider, zone: name("suite.example.org"), absent: name("absent.example.org"), hosts: 1000 };
    let report = run(&bench).await.into_result().unwrap_or_else(|report| panic!("{report}"));
    println!("{report}{} requests", provider.requests());
}
