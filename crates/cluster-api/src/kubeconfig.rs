//! The file by which kubectl and client libraries find an API server.

use std::fmt;

use data_encoding::BASE64;

/// Who talks to which server, and by what. Its text is a kubeconfig of one cluster, one user and one context.
#[derive(Clone)]
pub struct Kubeconfig<'a> {
    /// What the cluster and the context are called.
    pub cluster: &'a str,
    /// The server's URL.
    pub server: String,
    /// The CA of the server's certificate, PEM.
    pub ca: &'a str,
    /// What the user is called.
    pub user: &'a str,
    /// The user's bearer token.
    pub token: &'a str,
    /// The namespace of whoever names none.
    pub namespace: &'a str,
}

/// Without the token.
impl fmt::Debug for Kubeconfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, server, ca: _, user, token: _, namespace } = self;
        write!(f, "Kubeconfig {{ {user} at {cluster} ({server}), namespace {namespace} }}")
    }
}

impl fmt::Display for Kubeconfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, server, ca, user, token, namespace } = self;
        let ca = BASE64.encode(ca.as_bytes());
        write!(
            f,
            "apiVersion: v1
kind: Config
current-context: {cluster}
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    token: {token}
contexts:
- name: {cluster}
  context:
    cluster: {cluster}
    user: {user}
    namespace: {namespace}
"
        )
    }
}
