//! Cloudflare's API v4 as its reference describes it. Requests are read into strict types: what they do not know is refused.

use std::collections::BTreeMap;

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};

use super::record::{self, Record};
use crate::standin::{Api, Call, Reply};

pub(crate) const TOKEN: &str = "v1_0-open-sesame-0123456789abcdefghijklm";
pub(crate) const TOKEN_ID: &str = "ed17574386854bf78a67040be0a770b0";
pub(crate) const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
/// What one batch takes on the free plan.
const BATCH: usize = 200;

/// An error body: status, code, message.
pub(crate) fn error(status: u16, code: u32, message: &str) -> Reply {
    let errors = json!([{"code": code, "message": message}]);
    Reply::json(status, &json!({"result": null, "success": false, "errors": errors, "messages": []}))
}

fn good(result: &Value) -> Reply {
    Reply::json(200, &json!({"result": result, "success": true, "errors": [], "messages": []}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewZone {
    name: String,
    account: Account,
    #[serde(rename = "type")]
    kind: Kind,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Full,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    #[serde(default)]
    deletes: Vec<Id>,
    #[serde(default)]
    patches: Vec<Record>,
    #[serde(default)]
    puts: Vec<Record>,
    #[serde(default)]
    posts: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Id {
    id: String,
}

/// A zone: what is told of it, and its records.
pub(crate) struct Zone {
    pub(crate) told: Value,
    pub(crate) records: Vec<Value>,
}

/// What one token sees.
pub(crate) struct Cloudflare {
    pub(crate) zones: BTreeMap<String, Zone>,
    /// The largest page.
    pub(crate) page: usize,
    /// How many records a zone holds by its plan.
    pub(crate) quota: usize,
    /// Whether the token was revoked.
    pub(crate) revoked: bool,
    /// Whether the token is the account's, not a user's.
    pub(crate) of_account: bool,
    /// Whether a zone that is not there is called forbidden.
    pub(crate) hides: bool,
    ids: u64,
}

impl Cloudflare {
    pub(crate) fn new() -> Self {
        let zones = BTreeMap::new();
        Self { zones, page: 700, quota: 20_000, revoked: false, of_account: false, hides: false, ids: 0 }
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("{:032x}", self.ids)
    }

    /// A zone that somebody else made.
    pub(crate) fn add_zone(&mut self, name: &str) -> &mut Zone {
        let id = self.id();
        let told = json!({
            "id": id, "name": name, "status": "pending", "paused": false, "type": "full", "development_mode": 0,
            "name_servers": ["bob.ns.cloudflare.com", "ada.ns.cloudflare.com"], "original_name_servers": null,
            "account": {"id": ACCOUNT, "name": "Acme"}, "plan": {"id": "free", "name": "Free Website", "legacy_id": "free"},
        });
        self.zones.entry(id).insert_entry(Zone { told, records: Vec::new() }).into_mut()
    }

    fn admit(&self, call: &Call) -> Result<(), Reply> {
        let bearer = call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let known = bearer.is_some_and(|bearer| bearer == format!("Bearer {TOKEN}"));
        match (known && !self.revoked, call.path.as_str()) {
            (true, "/user/tokens/verify") if self.of_account => Err(error(401, 1000, "Invalid API Token")),
            (true, _) => Ok(()),
            (false, path) if path.ends_with("/tokens/verify") => Err(error(401, 1000, "Invalid API Token")),
            (false, _) => Err(error(403, 9109, "Invalid access token")),
        }
    }

    fn api(&mut self, call: &Call) -> Result<Reply, Reply> {
        self.admit(call)?;
        let writes = call.method == Method::POST;
        let json = call.headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
        if writes != json || writes == call.body.is_empty() {
            return Err(error(400, 9207, "Content-type must be application/json."));
        }
        let path: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        let allowed: &[&str] = match (call.method.as_str(), &path[..]) {
            ("GET", ["zones"]) => &["name", "account.id", "page", "per_page"],
            ("GET", ["zones", _, "dns_records"]) => &["name.exact", "page", "per_page"],
            _ => &[],
        };
        if let Some(unknown) = call.query.keys().find(|name| !allowed.contains(&name.as_str())) {
            return Err(error(400, 1004, &format!("unknown parameter {unknown}")));
        }
        match (call.method.as_str(), &path[..]) {
            ("GET", ["user", "tokens", "verify"] | ["accounts", ACCOUNT, "tokens", "verify"]) => {
                Ok(good(&json!({"id": TOKEN_ID, "status": "active"})))
            }
            ("GET", ["zones"]) => self.list_zones(call),
            ("POST", ["zones"]) => self.create_zone(&call.body),
            (_, ["zones", id, ..]) if !self.zones.contains_key(*id) => Err(match self.hides {
                true => error(403, 10000, "Authentication error"),
                false => error(
                    404,
                    7003,
                    &format!("Could not route to /zones/{id}, perhaps your object identifier is invalid?"),
                ),
            }),
            ("GET", ["zones", id]) => Ok(good(&self.zones[*id].told)),
            ("DELETE", ["zones", id]) => {
                self.zones.remove(*id);
                Ok(good(&json!({"id": id})))
            }
            ("GET", ["zones", id, "dns_records"]) => self.list_records(id, call),
            ("GET", ["zones", id, "dns_records", "export"]) => Ok(self.export(id)),
            ("POST", ["zones", id, "dns_records"]) => {
                let record: Record = read(&call.body)?;
                self.write(id, Batch { deletes: vec![], patches: vec![], puts: vec![], posts: vec![record] })
            }
            ("POST", ["zones", id, "dns_records", "batch"]) => {
                let batch = read(&call.body)?;
                self.write(id, batch)
            }
            _ => Err(error(404, 7000, "No route for that URI")),
        }
    }

    fn list_zones(&self, call: &Call) -> Result<Reply, Reply> {
        let wanted = |field: &str, value: &Value| call.query.get(field).is_none_or(|wanted| value == wanted);
        let told = self.zones.values().map(|zone| &zone.told);
        let zones = told.filter(|told| wanted("name", &told["name"]) && wanted("account.id", &told["account"]["id"]));
        self.turn(&zones.collect::<Vec<_>>(), call, 50)
    }

    fn list_records(&self, id: &str, call: &Call) -> Result<Reply, Reply> {
        let wanted = |record: &&Value| call.query.get("name.exact").is_none_or(|name| record["name"] == *name);
        self.turn(&self.zones[id].records.iter().filter(wanted).collect::<Vec<_>>(), call, 5_000_000)
    }

    /// The zone as a zone file; without its records, which nobody reads from it.
    fn export(&self, id: &str) -> Reply {
        let name = self.zones[id].told["name"].as_str().expect("a name");
        let soa = format!(
            "{name}\t3600\tIN\tSOA\tbob.ns.cloudflare.com. dns.cloudflare.com. 2053592236 10000 2400 604800 3600"
        );
        let headers = vec![(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned())];
        Reply { status: 200, headers, body: format!(";; SOA Record\n{soa}\n") }
    }

    fn turn(&self, all: &[&Value], call: &Call, most: usize) -> Result<Reply, Reply> {
        let number = |name: &str| call.query.get(name).and_then(|text| text.parse::<usize>().ok());
        let (Some(page), Some(size)) = (number("page").filter(|page| *page > 0), number("per_page")) else {
            return Err(error(400, 1004, "page and per_page"));
        };
        if !(5..=most).contains(&size) {
            return Err(error(400, 1004, "per_page"));
        }
        let size = size.min(self.page);
        let shown: Vec<&&Value> = all.iter().skip((page - 1) * size).take(size).collect();
        let pages = all.len().div_ceil(size);
        let info = json!({"page": page, "per_page": size, "count": shown.len(), "total_count": all.len(), "total_pages": pages});
        let body = json!({"result": shown, "success": true, "errors": [], "messages": [], "result_info": info});
        Ok(Reply::json(200, &body))
    }

    fn create_zone(&mut self, body: &[u8]) -> Result<Reply, Reply> {
        let NewZone { name, account, kind: Kind::Full } = read(body)?;
        if account.id != ACCOUNT {
            let message = "Requires permission \"com.cloudflare.api.account.zone.create\" to create zones for the selected account";
            return Err(error(403, 0, message));
        }
        if name.ends_with(".invalid") {
            return Err(error(400, 1049, &format!("{name} is not a registered domain")));
        }
        if self.zones.values().any(|zone| zone.told["name"] == name) {
            return Err(error(400, 1061, &format!("{name} already exists")));
        }
        Ok(good(&self.add_zone(&name).told))
    }

    /// Deletes, then patches, puts and posts, in one transaction.
    fn write(&mut self, zone: &str, batch: Batch) -> Result<Reply, Reply> {
        let Batch { deletes, patches, puts, posts } = batch;
        let operations = deletes.len() + patches.len() + puts.len() + posts.len();
        if operations == 0 || operations > BATCH {
            return Err(error(400, 1004, "the number of operations"));
        }
        let name = self.zones[zone].told["name"].as_str().expect("a name").to_owned();
        let mut records = self.zones[zone].records.clone();
        let missing = || error(400, 81044, "Record does not exist.");
        for Id { id } in deletes {
            let at = records.iter().position(|record| record["id"] == id).ok_or_else(missing)?;
            records.remove(at);
        }
        for record in patches.into_iter().chain(puts) {
            let id = record.id.clone().ok_or_else(missing)?;
            let at = records.iter().position(|there| there["id"] == id).ok_or_else(missing)?;
            let mut changed = record.stored(&name, id)?;
            changed["comment"] = records[at]["comment"].clone();
            records[at] = changed;
        }
        for record in posts {
            let id = self.id();
            if record.id.is_some() {
                return Err(error(400, 1004, "a new record has no id"));
            }
            records.push(record.stored(&name, id)?);
        }
        record::consistent(&records)?;
        if records.len() > self.quota && records.len() > self.zones[zone].records.len() {
            return Err(error(400, 81045, "Record quota exceeded."));
        }
        self.zones.get_mut(zone).expect("the zone").records = records;
        Ok(good(&json!({"deletes": [], "patches": [], "puts": [], "posts": []})))
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|wrong| error(400, 9207, &format!("Request body is invalid: {wrong}")))
}

impl Api for Cloudflare {
    fn answer(&mut self, call: &Call) -> Reply {
        self.api(call).unwrap_or_else(|refused| refused)
    }
}
