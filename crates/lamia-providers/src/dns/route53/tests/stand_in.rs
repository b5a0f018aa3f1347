//! A strict stand-in of Route 53 and STS: it takes what their API references describe and nothing else, keeps zones, and
//! answers with the documented bodies. What it does not check is the signature itself.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::identity::{pod_identity, sts, web_identity};
use super::records::{Refusal, Set, change_batch};
use super::xml::{Element, NAMESPACE, escape};
use crate::dns::route53::{Route53, Route53Config, Route53Credential};
use crate::secret::Secret;

/// The access key that the stand-in knows.
pub(super) const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(super) const SECRET: &str = "sesame/wJalrXUtnFEMI";
/// The one that it gives to whoever takes on the role.
pub(super) const ROLE_KEY: &str = "ASIAIOSFODNN7EXAMPLE";
pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/lamia-dns";

/// What goes wrong once, at the next request of an operation.
pub(super) enum Fault {
    /// Refused with this status and body, nothing done.
    Refused(u16, String),
    /// Done, and then the answer is lost: a proxy says 502.
    Lost,
    /// Done by somebody else just before.
    Meanwhile(Box<dyn FnOnce(&mut State) + Send>),
}

/// One request that came in.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) operation: &'static str,
    pub(super) key: String,
    /// ResourceRecord elements and characters of values in it.
    pub(super) weight: (usize, usize),
}

pub(super) struct Zone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) private: bool,
    pub(super) comment: String,
    pub(super) sets: Vec<Set>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) zones: Vec<Zone>,
    pub(super) seen: Vec<Seen>,
    pub(super) page: usize,
    /// How often a change is still pending when asked for.
    pub(super) pending: usize,
    faults: BTreeMap<&'static str, Vec<Fault>>,
    references: HashSet<String>,
    made: usize,
}

/// The stand-in, and its server.
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
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State { page: 300, ..State::default() }));
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Responder(Arc::clone(&state))).mount(&server).await;
        Self { server, state }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    pub(super) fn config(&self) -> Route53Config {
        config(&self.server.uri())
    }

    pub(super) fn provider(&self) -> Route53 {
        provider(&self.config())
    }

    /// How many requests of this operation came in.
    pub(super) fn count(&self, operation: &str) -> usize {
        self.lock().seen.iter().filter(|seen| seen.operation == operation).count()
    }

    pub(super) fn fail(&self, operation: &'static str, fault: Fault) {
        self.lock().faults.entry(operation).or_default().push(fault);
    }
}

pub(super) fn config(endpoint: &str) -> Route53Config {
    let file = format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    Route53Config {
        region: None,
        credential: Route53Credential::File(Secret::new(file)),
        assume_role_arn: None,
        external_id: None,
        endpoint: Some(endpoint.to_owned()),
        allow_private: true,
    }
}

/// Without Route 53's budget of requests: tests would wait for it.
pub(super) fn provider(config: &Route53Config) -> Route53 {
    Route53::with_budget(config, |_| crate::dns::budget::Budget::unlimited()).expect("a provider")
}

/// An error as all of AWS' XML services wrap it.
pub(super) fn error(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{}</Message></Error><RequestId>7d9e9b1c-0000-4000-8000-000000000000</RequestId></ErrorResponse>",
        escape(message)
    )
}

pub(super) fn xml(status: u16, body: String) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "text/xml")
}

fn refused(refusal: Refusal) -> ResponseTemplate {
    match refusal {
        Refusal::Error(status, code, message) => xml(status, error(code, &message)),
        Refusal::Batch(messages) => {
            let messages: String =
                messages.iter().map(|message| format!("<Message>{}</Message>", escape(message))).collect();
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<InvalidChangeBatch xmlns=\"{NAMESPACE}\"><Messages>{messages}\
                 </Messages><RequestId>7d9e9b1c-0000-4000-8000-000000000001</RequestId></InvalidChangeBatch>"
            );
            xml(400, body)
        }
    }
}

fn answer(root: &str, inner: &str) -> ResponseTemplate {
    xml(200, format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{NAMESPACE}\">{inner}</{root}>"))
}

pub(super) type Answer = Result<ResponseTemplate, Refusal>;

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::Error(400, "InvalidInput", message.into())
}

/// What a path and method ask for, and the zone or change that they name.
fn route(request: &Request) -> Option<(&'static str, String)> {
    let path: Vec<&str> = request.url.path().split('/').skip(1).collect();
    let route = match (request.method.as_str(), &path[..]) {
        ("POST", [""]) => ("STS", ""),
        ("GET", ["2013-04-01", "hostedzone"]) => ("ListHostedZones", ""),
        ("POST", ["2013-04-01", "hostedzone"]) => ("CreateHostedZone", ""),
        ("GET", ["2013-04-01", "hostedzonesbyname"]) => ("ListHostedZonesByName", ""),
        ("GET", ["2013-04-01", "hostedzone", id]) => ("GetHostedZone", *id),
        ("DELETE", ["2013-04-01", "hostedzone", id]) => ("DeleteHostedZone", *id),
        ("GET", ["2013-04-01", "hostedzone", id, "rrset"]) => ("ListResourceRecordSets", *id),
        ("POST", ["2013-04-01", "hostedzone", id, "rrset" | "rrset/"]) => ("ChangeResourceRecordSets", *id),
        ("POST", ["2013-04-01", "hostedzone", id, "rrset", ""]) => ("ChangeResourceRecordSets", *id),
        ("GET", ["2013-04-01", "change", id]) => ("GetChange", *id),
        _ => return None,
    };
    Some((route.0, route.1.to_owned()))
}

/// The access key id in `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, Signature=…`.
fn signer(request: &Request, service: &str) -> Option<String> {
    request.headers.get("x-amz-date")?;
    let header = request.headers.get("authorization")?.to_str().ok()?;
    let scope = header.strip_prefix("AWS4-HMAC-SHA256 Credential=")?.split(',').next()?;
    match scope.split('/').collect::<Vec<_>>()[..] {
        [key, _, "us-east-1", of, "aws4_request"] if of == service && header.contains("Signature=") => {
            Some(key.to_owned())
        }
        _ => None,
    }
}

impl State {
    pub(super) fn add(&mut self, name: &str, private: bool) -> String {
        self.made += 1;
        let id = format!("Z{:020}", self.made);
        let name = format!("{name}.");
        let servers = [1, 2, 3, 4].map(|shard| format!("ns-{shard}.awsdns-0{shard}.example.")).to_vec();
        let sets = vec![
            Set::plain(&name, "NS", 172_800, &servers),
            Set::plain(
                &name,
                "SOA",
                900,
                &["ns-1.awsdns-01.example. hostmaster.example. 1 7200 900 1209600 86400".into()],
            ),
        ];
        self.zones.push(Zone { id: id.clone(), name, private, comment: String::new(), sets });
        id
    }

    pub(super) fn zone(&mut self, id: &str) -> &mut Zone {
        self.zones.iter_mut().find(|zone| zone.id == id).expect("a zone")
    }

    fn respond(&mut self, request: &Request) -> ResponseTemplate {
        if request.url.path() == "/pod-identity" {
            return pod_identity(request);
        }
        let Some((operation, id)) = route(request) else {
            return xml(404, error("UnknownOperationException", request.url.path()));
        };
        if operation == "STS"
            && let Some(answer) = web_identity(&request.body)
        {
            return answer;
        }
        let service = if operation == "STS" { "sts" } else { "route53" };
        let Some(key) = signer(request, service) else {
            return xml(403, error("MissingAuthenticationToken", "Missing Authentication Token"));
        };
        if ![KEY, ROLE_KEY].contains(&key.as_str()) {
            return xml(403, error("InvalidClientTokenId", "The security token included in the request is invalid."));
        }
        self.seen.push(Seen { operation, key, weight: (0, 0) });
        let fault = self.faults.get_mut(operation).filter(|faults| !faults.is_empty()).map(|faults| faults.remove(0));
        let lost = match fault {
            Some(Fault::Refused(status, body)) => return xml(status, body),
            Some(Fault::Meanwhile(change)) => {
                change(self);
                false
            }
            Some(Fault::Lost) => true,
            None => false,
        };
        let answered = self.answer(operation, &id, request).unwrap_or_else(refused);
        match lost {
            true => ResponseTemplate::new(502).set_body_raw("<html><body>Bad Gateway</body></html>", "text/html"),
            false => answered,
        }
    }

    fn answer(&mut self, operation: &str, id: &str, request: &Request) -> Answer {
        let body = std::str::from_utf8(&request.body).map_err(|_| invalid("no text"))?;
        let query: BTreeMap<String, String> = request.url.query_pairs().into_owned().collect();
        let allowed: &[&str] = match operation {
            "ListHostedZones" => &["marker", "maxitems"],
            "ListHostedZonesByName" => &["dnsname", "hostedzoneid", "maxitems"],
            "ListResourceRecordSets" => &["name", "type", "identifier", "maxitems"],
            _ => &[],
        };
        if let Some(unknown) = query.keys().find(|key| !allowed.contains(&key.as_str())) {
            return Err(invalid(format!("the parameter {unknown}")));
        }
        let has_body = ["CreateHostedZone", "ChangeResourceRecordSets", "STS"].contains(&operation);
        if has_body == body.is_empty() {
            return Err(invalid("a body where none belongs, or none where one does"));
        }
        if let Some(items) = query.get("maxitems") {
            let most = if operation == "ListResourceRecordSets" { 300 } else { 100 };
            if !items.parse::<u32>().is_ok_and(|items| (1..=most).contains(&items)) {
                return Err(invalid("maxitems"));
            }
        }
        match operation {
            "STS" => sts(body),
            "ListHostedZones" => self.list(query.get("marker")),
            "ListHostedZonesByName" => self.list_by_name(&query),
            "CreateHostedZone" => self.create(body),
            "GetChange" => Ok(self.change_status(id)),
            _ => {
                let missing = || Refusal::Error(404, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}"));
                let position = self.zones.iter().position(|zone| zone.id == id).ok_or_else(missing)?;
                match operation {
                    "GetHostedZone" => Ok(answer("GetHostedZoneResponse", &self.zones[position].with_servers())),
                    "DeleteHostedZone" => self.delete(position),
                    "ListResourceRecordSets" => Ok(self.records(position, &query)),
                    _ => self.change(position, body),
                }
            }
        }
    }

    fn list(&self, marker: Option<&String>) -> Answer {
        let from = match marker {
            Some(marker) => {
                self.zones.iter().position(|zone| zone.id == *marker).ok_or_else(|| invalid("the marker"))?
            }
            None => 0,
        };
        let page = self.page.min(100);
        let zones: String = self.zones.iter().skip(from).take(page).map(Zone::xml).collect();
        let next = self.zones.get(from + page).map(|zone| format!("<NextMarker>{}</NextMarker>", zone.id));
        let inner = format!(
            "<HostedZones>{zones}</HostedZones><Marker>{}</Marker><IsTruncated>{}</IsTruncated>{}<MaxItems>{page}</MaxItems>",
            marker.map_or("", String::as_str),
            next.is_some(),
            next.unwrap_or_default()
        );
        Ok(answer("ListHostedZonesResponse", &inner))
    }

    fn list_by_name(&self, query: &BTreeMap<String, String>) -> Answer {
        let from = query.get("dnsname").ok_or_else(|| invalid("dnsname"))?;
        let mut zones: Vec<&Zone> = self.zones.iter().filter(|zone| order(&zone.name) >= order(from)).collect();
        zones.sort_by_key(|zone| (order(&zone.name), zone.id.clone()));
        let listed: String = zones.iter().take(100).map(|zone| zone.xml()).collect();
        let inner = format!(
            "<HostedZones>{listed}</HostedZones><DNSName>{from}</DNSName><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>"
        );
        Ok(answer("ListHostedZonesByNameResponse", &inner))
    }

    fn create(&mut self, body: &str) -> Answer {
        let request = Element::parse(body).map_err(invalid)?;
        request.only(&["Name", "CallerReference", "HostedZoneConfig"]).map_err(invalid)?;
        let name = request.one("Name").map_err(invalid)?.text.trim_end_matches('.').to_owned();
        let reference = &request.one("CallerReference").map_err(invalid)?.text;
        if reference.is_empty() || reference.len() > 128 {
            return Err(invalid("CallerReference has 1 to 128 characters"));
        }
        if !self.references.insert(reference.clone()) {
            let message = "A hosted zone has already been created with the specified caller reference.";
            return Err(Refusal::Error(409, "HostedZoneAlreadyExists", message.into()));
        }
        let config = request.one("HostedZoneConfig").map_err(invalid)?;
        config.only(&["Comment"]).map_err(invalid)?;
        let comment = config.one("Comment").map_err(invalid)?.text.clone();
        let id = self.add(&name, false);
        self.zone(&id).comment = comment;
        let inner = format!("{}{}", self.zone(&id).with_servers(), change_info("C0", "PENDING"));
        let template =
            xml(201, format!("<CreateHostedZoneResponse xmlns=\"{NAMESPACE}\">{inner}</CreateHostedZoneResponse>"));
        Ok(template.insert_header("Location", format!("https://route53.amazonaws.com/2013-04-01/hostedzone/{id}")))
    }

    fn delete(&mut self, position: usize) -> Answer {
        let zone = &self.zones[position];
        if zone.sets.iter().any(|set| set.name != zone.name || !["NS", "SOA"].contains(&set.rtype.as_str())) {
            let message =
                "The specified hosted zone contains non-required resource record sets and so cannot be deleted.";
            return Err(Refusal::Error(400, "HostedZoneNotEmpty", message.into()));
        }
        self.zones.remove(position);
        Ok(answer("DeleteHostedZoneResponse", &change_info("C1", "PENDING")))
    }

    fn change_status(&mut self, id: &str) -> ResponseTemplate {
        let status = if self.pending > 0 { "PENDING" } else { "INSYNC" };
        self.pending = self.pending.saturating_sub(1);
        answer("GetChangeResponse", &change_info(id, status))
    }

    fn records(&self, position: usize, query: &BTreeMap<String, String>) -> ResponseTemplate {
        let zone = &self.zones[position];
        let mut sets: Vec<&Set> = zone.sets.iter().collect();
        sets.sort_by_cached_key(|set| place(&set.name, &set.rtype, &set.identifier));
        let parameter = |name: &str| query.get(name).map_or("", String::as_str);
        let from = place(parameter("name"), parameter("type"), parameter("identifier"));
        let first = sets.partition_point(|set| place(&set.name, &set.rtype, &set.identifier) < from);
        let mut rest = sets.into_iter().skip(first);
        let page: String = rest.by_ref().take(self.page).map(Set::xml).collect();
        let next = rest.next().map(|set| {
            let identifier = match set.identifier.as_str() {
                "" => String::new(),
                other => format!("<NextRecordIdentifier>{other}</NextRecordIdentifier>"),
            };
            format!(
                "<NextRecordName>{}</NextRecordName><NextRecordType>{}</NextRecordType>{identifier}",
                set.name, set.rtype
            )
        });
        let inner = format!(
            "<ResourceRecordSets>{page}</ResourceRecordSets><IsTruncated>{}</IsTruncated>{}<MaxItems>300</MaxItems>",
            next.is_some(),
            next.unwrap_or_default()
        );
        answer("ListResourceRecordSetsResponse", &inner)
    }

    fn change(&mut self, position: usize, body: &str) -> Answer {
        let zone = &mut self.zones[position];
        let (weight, sets) = change_batch(body, &zone.name, &zone.sets)?;
        zone.sets = sets;
        if let Some(seen) = self.seen.last_mut() {
            seen.weight = weight;
        }
        Ok(answer("ChangeResourceRecordSetsResponse", &change_info("C2682N5HXP0BZ4", "PENDING")))
    }
}

/// Route 53's order: labels from the right, then types, then identifiers.
fn place(name: &str, rtype: &str, identifier: &str) -> (Vec<String>, String, String) {
    (order(name), rtype.to_owned(), identifier.to_owned())
}

fn order(name: &str) -> Vec<String> {
    let name = name.trim_end_matches('.').replace('*', "\\052").to_ascii_lowercase();
    name.rsplit('.').map(str::to_owned).collect()
}

fn change_info(id: &str, status: &str) -> String {
    format!(
        "<ChangeInfo><Id>/change/{id}</Id><Status>{status}</Status><SubmittedAt>2026-11-22T10:00:00.000Z</SubmittedAt></ChangeInfo>"
    )
}

impl Zone {
    fn xml(&self) -> String {
        format!(
            "<HostedZone><Id>/hostedzone/{}</Id><Name>{}</Name><CallerReference>somebody</CallerReference><Config><Comment>{}\
             </Comment><PrivateZone>{}</PrivateZone></Config><ResourceRecordSetCount>{}</ResourceRecordSetCount></HostedZone>",
            self.id,
            self.name,
            escape(&self.comment),
            self.private,
            self.sets.len()
        )
    }

    fn with_servers(&self) -> String {
        let of_apex = self.sets.iter().filter(|set| set.name == self.name && set.rtype == "NS");
        let servers: String =
            of_apex.flat_map(|set| &set.values).map(|server| format!("<NameServer>{server}</NameServer>")).collect();
        let servers = format!("<DelegationSet><NameServers>{servers}</NameServers></DelegationSet>");
        format!("{}{}", self.xml(), if self.private { String::new() } else { servers })
    }
}
