//! Cloud DNS v1 as its discovery document and its page of error messages describe it, and the token services beside it.
//! Requests are read into strict types: what they do not know is refused.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rrset::{self, Rrset};
use crate::standin::{Api, Call, Reply};

pub(crate) const PROJECT: &str = "acme-dns";
pub(crate) const KEY: &str = include_str!("../../src/dns/google/fixtures/service-account.json");
/// What the metadata server and the exchange of a federated token hand out.
pub(crate) const METADATA_TOKEN: &str = "ya29.from-the-metadata-server";
pub(crate) const FEDERATED_TOKEN: &str = "ya29.from-the-token-exchange";
pub(crate) const SUBJECT_TOKEN: &str = "eyJ.subject.token";
const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";

/// An error body: status, reason, message.
pub(crate) fn error(code: u16, reason: &str, message: &str) -> Reply {
    let detail = json!({"message": message, "domain": "global", "reason": reason});
    Reply::json(code, &json!({"error": {"code": code, "message": message, "errors": [detail]}}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewZone {
    name: String,
    dns_name: String,
    description: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    visibility: Option<Visibility>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    Public,
    Private,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewChange {
    #[serde(default)]
    additions: Vec<Rrset>,
    #[serde(default)]
    deletions: Vec<Rrset>,
}

/// A managed zone.
pub(crate) struct Zone {
    dns_name: String,
    labels: BTreeMap<String, String>,
    visibility: Visibility,
    /// What else the API tells of it.
    pub(crate) more: Value,
    /// By name and type; as JSON, because some have what no request may have.
    pub(crate) rrsets: BTreeMap<(String, String), Value>,
    /// How often each change was asked about.
    changes: Vec<u32>,
}

/// The project.
pub(crate) struct Google {
    pub(crate) zones: BTreeMap<String, Zone>,
    /// The largest page.
    pub(crate) page: usize,
    /// The quota of RRsets in a zone.
    pub(crate) rrsets_per_zone: usize,
    /// Whether the service account's key was deleted.
    pub(crate) revoked: bool,
    public_key: Vec<u8>,
}

impl Google {
    pub(crate) fn new() -> Self {
        let key: Value = serde_json::from_str(KEY).expect("JSON");
        let pem = key["private_key"].as_str().expect("a key");
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("an RSA key");
        let public_key = pair.public_key().as_ref().to_vec();
        Self { zones: BTreeMap::new(), page: 300, rrsets_per_zone: 10_000, revoked: false, public_key }
    }

    /// A zone that somebody else made.
    pub(crate) fn add_zone(&mut self, name: &str, dns_name: &str, public: bool) -> &mut Zone {
        let visibility = if public { Visibility::Public } else { Visibility::Private };
        let shard = char::from(b'a' + (self.zones.len() % 5) as u8);
        let server = |number: u8| format!("ns-cloud-{shard}{number}.googledomains.com.");
        let servers: Vec<String> = (1..=4).map(server).collect();
        let soa = format!("{} cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300", server(1));
        let mut rrsets = BTreeMap::new();
        for (rtype, rrdatas) in [("NS", servers.clone()), ("SOA", vec![soa])] {
            let rrset = json!({"kind": "dns#resourceRecordSet", "name": dns_name, "type": rtype, "ttl": 21600, "rrdatas": rrdatas});
            rrsets.insert((dns_name.to_owned(), rtype.to_owned()), rrset);
        }
        let more = json!({"description": "", "nameServers": servers});
        let zone =
            Zone { dns_name: dns_name.into(), labels: BTreeMap::new(), visibility, more, rrsets, changes: vec![] };
        self.zones.entry(name.to_owned()).insert_entry(zone).into_mut()
    }

    /// Whom the request is from; the answer to one who may not ask.
    fn admit(&self, call: &Call) -> Result<(), Reply> {
        let refused = || error(401, "authError", "Request had invalid authentication credentials.");
        let header = call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer ")).ok_or_else(refused)?;
        if self.revoked {
            return Err(refused());
        }
        if [METADATA_TOKEN, FEDERATED_TOKEN].contains(&token) {
            return Ok(());
        }
        self.signed(token).ok_or_else(refused)
    }

    /// A token that the service account signed itself (google.aip.dev/auth/4111): RS256, for an hour at most.
    fn signed(&self, token: &str) -> Option<()> {
        let (claimed, signature) = token.rsplit_once('.')?;
        let (header, claims) = claimed.split_once('.')?;
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public_key);
        key.verify(claimed.as_bytes(), &decode(signature)?).ok()?;
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        let claims: Value = serde_json::from_slice(&decode(claims)?).ok()?;
        let account: Value = serde_json::from_str(KEY).ok()?;
        let now = jiff::Timestamp::now().as_second();
        let (from, to) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
        let good = header["alg"] == "RS256"
            && header["kid"] == account["private_key_id"]
            && claims["iss"] == account["client_email"]
            && claims["sub"] == account["client_email"]
            && claims["scope"] == SCOPE
            && (from..to).contains(&now)
            && to - from <= 3700;
        good.then_some(())
    }

    fn api(&mut self, call: &Call) -> Result<Reply, Reply> {
        self.admit(call)?;
        let writes = call.method == Method::POST;
        let json = call.headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
        if writes != json || writes == call.body.is_empty() {
            return Err(error(400, "badRequest", "Only a POST has a body, and it is JSON."));
        }
        let root = format!("/dns/v1/projects/{PROJECT}");
        let Some(path) = call.path.strip_prefix(&root) else {
            return Err(error(403, "forbidden", "The caller does not have permission"));
        };
        let path: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
        let allowed: &[&str] = match (call.method.as_str(), &path[..]) {
            ("GET", ["managedZones"]) => &["maxResults", "pageToken", "dnsName"],
            ("GET", ["managedZones", _, "rrsets"]) => &["maxResults", "pageToken", "name", "type"],
            ("GET", ["managedZones", _, "changes"]) => &["maxResults", "pageToken", "sortBy", "sortOrder"],
            _ => &[],
        };
        if let Some(unknown) = call.query.keys().find(|name| !allowed.contains(&name.as_str())) {
            return Err(error(400, "invalidParameter", &format!("Unknown parameter '{unknown}'")));
        }
        match (call.method.as_str(), &path[..]) {
            ("GET", []) => Ok(project()),
            ("GET", ["managedZones"]) => self.list_zones(call),
            ("POST", ["managedZones"]) => self.create_zone(&call.body),
            (_, ["managedZones", name, ..]) if !self.zones.contains_key(*name) => {
                let message = format!("The 'parameters.managedZone' resource named '{name}' does not exist.");
                Err(error(404, "notFound", &message))
            }
            ("GET", ["managedZones", name]) => Ok(Reply::json(200, &self.zones[*name].shown(name))),
            ("DELETE", ["managedZones", name]) => self.delete_zone(name),
            ("GET", ["managedZones", name, "rrsets"]) => self.list_rrsets(name, call),
            ("POST", ["managedZones", name, "changes"]) => self.create_change(name, &call.body),
            ("GET", ["managedZones", name, "changes"]) => self.list_changes(name, call),
            ("GET", ["managedZones", name, "changes", id]) => self.change(name, id),
            _ => Err(error(404, "notFound", "Not Found")),
        }
    }

    fn list_zones(&self, call: &Call) -> Result<Reply, Reply> {
        let wanted = call.query.get("dnsName");
        if wanted.is_some_and(|name| !name.ends_with('.')) {
            return Err(error(400, "invalid", "Invalid value for 'parameters.dnsName'"));
        }
        let zones = self.zones.iter().filter(|(_, zone)| wanted.is_none_or(|name| zone.dns_name == *name));
        let zones: Vec<Value> = zones.map(|(name, zone)| zone.shown(name)).collect();
        self.turn("managedZones", &zones, call)
    }

    fn list_rrsets(&self, name: &str, call: &Call) -> Result<Reply, Reply> {
        let wanted = call.query.get("name");
        if wanted.is_some_and(|name| !name.ends_with('.')) {
            return Err(error(400, "invalid", "Invalid value for 'parameters.name'"));
        }
        let rrsets = self.zones[name].rrsets.iter();
        let rrsets = rrsets.filter(|((name, _), _)| wanted.is_none_or(|wanted| wanted == name));
        let rrsets: Vec<&Value> = rrsets.map(|(_, rrset)| rrset).collect();
        self.turn("rrsets", &rrsets, call)
    }

    fn list_changes(&self, name: &str, call: &Call) -> Result<Reply, Reply> {
        let asked = |field: &str| call.query.get(field).map(String::as_str);
        if asked("sortBy") != Some("changeSequence") || asked("sortOrder") != Some("descending") {
            return Err(error(400, "invalidParameter", "The stand-in knows only the newest first"));
        }
        let ids = (0..self.zones[name].changes.len()).rev();
        let told: Vec<Value> =
            ids.map(|id| json!({"kind": "dns#change", "id": id.to_string(), "status": "pending"})).collect();
        self.turn("changes", &told, call)
    }

    /// One page; its token says where the next one begins.
    fn turn(&self, what: &str, all: &[impl Serialize], call: &Call) -> Result<Reply, Reply> {
        let number = |name: &str| call.query.get(name).map(|text| text.parse::<usize>()).transpose();
        let most = number("maxResults").ok().flatten().filter(|most| (1..=1000).contains(most));
        let most = most.ok_or_else(|| error(400, "invalid", "Invalid value for 'parameters.maxResults'"))?;
        let from =
            number("pageToken").map_err(|_| error(400, "invalid", "Invalid value for 'parameters.pageToken'"))?;
        let from = from.unwrap_or(0);
        let to = (from + most.min(self.page)).min(all.len());
        let mut body = json!({"kind": format!("dns#{what}ListResponse"), what: all[from..to]});
        if to < all.len() {
            body["nextPageToken"] = json!(to.to_string());
        }
        Ok(Reply::json(200, &body))
    }

    fn create_zone(&mut self, body: &[u8]) -> Result<Reply, Reply> {
        let new: NewZone = read(body)?;
        let Some(description) = new.description else {
            let message = "The 'entity.managedZone.description' parameter is required but was missing.";
            return Err(error(400, "required", message));
        };
        let plain = |text: &str, more: &str| {
            text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || more.as_bytes().contains(&it))
        };
        let name = &new.name;
        let named = (1..=63).contains(&name.len())
            && name.starts_with(|it: char| it.is_ascii_lowercase())
            && !name.ends_with('-')
            && plain(name, "-");
        if !named {
            return Err(error(400, "invalid", "Invalid value for 'entity.managedZone.name'"));
        }
        if !new.dns_name.ends_with('.') || !plain(&new.dns_name, "-.") {
            return Err(error(400, "invalid", "Invalid value for 'entity.managedZone.dnsName'"));
        }
        if new.labels.iter().any(|(key, value)| !plain(key, "-_") || !plain(value, "-_")) {
            return Err(error(400, "invalid", "Invalid value for 'entity.managedZone.labels'"));
        }
        if self.zones.contains_key(name) {
            let message = format!("The resource 'entity.managedZone' named '{name}' already exists");
            return Err(error(409, "alreadyExists", &message));
        }
        let public = matches!(new.visibility, None | Some(Visibility::Public));
        let zone = self.add_zone(name, &new.dns_name, public);
        zone.labels = new.labels;
        zone.more["description"] = json!(description);
        Ok(Reply::json(200, &zone.shown(name)))
    }

    fn delete_zone(&mut self, name: &str) -> Result<Reply, Reply> {
        if self.zones[name].rrsets.len() > 2 {
            return Err(error(
                400,
                "containerNotEmpty",
                "The resource named cannot be deleted because it is not empty",
            ));
        }
        self.zones.remove(name);
        Ok(Reply::empty(204))
    }

    fn change(&mut self, name: &str, id: &str) -> Result<Reply, Reply> {
        let changes = &mut self.zones.get_mut(name).expect("a zone").changes;
        let asked = id.parse().ok().and_then(|id: usize| changes.get_mut(id)).ok_or_else(|| {
            error(404, "notFound", &format!("The 'parameters.changeId' resource named '{id}' does not exist."))
        })?;
        *asked += 1;
        let status = if *asked > 1 { "done" } else { "pending" };
        Ok(Reply::json(
            200,
            &json!({"kind": "dns#change", "id": id, "status": status, "startTime": "2026-11-22T10:00:00Z"}),
        ))
    }

    fn create_change(&mut self, name: &str, body: &[u8]) -> Result<Reply, Reply> {
        let NewChange { additions, deletions } = read(body)?;
        if additions.is_empty() && deletions.is_empty() {
            return Err(error(400, "required", "The 'entity.change' parameter is required but was missing."));
        }
        let quota = |what: &str| error(403, "quotaExceeded", &format!("The quota of {what} is exceeded"));
        if additions.len() > 1000 || deletions.len() > 1000 {
            return Err(quota("rrsetAdditionsPerChange or rrsetDeletionsPerChange"));
        }
        let octets: usize = additions.iter().chain(&deletions).flat_map(|rrset| &rrset.rrdatas).map(String::len).sum();
        if octets > 100_000 {
            return Err(quota("totalRrdataSizePerChange"));
        }
        let zone = self.zones.get_mut(name).expect("a zone");
        let mut result = zone.rrsets.clone();
        for (position, rrset) in deletions.iter().enumerate() {
            rrset::check(rrset, &zone.dns_name, &format!("entity.change.deletions[{position}]"))?;
            zone.delete(rrset, position, &mut result)?;
        }
        for (position, rrset) in additions.iter().enumerate() {
            let place = format!("entity.change.additions[{position}]");
            rrset::check(rrset, &zone.dns_name, &place)?;
            if result.insert(rrset.key(), rrset.shown()).is_some() {
                let message = format!("The resource '{place}' named '{} ({})' already exists", rrset.name, rrset.rtype);
                return Err(error(409, "alreadyExists", &message));
            }
        }
        rrset::consistent(&result, &zone.dns_name)?;
        if result.len() > self.rrsets_per_zone {
            return Err(quota("rrsetsPerManagedZone"));
        }
        zone.rrsets = result;
        zone.changes.push(0);
        let id = (zone.changes.len() - 1).to_string();
        Ok(Reply::json(
            200,
            &json!({"kind": "dns#change", "id": id, "status": "pending", "startTime": "2026-11-22T10:00:00Z"}),
        ))
    }

    /// The metadata server (cloud.google.com/compute/docs/metadata) and the exchange of tokens (RFC 8693).
    fn token(call: &Call) -> Option<Reply> {
        let token = |token: &str| json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"});
        match (call.method.as_str(), call.path.as_str()) {
            ("GET", "/computeMetadata/v1/instance/service-accounts/default/token") => {
                let known = call.headers.get("metadata-flavor").is_some_and(|value| value == "Google");
                let scoped = call.query.get("scopes").is_some_and(|scopes| scopes == SCOPE);
                Some(match known && scoped {
                    true => Reply::json(200, &token(METADATA_TOKEN)),
                    false => Reply::html(403),
                })
            }
            ("POST", "/v1/token") => {
                let form: BTreeMap<String, String> = url::form_urlencoded::parse(&call.body).into_owned().collect();
                let exchanges =
                    form.get("grant_type").is_some_and(|it| it == "urn:ietf:params:oauth:grant-type:token-exchange");
                let subject = form.get("subject_token").is_some_and(|it| it == SUBJECT_TOKEN);
                let scoped = form.get("scope").is_some_and(|it| it == SCOPE);
                let mut body = token(FEDERATED_TOKEN);
                body["issued_token_type"] = json!("urn:ietf:params:oauth:token-type:access_token");
                Some(match exchanges && subject && scoped {
                    true => Reply::json(200, &body),
                    false => {
                        Reply::json(400, &json!({"error": "invalid_grant", "error_description": "no such subject"}))
                    }
                })
            }
            _ => None,
        }
    }
}

impl Zone {
    fn shown(&self, name: &str) -> Value {
        let mut shown = self.more.clone();
        shown["kind"] = json!("dns#managedZone");
        shown["name"] = json!(name);
        shown["dnsName"] = json!(self.dns_name);
        shown["labels"] = json!(self.labels);
        shown["visibility"] = json!(self.visibility);
        shown
    }

    /// What is to go must stand there as it was said: the same TTL, the same data.
    fn delete(&self, rrset: &Rrset, at: usize, result: &mut BTreeMap<(String, String), Value>) -> Result<(), Reply> {
        let Some(standing) = self.rrsets.get(&rrset.key()) else {
            let named = format!("named '{} ({})'", rrset.name, rrset.rtype);
            let message = format!("The 'entity.change.deletions[{at}]' resource {named} does not exist.");
            return Err(error(404, "notFound", &message));
        };
        let data = |rrset: &Value| -> BTreeSet<String> {
            let texts = rrset["rrdatas"].as_array().into_iter().flatten();
            texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let told = rrset.shown();
        if standing["ttl"] != told["ttl"] || data(standing) != data(&told) || standing.get("routingPolicy").is_some() {
            return Err(error(
                412,
                "conditionNotMet",
                &format!("Precondition not met for 'entity.change.deletions[{at}]'"),
            ));
        }
        result.remove(&rrset.key());
        Ok(())
    }
}

fn project() -> Reply {
    let quota = json!({"kind": "dns#quota", "managedZones": 10000, "rrsetsPerManagedZone": 10000});
    Reply::json(200, &json!({"kind": "dns#project", "number": "123456789012", "id": PROJECT, "quota": quota}))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Reply> {
    serde_json::from_slice(body)
        .map_err(|wrong| error(400, "badRequest", &format!("Invalid JSON payload received. {wrong}")))
}

impl Api for Google {
    fn answer(&mut self, call: &Call) -> Reply {
        Self::token(call).unwrap_or_else(|| self.api(call).unwrap_or_else(|refused| refused))
    }
}
