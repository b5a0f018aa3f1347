//! Who asks, and whether they may.
//!
//! Users are known by bearer tokens: those of the options, and those that ServiceAccounts ask for. What they may is what Roles and
//! ClusterRoles say (`rbac`); the group `system:masters` may everything.

mod grants;
mod jwt;
mod rbac;
pub(crate) mod reviews;

use http::{HeaderMap, Method};

use crate::cluster::{Authorization, Cluster};
use crate::error::{About, ApiError};
use crate::http::query::Query;

pub(crate) use grants::By;
pub(crate) use jwt::request as request_token;

/// Whom everything is allowed.
const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// A bearer token, and whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The secret. It is in no message.
    pub secret: String,
    /// The user's name.
    pub user: String,
    /// The user's groups, besides `system:authenticated`.
    pub groups: Vec<String>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("user", &self.user).field("groups", &self.groups).finish_non_exhaustive()
    }
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
}

impl User {
    fn of(token: &Token) -> Self {
        let groups = token.groups.iter().cloned().chain([AUTHENTICATED.to_owned()]).collect();
        Self { name: token.user.clone(), uid: token.user.clone(), groups }
    }

    fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), uid: String::new(), groups: vec![UNAUTHENTICATED.to_owned()] }
    }

    /// A ServiceAccount.
    fn account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = [
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            AUTHENTICATED.to_owned(),
        ];
        Self { name: format!("system:serviceaccount:{namespace}:{name}"), uid: uid.to_owned(), groups: groups.into() }
    }

    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|it| it == MASTERS)
    }
}

/// What is asked for, as authorization sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// A path that is no object's; empty for objects.
    pub(crate) path: String,
}

impl Asked {
    /// A path that is no object's.
    pub(crate) fn path(method: &Method, path: &str) -> Self {
        Self { verb: method.as_str().to_lowercase(), path: path.to_owned(), ..Self::default() }
    }

    /// Objects.
    pub(crate) fn objects(method: &Method, place: &crate::http::Place, query: &Query) -> Self {
        let one = !place.name.is_empty();
        let verb = match (method.as_str(), one) {
            ("GET" | "HEAD", _) if place.watch || (!one && query.flag("watch")) => "watch",
            ("GET" | "HEAD", true) => "get",
            ("GET" | "HEAD", false) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "delete",
            ("DELETE", false) => "deletecollection",
            _ => "",
        };
        Self {
            verb: verb.to_owned(),
            group: place.group.clone(),
            resource: place.plural.clone(),
            subresource: place.part.clone(),
            namespace: place.namespace.clone(),
            name: place.name.clone(),
            path: String::new(),
        }
    }

    /// `pods/log`.
    fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// Who it is, by an `Authorization` header.
///
/// # Errors
/// 401 for a token that is nobody's.
pub(crate) fn authenticate(cluster: &Cluster, authorization: &str) -> Result<User, ApiError> {
    let Some(secret) = authorization.strip_prefix("Bearer ").map(str::trim).filter(|it| !it.is_empty()) else {
        return Ok(cluster.options().nobody.as_ref().map_or_else(User::anonymous, User::of));
    };
    known(cluster, secret).ok_or_else(|| ApiError::new(401, "Unauthorized", "Unauthorized"))
}

/// Whose token it is.
fn known(cluster: &Cluster, secret: &str) -> Option<User> {
    let same = |it: &&crate::auth::Token| it.secret == secret;
    cluster.options().tokens.iter().find(same).map(User::of).or_else(|| jwt::user(cluster, secret))
}

/// The user that is acted as (`Impersonate-User`), if the one who asks may.
///
/// # Errors
/// 403 if they may not.
pub(crate) fn impersonated(cluster: &Cluster, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let name = text("impersonate-user");
    if name.is_empty() {
        return Ok(user);
    }
    let given = headers.get_all("impersonate-group").iter().filter_map(|it| it.to_str().ok());
    let mut groups: Vec<String> = given.map(str::to_owned).collect();
    let asked = |resource: &str, name: &str| Asked {
        verb: "impersonate".to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..Asked::default()
    };
    authorize(cluster, &user, &asked("users", name))?;
    groups.iter().try_for_each(|group| authorize(cluster, &user, &asked("groups", group)))?;
    groups.push(AUTHENTICATED.to_owned());
    Ok(User { name: name.to_owned(), uid: text("impersonate-uid").to_owned(), groups })
}

/// Whether a user may.
///
/// # Errors
/// 403 if not.
pub(crate) fn authorize(cluster: &Cluster, user: &User, asked: &Asked) -> Result<(), ApiError> {
    if allowed(cluster, user, asked).is_some() { Ok(()) } else { Err(refusal(user, asked)) }
}

/// Why a user may; none if they may not.
fn allowed(cluster: &Cluster, user: &User, asked: &Asked) -> Option<String> {
    if cluster.options().authorization == Authorization::Always || user.is_master() {
        return Some(String::new());
    }
    rbac::reason(&cluster.store(), user, asked)
}

fn refusal(user: &User, asked: &Asked) -> ApiError {
    let (name, verb) = (&user.name, &asked.verb);
    if !asked.path.is_empty() {
        let message = format!("forbidden: User {name:?} cannot {verb} path {:?}", asked.path);
        return ApiError::new(403, "Forbidden", message).about(About::default());
    }
    let resource =
        if asked.group.is_empty() { asked.resource.clone() } else { format!("{}.{}", asked.resource, asked.group) };
    let what = if asked.name.is_empty() { resource } else { format!("{resource} {:?}", asked.name) };
    let place = match asked.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let (full, group) = (asked.full_resource(), &asked.group);
    let message =
        format!("{what} is forbidden: User {name:?} cannot {verb} resource {full:?} in API group {group:?} {place}");
    let about = About { group: asked.group.clone(), kind: asked.resource.clone(), name: asked.name.clone() };
    ApiError::new(403, "Forbidden", message).about(about)
}
