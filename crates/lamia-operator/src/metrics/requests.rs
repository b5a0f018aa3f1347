//! Every request to the API server, counted in one place: a layer of the kube client, which no caller can forget.

use http::{Method, Request, header};
use kube::Client;
use tower::util::MapRequestLayer;
use tower::{Layer as _, service_fn};

use super::Metrics;

impl Metrics {
    /// The same client, with each of its requests counted.
    #[must_use]
    pub fn counting(&self, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let send = service_fn(move |request| {
            let client = client.clone();
            async move { client.send(request).await }
        });
        Client::new(self.count_requests().layer(send), namespace)
    }

    /// A layer that counts each request as it is sent.
    fn count_requests<B>(&self) -> MapRequestLayer<impl Fn(Request<B>) -> Request<B> + Clone + use<B>> {
        let metrics = self.clone();
        MapRequestLayer::new(move |request: Request<B>| {
            let (verb, resource) = verb_and_resource(&request);
            metrics.api_requested(verb, resource);
            request
        })
    }
}

/// What a request does, in the words of RBAC (`apply` for server-side apply), and to which resource.
fn verb_and_resource<B>(request: &Request<B>) -> (&'static str, String) {
    let mut parts = request.uri().path().trim_matches('/').split('/');
    match parts.next() {
        Some("api") => drop(parts.next()),
        Some("apis") => drop((parts.next(), parts.next())),
        _ => return (verb(request, true), "other".to_owned()),
    }
    let parts: Vec<&str> = parts.collect();
    let (resource, name, subresource) = match parts.as_slice() {
        [] => return (verb(request, true), "discovery".to_owned()),
        ["namespaces", _, resource, rest @ ..] if !matches!(*resource, "status" | "finalize") => {
            (*resource, rest.first(), rest.get(1))
        }
        [resource, rest @ ..] => (*resource, rest.first(), rest.get(1)),
    };
    let resource = subresource.map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
    (verb(request, name.is_some()), resource)
}

fn verb<B>(request: &Request<B>, named: bool) -> &'static str {
    let watches = || request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    let applies = || {
        let content = request.headers().get(header::CONTENT_TYPE);
        content.is_some_and(|content| content.as_bytes().starts_with(b"application/apply-patch"))
    };
    match *request.method() {
        Method::GET if watches() => "watch",
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH if applies() => "apply",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::ServiceExt as _;

    use super::*;

    fn request(method: Method, uri: &str, content: &str) -> Request<()> {
        Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, content).body(()).expect("a request")
    }

    #[test]
    fn requests_are_named_as_rbac_names_them() {
        let apply = "application/apply-patch+yaml";
        let lamia = "/apis/lamia.dev/v1alpha1";
        let hosts = &format!("{lamia}/namespaces/shop/securedhosts");
        for (method, uri, content, expected) in [
            (Method::GET, &format!("{lamia}/securedhosts?limit=500"), "", ("list", "securedhosts")),
            (
                Method::GET,
                &format!("{lamia}/securedhosts?&watch=true&timeoutSeconds=200"),
                "",
                ("watch", "securedhosts"),
            ),
            (Method::GET, &format!("{hosts}/shop"), "", ("get", "securedhosts")),
            (Method::PATCH, &format!("{hosts}/shop/status?force=true"), apply, ("apply", "securedhosts/status")),
            (Method::PATCH, &format!("{lamia}/zones/example.org"), apply, ("apply", "zones")),
            (Method::PATCH, &format!("{lamia}/zones/example.org"), "application/merge-patch+json", ("patch", "zones")),
            (Method::POST, &"/api/v1/namespaces/lamia-system/secrets".into(), "", ("create", "secrets")),
            (Method::PUT, &"/api/v1/namespaces/lamia-system/secrets/a".into(), "", ("update", "secrets")),
            (Method::DELETE, &"/api/v1/namespaces/lamia-system/secrets/a".into(), "", ("delete", "secrets")),
            (Method::GET, &"/api/v1/namespaces".into(), "", ("list", "namespaces")),
            (Method::GET, &"/api/v1/namespaces/shop".into(), "", ("get", "namespaces")),
            (Method::GET, &"/apis/lamia.dev/v1alpha1".into(), "", ("get", "discovery")),
            (Method::GET, &"/version".into(), "", ("get", "other")),
        ] {
            let (verb, resource) = verb_and_resource(&request(method, uri, content));
            assert_eq!((verb, resource.as_str()), expected, "{uri}");
        }
    }

    #[tokio::test]
    async fn the_layer_counts_and_passes_on() {
        let metrics = Metrics::new();
        let echo = service_fn(|request: Request<()>| async move { Ok::<_, Infallible>(request.uri().path().len()) });
        let service = metrics.count_requests().layer(echo);
        let length = service.oneshot(request(Method::GET, "/api/v1/services", "")).await.expect("infallible");
        assert_eq!(length, "/api/v1/services".len());
        let page = metrics.page().expect("formats");
        assert!(page.contains("lamia_api_requests_total{verb=\"list\",resource=\"services\"} 1\n"), "{page}");
    }
}
