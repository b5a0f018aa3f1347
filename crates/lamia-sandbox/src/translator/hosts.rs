//! Which names a Gateway's server and a VirtualService have in common.

/// A host of a Gateway's server: the name, and the namespace whose VirtualServices may bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerHost<'a> {
    namespace: &'a str,
    /// A name, `*.name`, or `*`.
    pub(super) host: &'a str,
}

impl<'a> ServerHost<'a> {
    /// Reads `host`, `namespace/host`, `*/host` and `./host` (the Gateway's own namespace).
    pub(super) fn read(text: &'a str, own_namespace: &'a str) -> Self {
        match text.split_once('/') {
            Some((".", host)) => Self { namespace: own_namespace, host },
            Some((namespace, host)) => Self { namespace, host },
            None => Self { namespace: "*", host: text },
        }
    }

    /// What a VirtualService of that namespace, with that host, serves of this one.
    pub(super) fn common<'b>(&self, namespace: &str, host: &'b str) -> Option<&'b str>
    where
        'a: 'b,
    {
        if self.namespace != "*" && self.namespace != namespace {
            return None;
        }
        if covers(self.host, host) {
            return Some(host);
        }
        covers(host, self.host).then_some(self.host)
    }
}

/// Whether all that `narrow` stands for is also what `wide` stands for.
fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_prefix('*') {
        Some("") => true,
        // "*.example.org" covers "a.example.org", "a.b.example.org" and itself; never "example.org".
        Some(suffix) => narrow.len() > suffix.len() && narrow.ends_with(suffix),
        None => wide == narrow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_and_a_route_have_in_common() {
        let cases = [
            // server, route's namespace, route's host, common
            ("shop.example.org", "any", "shop.example.org", Some("shop.example.org")),
            ("shop.example.org", "any", "other.example.org", None),
            ("*/shop.example.org", "any", "shop.example.org", Some("shop.example.org")),
            ("team/shop.example.org", "team", "shop.example.org", Some("shop.example.org")),
            ("team/shop.example.org", "other", "shop.example.org", None),
            ("./shop.example.org", "own", "shop.example.org", Some("shop.example.org")),
            ("./shop.example.org", "team", "shop.example.org", None),
            ("*.example.org", "any", "shop.example.org", Some("shop.example.org")),
            ("*.example.org", "any", "example.org", None),
            ("*.example.org", "any", "*.example.org", Some("*.example.org")),
            ("*.example.org", "any", "*.shop.example.org", Some("*.shop.example.org")),
            ("shop.example.org", "any", "*.example.org", Some("shop.example.org")),
            ("shop.example.org", "any", "*", Some("shop.example.org")),
            ("*", "any", "shop.example.org", Some("shop.example.org")),
            ("*.example.org", "any", "shop.notexample.org", None),
        ];
        for (server, namespace, host, common) in cases {
            let read = ServerHost::read(server, "own");
            assert_eq!(read.common(namespace, host), common, "{server} with {host} of {namespace}");
        }
    }
}
