//! `lamia host add`: makes a SecuredHost. With `--dry-run` it prints the few lines that it would make, for Git.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::Args;
use kube::api::PostParams;
use lamia_api::SecuredHost;
use lamia_api::meta::{GROUP, VERSION};
use lamia_core::name::HostName;
use serde_json::{Value, json};

use super::wait::Wait;
use crate::arguments::Global;
use crate::cluster::Cluster;
use crate::failure::{Failure, explain};
use crate::output::{self, ObjectFormat, Paint};

/// Put a host on the gateway, with HTTPS.
#[derive(Args, Debug)]
pub(crate) struct Add {
    /// The host, as in shop.example.org or '*.example.org'
    host: String,
    /// Send its requests to this Service of the same namespace
    #[arg(long, value_name = "NAME:PORT")]
    service: Option<ServicePort>,
    /// Name of the object; default: the host, with `wildcard` for `*`
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A label of the gateway's pods, repeatable; default: istio=ingressgateway
    #[arg(long, value_name = "KEY=VALUE")]
    gateway: Vec<Label>,
    /// The ACMEIssuer; default: the one that is marked as default
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// The Zone to publish in, by its name; default: the longest public one that holds the host
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    /// Make nothing, print what would be made
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Print the object
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<ObjectFormat>,
    #[command(flatten)]
    wait: Wait,
}

/// `shop:9191`
#[derive(Clone, Debug, PartialEq, Eq)]
struct ServicePort {
    service: String,
    port: u16,
}

impl FromStr for ServicePort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not NAME:PORT, as in shop:9191");
        let (service, port) = text.split_once(':').filter(|(service, _)| !service.is_empty()).ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        Ok(Self { service: service.to_owned(), port })
    }
}

/// `istio=ingressgateway`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    key: String,
    value: String,
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("{text:?} is not KEY=VALUE, as in istio=ingressgateway"))?;
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

impl Add {
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        let host = HostName::parse(&self.host)
            .map_err(|error| Failure::new(format!("{}: {error}", self.host), "see: lamia host add --help"))?;
        if self.dry_run {
            let manifest = self.manifest(&host, global.namespace.as_deref());
            return output::data(&output::object(&manifest, self.output.unwrap_or(ObjectFormat::Yaml))?);
        }
        let cluster = Cluster::from(global).await?;
        let manifest = self.manifest(&host, Some(&cluster.namespace));
        let wanted: SecuredHost = serde_json::from_value(manifest).context("make the object")?;
        let made = cluster
            .namespaced()
            .create(&PostParams { field_manager: Some("lamia-cli".to_owned()), ..PostParams::default() }, &wanted)
            .await
            .map_err(|error| explain(error, &format!("add {host}")))?;
        if let Some(format) = self.output {
            output::data(&output::object(&made, format)?)?;
        }
        let name = made.metadata.name.unwrap_or_default();
        output::talk(&format!(
            "made SecuredHost {name} in {0}; how far it is: lamia host get {name} -n {0}",
            cluster.namespace
        ));
        if self.wait.wait {
            self.wait.until_ready(&cluster, &name, Paint::for_stderr(global.color)).await?;
        }
        Ok(())
    }

    /// Only what was asked for: the API server fills in the rest, and people keep this in Git.
    fn manifest(&self, host: &HostName, namespace: Option<&str>) -> Value {
        let name = self.name.clone().unwrap_or_else(|| host.fqdn().as_str().replacen('*', "wildcard", 1));
        let mut manifest = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "SecuredHost",
            "metadata": {"name": name},
            "spec": {"host": self.host},
        });
        if let Some(namespace) = namespace {
            manifest["metadata"]["namespace"] = json!(namespace);
        }
        let spec = &mut manifest["spec"];
        if !self.gateway.is_empty() {
            let selector: BTreeMap<_, _> = self.gateway.iter().map(|label| (&label.key, &label.value)).collect();
            spec["gateways"] = json!([{"selector": selector}]);
        }
        if let Some(backend) = &self.service {
            spec["backend"] = json!({"service": backend.service, "port": backend.port});
        }
        if let Some(zone) = &self.zone {
            spec["dns"] = json!({"zone": zone});
        }
        if let Some(issuer) = &self.issuer {
            spec["certificate"] = json!({"issuerRef": {"name": issuer}});
        }
        manifest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(host: &str) -> Add {
        Add {
            host: host.to_owned(),
            service: None,
            name: None,
            gateway: Vec::new(),
            issuer: None,
            zone: None,
            dry_run: true,
            output: None,
            wait: Wait { wait: false, timeout: 600 },
        }
    }

    fn yaml(add: &Add, namespace: Option<&str>) -> String {
        let host = HostName::parse(&add.host).expect("a host");
        output::object(&add.manifest(&host, namespace), ObjectFormat::Yaml).expect("YAML")
    }

    #[test]
    fn the_shortest_host_is_short() {
        insta::assert_snapshot!(yaml(&add("shop.democluster.net"), None), @r"
        apiVersion: lamia.dev/v1alpha1
        kind: SecuredHost
        metadata:
          name: shop.democluster.net
        spec:
          host: shop.democluster.net
        ");
    }

    #[test]
    fn every_option_has_its_place() {
        let add = Add {
            service: Some("shop:9191".parse().expect("a port")),
            gateway: vec!["istio=ingressgateway".parse().expect("a label")],
            issuer: Some("staging".to_owned()),
            zone: Some("office".to_owned()),
            ..add("*.democluster.net")
        };
        let text = yaml(&add, Some("vamp-demo"));
        insta::assert_snapshot!(text, @r#"
        apiVersion: lamia.dev/v1alpha1
        kind: SecuredHost
        metadata:
          name: wildcard.democluster.net
          namespace: vamp-demo
        spec:
          backend:
            port: 9191
            service: shop
          certificate:
            issuerRef:
              name: staging
          dns:
            zone: office
          gateways:
          - selector:
              istio: ingressgateway
          host: "*.democluster.net"
        "#);
        let read: SecuredHost = serde_saphyr::from_str(&text).expect("a SecuredHost");
        assert_eq!(read.spec.gateways[0].selector["istio"], "ingressgateway");
    }

    #[test]
    fn services_and_labels_are_read_with_care() {
        assert_eq!("shop:9191".parse(), Ok(ServicePort { service: "shop".to_owned(), port: 9191 }));
        for wrong in ["shop", ":9191", "shop:", "shop:0", "shop:99999"] {
            assert!(wrong.parse::<ServicePort>().is_err(), "{wrong}");
        }
        assert_eq!("a=b=c".parse(), Ok(Label { key: "a".to_owned(), value: "b=c".to_owned() }));
        assert!("=b".parse::<Label>().is_err());
    }
}
