//! Servers of Gateways as Envoy's listeners: one a port, a filter chain for each TLS server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::hosts::ServerHost;
use super::objects::{Gateway, Server, ServerTls};
use super::routes::{Hosts, Routes};
use super::secrets::{Part, client_ca, reference, usable};
use super::{Objects, Surroundings};

/// The port that plain HTTP is sent to by `httpsRedirect`.
const HTTPS: u16 = 443;

/// What a port serves so far.
#[derive(Default)]
struct Port {
    /// The hosts of TLS servers: each belongs to one.
    taken: BTreeSet<String>,
    chains: Vec<Value>,
    /// The one route table of plain HTTP, if any server has it.
    plain: Option<Hosts>,
}

/// The listeners of all Gateways, which come oldest first.
pub(super) fn listeners(
    gateways: &[&Gateway],
    objects: &Objects,
    surroundings: &Surroundings,
    routes: &Routes<'_>,
    problems: &mut Vec<String>,
) -> Vec<Value> {
    let mut ports: BTreeMap<u16, Port> = BTreeMap::new();
    for gateway in gateways {
        for server in &gateway.spec.servers {
            let number = server.port.number;
            if !surroundings.ports.contains_key(&number) {
                problems.push(format!("Gateway {}: port {number} is not listened on here", gateway.metadata.key));
                continue;
            }
            let builder = ServerBuilder { gateway, server, objects, surroundings, routes };
            if let Err(problem) = builder.add_to(ports.entry(number).or_default()) {
                problems.push(format!("Gateway {}: {problem}", gateway.metadata.key));
            }
        }
    }
    let served = ports.into_iter().filter(|(_, port)| port.plain.is_some() || !port.chains.is_empty());
    served
        .filter_map(|(number, port)| Some(listener(number, *surroundings.ports.get(&number)?, surroundings, port)))
        .collect()
}

fn listener(number: u16, real: u16, surroundings: &Surroundings, port: Port) -> Value {
    let mut chains = port.chains;
    if let Some(hosts) = &port.plain {
        chains.push(json!({"filters": [http_filter(&format!("http.{number}"), hosts)]}));
    }
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": number.to_string(),
        "address": {"socket_address": {"address": surroundings.listen, "port_value": real}},
        "listener_filters": [{
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
            },
        }],
        "filter_chains": chains,
    })
}

/// One server of one Gateway.
struct ServerBuilder<'a> {
    gateway: &'a Gateway,
    server: &'a Server,
    objects: &'a Objects,
    surroundings: &'a Surroundings,
    routes: &'a Routes<'a>,
}

impl ServerBuilder<'_> {
    /// Adds what the server serves to its port. The error says why it serves nothing, or not all.
    fn add_to(&self, port: &mut Port) -> Result<(), String> {
        let protocol = self.server.port.protocol.to_ascii_uppercase();
        match (protocol.as_str(), &self.server.tls) {
            ("HTTP" | "HTTP2" | "GRPC", tls) => {
                self.add_plain(port.plain.get_or_insert_default(), tls.as_ref());
                Ok(())
            }
            ("HTTPS", Some(tls)) if matches!(tls.mode.as_str(), "SIMPLE" | "MUTUAL") => self.add_tls(port, tls),
            (_, tls) => {
                let mode = tls.as_ref().map_or("none", |tls| tls.mode.as_str());
                Err(format!("protocol {protocol} with TLS mode {mode} is not played"))
            }
        }
    }

    fn hosts(&self) -> Vec<ServerHost<'_>> {
        let namespace = &self.gateway.metadata.key.namespace;
        self.server.hosts.iter().map(|host| ServerHost::read(host, namespace)).collect()
    }

    fn add_plain(&self, table: &mut Hosts, tls: Option<&ServerTls>) {
        if tls.is_some_and(|tls| tls.https_redirect) {
            let redirect = json!({"match": {"prefix": "/"}, "redirect": self.to_https()});
            for host in self.hosts() {
                table.entry(host.host.to_owned()).or_insert_with(|| vec![redirect.clone()]);
            }
            return;
        }
        for (host, routes) in self.routes.bound(self.gateway, &self.hosts()) {
            table.entry(host).or_default().extend(routes);
        }
    }

    /// To where HTTPS really is: the port is said only where it is not the usual one.
    fn to_https(&self) -> Value {
        match self.surroundings.ports.get(&HTTPS) {
            Some(real) if *real != HTTPS => json!({"https_redirect": true, "port_redirect": real}),
            _ => json!({"https_redirect": true}),
        }
    }

    fn add_tls(&self, port: &mut Port, tls: &ServerTls) -> Result<(), String> {
        let credential = &tls.credential_name;
        if usable(self.objects, credential).is_none() {
            let namespace = &self.surroundings.gateway_namespace;
            return Err(format!("no Secret {credential} with tls.crt and tls.key in namespace {namespace}"));
        }
        let context = self.tls_context(tls)?;
        let (free, taken): (Vec<_>, Vec<_>) =
            self.hosts().into_iter().partition(|host| !port.taken.contains(host.host));
        port.taken.extend(free.iter().map(|host| host.host.to_owned()));
        if !free.is_empty() {
            port.chains.push(self.chain(&free, &context));
        }
        let taken: Vec<&str> = taken.iter().map(|host| host.host).collect();
        if taken.is_empty() { Ok(()) } else { Err(format!("an older Gateway serves {}", taken.join(", "))) }
    }

    fn chain(&self, hosts: &[ServerHost<'_>], context: &Value) -> Value {
        let key = &self.gateway.metadata.key;
        let name = format!("https.{}.{}.{}", self.server.port.number, key.namespace, key.name);
        let names: BTreeSet<&str> = hosts.iter().map(|host| host.host).collect();
        let matched =
            if names.contains("*") { json!({"transport_protocol": "tls"}) } else { json!({"server_names": names}) };
        json!({
            "filter_chain_match": matched,
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
            "filters": [http_filter(&name, &self.routes.bound(self.gateway, hosts))],
        })
    }

    fn tls_context(&self, tls: &ServerTls) -> Result<Value, String> {
        let directory = &self.surroundings.secrets_directory;
        let mut common = json!({
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": tls_version(&tls.min_protocol_version, "TLSv1_2")?},
            "tls_certificate_sds_secret_configs": [reference(directory, &tls.credential_name, Part::Certificate)],
        });
        if !tls.max_protocol_version.is_empty() {
            common["tls_params"]["tls_maximum_protocol_version"] =
                json!(tls_version(&tls.max_protocol_version, "TLS_AUTO")?);
        }
        let mutual = tls.mode == "MUTUAL";
        if mutual {
            if client_ca(self.objects, &tls.credential_name).is_none() {
                return Err(format!("MUTUAL needs ca.crt in the Secret {0}, or in {0}-cacert", tls.credential_name));
            }
            common["validation_context_sds_secret_config"] = reference(directory, &tls.credential_name, Part::ClientCa);
        }
        Ok(json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": mutual,
            "common_tls_context": common,
        }))
    }
}

fn tls_version(istio: &str, default: &'static str) -> Result<&'static str, String> {
    Ok(match istio {
        "" | "TLS_AUTO" => default,
        "TLSV1_0" => "TLSv1_0",
        "TLSV1_1" => "TLSv1_1",
        "TLSV1_2" => "TLSv1_2",
        "TLSV1_3" => "TLSv1_3",
        other => return Err(format!("no TLS version is called {other}")),
    })
}

/// The HTTP side of a chain. A name that is not in the table answers 404.
fn http_filter(name: &str, hosts: &Hosts) -> Value {
    let virtual_host =
        |(host, routes): (&String, &Vec<Value>)| json!({"name": host, "domains": [host], "routes": routes});
    let virtual_hosts: Vec<Value> = hosts.iter().map(virtual_host).collect();
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "route_config": {
                "name": name,
                "virtual_hosts": virtual_hosts,
                // A port other than 443 is in the Host header here.
                "ignore_port_in_host_matching": true,
                "validate_clusters": false,
            },
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }],
        },
    })
}
