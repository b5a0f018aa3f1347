//! A real Envoy serves what the translator makes of Istio's objects: by SNI, with the right certificate, to the right backend.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use lamia_sandbox::servers::{Backend, Binary, Envoy, EnvoyOptions, loopback};
use lamia_sandbox::translator::{BackendKey, Key, Objects, Surroundings, TlsSecret, translate};
use lamia_tests::{eventually, has};
use rcgen::{CertificateParams, KeyPair};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The gateway with two versions of a shop behind it.
struct Stage {
    envoy: Envoy,
    surroundings: Surroundings,
    _backends: [Backend; 2],
}

impl Stage {
    async fn start() -> Self {
        let envoy = Envoy::start(EnvoyOptions::default()).await.expect("Envoy");
        let listen = loopback::address();
        let free = || loopback::port(listen).expect("a free port");
        let backends = [Backend::start("shop", "1").await.expect("v1"), Backend::start("shop", "2").await.expect("v2")];
        let service = Key { namespace: "demo".into(), name: "shop".into() };
        let subset =
            |name: Option<&str>| BackendKey { service: service.clone(), port: 9191, subset: name.map(str::to_owned) };
        let surroundings = Surroundings {
            gateway_labels: BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]),
            gateway_namespace: "istio-system".into(),
            listen,
            ports: BTreeMap::from([(80, free()), (443, free())]),
            backends: BTreeMap::from([(subset(None), backends[0].addr()), (subset(Some("v2")), backends[1].addr())]),
            secrets_directory: envoy.files().secrets(),
        };
        Self { envoy, surroundings, _backends: backends }
    }

    fn serve(&self, objects: &Objects) -> Vec<String> {
        let translation = translate(objects, &self.surroundings);
        self.envoy.files().replace(&translation.resources).expect("written");
        translation.problems
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.surroundings.listen, self.surroundings.ports[&port]))
    }

    /// Asks for a path of the host at port 443, trusting this certificate alone.
    async fn get(&self, host: &str, path: &str, trusted: &str) -> anyhow::Result<(u16, Value)> {
        let address = self.at(443);
        let certificate = reqwest::Certificate::from_pem(trusted.as_bytes())?;
        let client =
            reqwest::Client::builder().tls_certs_only([certificate]).resolve(host, address).no_proxy().build()?;
        let answer = client.get(format!("https://{host}:{}{path}", address.port())).send().await?;
        Ok((answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null)))
    }
}

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object")
}

/// A self-signed certificate: what a client trusts is exactly what must be served.
fn secret(host: &str) -> TlsSecret {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec![host.to_owned()]).expect("a name").self_signed(&key).expect("signed");
    TlsSecret { certificate: certificate.pem(), key: key.serialize_pem(), client_ca: String::new() }
}

fn gateway(name: &str, host: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "demo"}, "spec": {"selector": {"istio": "ingressgateway"}, "servers": [
        {"port": {"name": "https-443", "number": 443, "protocol": "HTTPS"}, "hosts": [host],
         "tls": {"mode": "SIMPLE", "credentialName": format!("demo.{name}")}},
        {"port": {"name": "http-80", "number": 80, "protocol": "HTTP"}, "hosts": [host], "tls": {"httpsRedirect": true}},
    ]}})
}

fn virtual_service(name: &str, host: &str) -> Value {
    let to =
        |subset: Option<&str>| json!([{"destination": {"host": "shop", "port": {"number": 9191}, "subset": subset}}]);
    json!({"metadata": {"name": name, "namespace": "demo"}, "spec": {"hosts": [host], "gateways": [format!("demo/{name}")], "http": [
        {"match": [{"uri": {"prefix": "/new/"}}], "route": to(Some("v2"))},
        {"match": [{"uri": {"prefix": "/shop"}}], "route": to(None)},
    ]}})
}

/// One exact host and one wildcard, on one port.
fn objects() -> Objects {
    let hosts = [("shop", "shop.democluster.net"), ("all", "*.democluster.net")];
    Objects {
        gateways: hosts.iter().map(|(name, host)| object(gateway(name, host))).collect(),
        virtual_services: hosts.iter().map(|(name, host)| object(virtual_service(name, host))).collect(),
        destination_rules: vec![object(json!({"metadata": {"name": "shop", "namespace": "demo"},
            "spec": {"host": "shop", "subsets": [{"name": "v2"}]}}))],
        services: vec![object(
            json!({"metadata": {"name": "shop", "namespace": "demo"}, "spec": {"ports": [{"port": 9191}]}}),
        )],
        secrets: hosts.iter().map(|(name, host)| (format!("demo.{name}"), secret(host))).collect(),
    }
}

#[tokio::test]
async fn hosts_share_a_port_each_with_its_certificate_and_its_routes() {
    if !has(&[Binary::Envoy]) {
        return;
    }
    let stage = Stage::start().await;
    let objects = objects();
    assert_eq!(stage.serve(&objects), Vec::<String>::new());
    let trusted = |name: &str| objects.secrets[name].certificate.clone();
    for (host, credential) in [("shop.democluster.net", "demo.shop"), ("other.democluster.net", "demo.all")] {
        let certificate = trusted(credential);
        // Envoy reads listeners and clusters on its own time: for a moment a route may lead to a cluster not there yet.
        let look = || async {
            let (code, answer) = stage.get(host, "/shop", &certificate).await?;
            ensure!(code == 200, "status {code}");
            Ok(answer)
        };
        assert_eq!(eventually(host, look).await["version"], "1", "{host}");
        let (_, answer) = stage.get(host, "/new/", &certificate).await.expect("answers");
        assert_eq!(answer["version"], "2", "the subset of {host}");
        let (code, _) = stage.get(host, "/nothing", &certificate).await.expect("answers");
        assert_eq!(code, 404);
    }
    stage.get("example.org", "/shop", &trusted("demo.shop")).await.expect_err("nobody serves that name");

    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().expect("a client");
    let plain = client.get(format!("http://{}/shop", stage.at(80))).header("Host", "shop.democluster.net").send().await;
    let plain = plain.expect("answers");
    assert_eq!(plain.status().as_u16(), 301);
    let location = format!("https://shop.democluster.net:{}/shop", stage.at(443).port());
    assert_eq!(plain.headers()["location"], location);
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart_and_a_removed_host_is_not() {
    if !has(&[Binary::Envoy]) {
        return;
    }
    let stage = Stage::start().await;
    let mut objects = objects();
    stage.serve(&objects);
    let host = "shop.democluster.net";
    let old = objects.secrets["demo.shop"].certificate.clone();
    eventually("the first certificate", || stage.get(host, "/shop", &old)).await;

    let renewed = secret(host);
    objects.secrets.insert("demo.shop".into(), renewed.clone());
    stage.serve(&objects);
    eventually("the renewed certificate", || stage.get(host, "/shop", &renewed.certificate)).await;
    stage.get(host, "/shop", &old).await.expect_err("the old one is not served any more");

    objects.gateways.clear();
    stage.serve(&objects);
    let gone = || async {
        let served = tokio::net::TcpStream::connect(stage.at(443)).await;
        ensure!(served.is_err(), "still listened on");
        Ok(())
    };
    eventually("nothing is served", gone).await;
    let left = std::fs::read_dir(stage.envoy.files().secrets()).context("readable").expect("there").count();
    assert_eq!(left, 0, "no key stays on disk");
}
