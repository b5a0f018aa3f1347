//! VirtualServices as route tables.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::clusters::Cluster;
use super::hosts::ServerHost;
use super::objects::{Gateway, HttpMatch, HttpRoute, Key, StringMatch, VirtualService};
use super::{Objects, Surroundings};

/// What a destination that is not there is routed to: Envoy answers 503 for a cluster that it does not know.
const NOWHERE: &str = "not-there";

/// Builds route tables, and remembers the clusters that they name.
pub(super) struct Routes<'a> {
    objects: &'a Objects,
    surroundings: &'a Surroundings,
    /// Oldest first: the order in which routes of one host are tried.
    virtual_services: Vec<&'a VirtualService>,
    found: RefCell<(BTreeSet<Cluster>, Vec<String>)>,
}

/// The routes of each name, in the order of the names.
pub(super) type Hosts = BTreeMap<String, Vec<Value>>;

impl<'a> Routes<'a> {
    pub(super) fn new(objects: &'a Objects, surroundings: &'a Surroundings) -> Self {
        let mut virtual_services: Vec<&VirtualService> = objects.virtual_services.iter().collect();
        virtual_services.sort_by_key(|service| service.metadata.age());
        Self { objects, surroundings, virtual_services, found: RefCell::default() }
    }

    /// The clusters that were named, and what was not as asked.
    pub(super) fn finish(self) -> (Vec<Value>, Vec<String>) {
        let (clusters, problems) = self.found.into_inner();
        (clusters.iter().map(Cluster::resource).collect(), problems)
    }

    /// The names that VirtualServices bound to the Gateway have in common with these hosts of its server, and their routes.
    pub(super) fn bound(&self, gateway: &Gateway, hosts: &[ServerHost<'_>]) -> Hosts {
        let mut table = Hosts::new();
        for service in self.virtual_services.iter().filter(|service| is_bound(service, &gateway.metadata.key)) {
            let namespace = &service.metadata.key.namespace;
            let pairs = service.spec.hosts.iter().flat_map(|host| hosts.iter().map(move |server| (server, host)));
            let common: BTreeSet<&str> = pairs.filter_map(|(server, host)| server.common(namespace, host)).collect();
            for host in common {
                table.entry(host.to_owned()).or_default().extend(self.routes(service));
            }
        }
        table
    }

    fn routes(&self, service: &VirtualService) -> Vec<Value> {
        let of_route = |route: &HttpRoute| {
            let action = self.action(service, route);
            let unread = route.other.keys().map(String::as_str);
            self.say_unread(service, unread);
            let matches = self.matches(service, route);
            matches.into_iter().map(|matches| json!({"match": matches, "route": action})).collect::<Vec<_>>()
        };
        service.spec.http.iter().flat_map(of_route).collect()
    }

    /// The route's conditions: any of them. One that can't be played matches nothing.
    fn matches(&self, service: &VirtualService, route: &HttpRoute) -> Vec<Value> {
        if route.matches.is_empty() {
            return vec![json!({"prefix": "/"})];
        }
        let playable = |condition: &&HttpMatch| {
            self.say_unread(service, condition.other.keys().map(String::as_str));
            condition.other.is_empty()
        };
        route.matches.iter().filter(playable).map(|condition| path(condition.uri.as_ref())).collect()
    }

    fn action(&self, service: &VirtualService, route: &HttpRoute) -> Value {
        let mut shares = route.route.iter().map(|destination| (self.cluster(service, destination), destination.weight));
        let (first, second) = (shares.next(), shares.next());
        match (first, second) {
            (None, _) => json!({"cluster": NOWHERE}),
            (Some((cluster, _)), None) => json!({"cluster": cluster}),
            (Some(first), Some(second)) => {
                let all: Vec<Value> = [first, second]
                    .into_iter()
                    .chain(shares)
                    .filter(|(_, weight)| *weight > 0)
                    .map(|(cluster, weight)| json!({"name": cluster, "weight": weight}))
                    .collect();
                if all.is_empty() {
                    json!({"cluster": NOWHERE})
                } else {
                    json!({"weighted_clusters": {"clusters": all}})
                }
            }
        }
    }

    fn cluster(&self, service: &VirtualService, to: &super::WeightedDestination) -> String {
        let namespace = &service.metadata.key.namespace;
        match Cluster::of(&to.destination, namespace, self.objects, self.surroundings) {
            Ok(cluster) => {
                let name = cluster.name.clone();
                self.found.borrow_mut().0.insert(cluster);
                name
            }
            Err(problem) => {
                self.say(service, &problem);
                NOWHERE.to_owned()
            }
        }
    }

    fn say_unread<'b>(&self, service: &VirtualService, fields: impl Iterator<Item = &'b str>) {
        for field in fields {
            self.say(service, &format!("the field {field} of an HTTP route is not played"));
        }
    }

    fn say(&self, service: &VirtualService, problem: &str) {
        self.found.borrow_mut().1.push(format!("VirtualService {}: {problem}", service.metadata.key));
    }
}

/// Whether a VirtualService names the Gateway: by `namespace/name`, or by its name in the own namespace.
fn is_bound(service: &VirtualService, gateway: &Key) -> bool {
    let own = &service.metadata.key.namespace;
    service.spec.gateways.iter().any(|named| match named.split_once('/') {
        Some((namespace, name)) => namespace == gateway.namespace && name == gateway.name,
        None => *own == gateway.namespace && *named == gateway.name,
    })
}

fn path(uri: Option<&StringMatch>) -> Value {
    match uri {
        None => json!({"prefix": "/"}),
        Some(StringMatch::Exact(path)) => json!({"path": path}),
        Some(StringMatch::Prefix(path)) => json!({"prefix": path}),
        Some(StringMatch::Regex(regex)) => json!({"safe_regex": {"regex": regex}}),
    }
}
