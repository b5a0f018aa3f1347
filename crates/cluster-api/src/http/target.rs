//! What a path asks for. Source: `apiserver/pkg/endpoints/request/requestinfo.go`.

use url::form_urlencoded;

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Anything but objects: `/version`, `/apis`, `/openapi/v3/…`.
    Path(Vec<String>),
    /// Objects.
    Objects(Place),
}

/// A resource, one of its objects, or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// API group; empty for the core.
    pub(crate) group: String,
    /// API version.
    pub(crate) version: String,
    /// Empty for all, and for what belongs to none.
    pub(crate) namespace: String,
    /// As in paths.
    pub(crate) plural: String,
    /// Empty for the collection.
    pub(crate) name: String,
    /// `status`, `scale`, …; empty for the object itself.
    pub(crate) part: String,
    /// Whether the path begins with the old `watch/`.
    pub(crate) watch: bool,
    /// Whether the path names a namespace that its objects are in.
    pub(crate) in_namespace: bool,
}

impl Target {
    /// Reads a path.
    pub(crate) fn of(path: &str) -> Self {
        let segments: Vec<String> = path.split('/').filter(|it| !it.is_empty()).map(decoded).collect();
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        let place = match words.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => Place::of("", version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => Place::of(group, version, rest),
            _ => None,
        };
        place.map_or(Self::Path(segments), Self::Objects)
    }
}

impl Place {
    fn of(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        let (watch, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            _ => (false, rest),
        };
        let place = Self { group: group.to_owned(), version: version.to_owned(), watch, ..Self::default() };
        let own = |text: &str| text.to_owned();
        match rest {
            // A namespace is in itself, as authorization sees it.
            ["namespaces", name] => {
                Some(Self { plural: own("namespaces"), name: own(name), namespace: own(name), ..place })
            }
            ["namespaces", name, part @ ("status" | "finalize")] => Some(Self {
                plural: own("namespaces"),
                name: own(name),
                namespace: own(name),
                part: own(part),
                ..place
            }),
            ["namespaces", namespace, plural, rest @ ..] => {
                let place = Self { namespace: own(namespace), plural: own(plural), in_namespace: true, ..place };
                place.object(rest)
            }
            [plural, rest @ ..] => Self { plural: own(plural), ..place }.object(rest),
            [] => None,
        }
    }

    fn object(mut self, rest: &[&str]) -> Option<Self> {
        match rest {
            [] => {}
            [name] => self.name = (*name).to_owned(),
            [name, part @ ..] => {
                self.name = (*name).to_owned();
                self.part = part.join("/");
            }
        }
        Some(self)
    }
}

/// A segment without percent signs. A plus is a plus in a path.
fn decoded(segment: &str) -> String {
    if !segment.contains('%') {
        return segment.to_owned();
    }
    let escaped = segment.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(escaped.as_bytes()).map(|(key, _)| key.into_owned()).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Place {
        match Target::of(path) {
            Target::Objects(place) => place,
            Target::Path(path) => panic!("{path:?} is no place of objects"),
        }
    }

    #[test]
    fn paths_are_read() {
        let read = |path| {
            let it = place(path);
            [it.group, it.version, it.namespace, it.plural, it.name, it.part].join(",")
        };
        for (path, expected) in [
            ("/api/v1/pods", ",v1,,pods,,"),
            ("/api/v1/namespaces", ",v1,,namespaces,,"),
            ("/api/v1/namespaces/a", ",v1,a,namespaces,a,"),
            ("/api/v1/namespaces/a/status", ",v1,a,namespaces,a,status"),
            ("/api/v1/namespaces/a/pods", ",v1,a,pods,,"),
            ("/api/v1/namespaces/a/pods/b/status", ",v1,a,pods,b,status"),
            ("/apis/apps/v1/namespaces/a/deployments/b/scale", "apps,v1,a,deployments,b,scale"),
            ("/apis/x.y/v1/things/system%3Ab+c", "x.y,v1,,things,system:b+c,"),
            ("/api/v1/watch/namespaces/a/pods", ",v1,a,pods,,"),
        ] {
            assert_eq!(read(path), expected, "{path}");
        }
        assert!(place("/api/v1/watch/pods").watch);
        for path in ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz/ping"] {
            assert!(matches!(Target::of(path), Target::Path(_)), "{path}");
        }
    }
}
