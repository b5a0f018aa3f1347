//! A strict plug-in: it takes what the protocol's description has and nothing else, keeps endpoints, and can be told to have
//! the habits that real plug-ins have.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::dns::webhook::{Webhook, WebhookConfig};
use crate::secret::Secret;

pub(super) const MEDIA_TYPE: &str = "application/external.dns.webhook+json;version=1";

/// What a plug-in may do in its own way.
#[derive(Default)]
pub(super) struct Habits {
    /// TTLs are rounded up to this.
    pub(super) least_ttl: i64,
    /// Types that it leaves out when asked to adjust.
    pub(super) drops: Vec<&'static str>,
    /// It adds this to every endpoint.
    pub(super) adds: Option<Value>,
    /// It changes the targets of this type.
    pub(super) mangles: Option<&'static str>,
    /// It gives texts without quotes.
    pub(super) bare_texts: bool,
    /// It gives an endpoint for each target.
    pub(super) one_by_one: bool,
    /// It tells no TTL.
    pub(super) no_ttls: bool,
    /// It writes dots at the end of names.
    pub(super) dots: bool,
}

/// What goes wrong once, at the next request of this kind.
pub(super) enum Fault {
    Answers(ResponseTemplate),
    /// Done, and then the answer is lost: a proxy says 502.
    Lost,
    /// So many of the changes are done, then it fails.
    HalfWay(usize),
}

#[derive(Default)]
pub(super) struct State {
    pub(super) filter: Value,
    pub(super) endpoints: Vec<Value>,
    pub(super) habits: Habits,
    /// `METHOD /path` of each request.
    pub(super) seen: Vec<String>,
    faults: Vec<(&'static str, Fault)>,
}

pub(super) struct StandIn {
    pub(super) server: MockServer,
    state: Arc<Mutex<State>>,
}

struct Responder(Arc<Mutex<State>>);

impl Respond for Responder {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.0.lock().expect("not poisoned").respond(request)
    }
}

impl StandIn {
    pub(super) async fn start(filter: Value) -> Self {
        let state = Arc::new(Mutex::new(State { filter, ..State::default() }));
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Responder(Arc::clone(&state))).mount(&server).await;
        Self { server, state }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    pub(super) fn provider(&self) -> Webhook {
        Webhook::new(&config(&self.server.uri())).expect("a provider")
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.lock().seen.iter().filter(|seen| *seen == what).count()
    }

    pub(super) fn fail(&self, at: &'static str, fault: Fault) {
        self.lock().faults.push((at, fault));
    }
}

pub(super) fn config(url: &str) -> WebhookConfig {
    WebhookConfig {
        url: url.to_owned(),
        token: Some(Secret::new("open-sesame\n")),
        zones: Vec::new(),
        allow_private: true,
    }
}

pub(super) fn said(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body.to_string(), MEDIA_TYPE)
}

impl State {
    fn respond(&mut self, request: &Request) -> ResponseTemplate {
        let at = format!("{} {}", request.method, request.url.path());
        self.seen.push(at.clone());
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("authorization") != "Bearer open-sesame" {
            return ResponseTemplate::new(401);
        }
        if header("accept") != MEDIA_TYPE {
            return ResponseTemplate::new(406);
        }
        if request.method.as_str() == "POST" && header("content-type") != MEDIA_TYPE {
            return ResponseTemplate::new(415);
        }
        let fault = self.faults.iter().position(|(what, _)| *what == at).map(|position| self.faults.remove(position).1);
        let most = match fault {
            Some(Fault::Answers(answer)) => return answer,
            Some(Fault::HalfWay(most)) => most,
            Some(Fault::Lost) | None => usize::MAX,
        };
        let answered = self.answer(&at, &request.body, most);
        match (answered, &fault) {
            (_, Some(Fault::Lost)) => ResponseTemplate::new(502).set_body_raw("<html>Bad Gateway</html>", "text/html"),
            (_, Some(_)) => ResponseTemplate::new(500),
            (Ok(answer), None) => answer,
            (Err(wrong), None) => ResponseTemplate::new(400).set_body_string(wrong),
        }
    }

    fn answer(&mut self, at: &str, body: &[u8], most: usize) -> Result<ResponseTemplate, String> {
        let read = || serde_json::from_slice::<Value>(body).map_err(|error| error.to_string());
        match at {
            "GET /" => Ok(said(200, &self.filter)),
            "GET /records" => Ok(said(200, &Value::Array(self.listed()))),
            "POST /adjustendpoints" => {
                let asked = read()?;
                let asked = asked.as_array().ok_or("no list")?;
                asked.iter().try_for_each(check)?;
                Ok(said(200, &asked.iter().filter_map(|endpoint| self.adjusted(endpoint)).collect()))
            }
            "POST /records" => self.change(&read()?, most).map(|()| ResponseTemplate::new(204)),
            _ => Ok(ResponseTemplate::new(404)),
        }
    }

    fn listed(&self) -> Vec<Value> {
        let Habits { bare_texts, one_by_one, dots, .. } = self.habits;
        let mut listed = Vec::new();
        for endpoint in &self.endpoints {
            let mut endpoint = endpoint.clone();
            if let Some(fields) = endpoint.as_object_mut().filter(|_| self.habits.no_ttls) {
                fields.remove("recordTTL");
            }
            if dots {
                endpoint["dnsName"] = json!(format!("{}.", endpoint["dnsName"].as_str().unwrap_or_default()));
            }
            if bare_texts && endpoint["recordType"] == "TXT" {
                let bare =
                    |target: &Value| json!(target.as_str().unwrap_or_default().replace("\" \"", "").trim_matches('"'));
                endpoint["targets"] = endpoint["targets"].as_array().into_iter().flatten().map(bare).collect();
            }
            match endpoint["targets"].as_array().filter(|_| one_by_one).cloned() {
                Some(targets) => listed.extend(targets.into_iter().map(|target| {
                    let mut one = endpoint.clone();
                    one["targets"] = json!([target]);
                    one
                })),
                None => listed.push(endpoint),
            }
        }
        listed
    }

    fn adjusted(&self, endpoint: &Value) -> Option<Value> {
        let Habits { least_ttl, drops, adds, mangles, .. } = &self.habits;
        let rtype = endpoint["recordType"].as_str()?;
        if drops.contains(&rtype) {
            return None;
        }
        let mut endpoint = endpoint.clone();
        if let Some(ttl) = endpoint["recordTTL"].as_i64().filter(|ttl| ttl < least_ttl) {
            endpoint["recordTTL"] = json!(ttl.max(*least_ttl));
        }
        if let Some(property) = adds {
            endpoint["providerSpecific"] = json!([property]);
        }
        if *mangles == Some(rtype) {
            endpoint["targets"] = json!(["192.0.2.250"]);
        }
        Some(endpoint)
    }

    fn change(&mut self, changes: &Value, most: usize) -> Result<(), String> {
        let changes = changes.as_object().ok_or("no object")?;
        if let Some(unknown) =
            changes.keys().find(|key| !["create", "updateOld", "updateNew", "delete"].contains(&key.as_str()))
        {
            return Err(format!("the field {unknown}"));
        }
        let list = |name: &str| changes.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let (create, old, new, delete) = (list("create"), list("updateOld"), list("updateNew"), list("delete"));
        create.iter().chain(&old).chain(&new).chain(&delete).try_for_each(check)?;
        let paired = old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| key(old) == key(new));
        if !paired {
            return Err("updateOld and updateNew are not pairs".into());
        }
        let keys: Vec<_> = create.iter().chain(&new).map(key).collect();
        if keys.iter().collect::<BTreeSet<_>>().len() != keys.len() {
            return Err("an endpoint twice".into());
        }
        // In the order of external-dns' own providers.
        let steps = create.into_iter().map(|endpoint| (None, Some(endpoint)));
        let steps = steps.chain(old.into_iter().zip(new).map(|(old, new)| (Some(old), Some(new))));
        for (old, new) in steps.chain(delete.into_iter().map(|endpoint| (Some(endpoint), None))).take(most) {
            self.step(old.as_ref(), new)?;
        }
        Ok(())
    }

    fn step(&mut self, old: Option<&Value>, new: Option<Value>) -> Result<(), String> {
        if let Some(old) = old {
            // What is to go must be what stands, in the plug-in's own words.
            let standing = self.endpoints.iter().position(|endpoint| same(endpoint, old));
            let standing = standing.ok_or_else(|| format!("{old} is not there"))?;
            if self.endpoints[standing]["providerSpecific"] != old["providerSpecific"] {
                return Err(format!("{old} is not what was listed"));
            }
            self.endpoints.remove(standing);
        }
        let Some(new) = new else { return Ok(()) };
        let is_alias = |endpoint: &Value| endpoint["recordType"] == "CNAME";
        let name = key(&new)[0];
        let of_name = self.endpoints.iter().filter(|it| key_part(it, "dnsName") == name);
        for other in of_name {
            if same(other, &new) {
                return Err(format!("{new} is there already"));
            }
            if is_alias(other) || is_alias(&new) {
                return Err(format!("{new} can't stand beside {other}"));
            }
        }
        self.endpoints.push(new);
        Ok(())
    }
}

fn key(endpoint: &Value) -> [&str; 3] {
    ["dnsName", "recordType", "setIdentifier"].map(|name| key_part(endpoint, name))
}

fn key_part<'e>(endpoint: &'e Value, name: &str) -> &'e str {
    endpoint[name].as_str().unwrap_or_default().trim_end_matches('.')
}

fn same(one: &Value, other: &Value) -> bool {
    key(one) == key(other)
}

/// The schema of an endpoint.
fn check(endpoint: &Value) -> Result<(), String> {
    let fields = endpoint.as_object().ok_or("an endpoint is an object")?;
    for (name, value) in fields {
        let fits = match name.as_str() {
            "dnsName" | "recordType" | "setIdentifier" => value.as_str().is_some_and(|text| !text.is_empty()),
            "recordTTL" => value.as_i64().is_some_and(|ttl| ttl >= 0),
            "targets" => value.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_string)),
            "labels" => value.as_object().is_some_and(|all| all.values().all(Value::is_string)),
            "providerSpecific" => value
                .as_array()
                .is_some_and(|all| all.iter().all(|it| it["name"].is_string() && it["value"].is_string())),
            _ => false,
        };
        if !fits {
            return Err(format!("the field {name}: {value}"));
        }
    }
    let needed = ["dnsName", "recordType", "targets"].iter().all(|name| fields.contains_key(*name));
    if needed { Ok(()) } else { Err(format!("a field is missing: {endpoint}")) }
}
