//! ServiceAccount tokens: signed, so that none need be kept. Their claims are those of the real one (which signs with RSA).

use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use serde_json::{Value, json};

use crate::auth::User;
use crate::cluster::{Cluster, rfc3339};
use crate::store::{Key, Object};

/// Who issues them, and for whom.
const ISSUER: &str = "https://kubernetes.default.svc";
/// How long a token lasts for whoever does not say, in seconds.
const LIFE: u64 = 3600;

/// Answers a `TokenRequest` for an account.
pub(crate) fn request(cluster: &Cluster, account: &Object, request: &Value) -> Value {
    let now = cluster.source().now();
    let seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_u64).unwrap_or(LIFE).min(1 << 32);
    let expires = now.as_secs().saturating_add(seconds);
    let (namespace, name) = (&*account.key().namespace, &*account.key().name);
    let mut audiences = request.pointer("/spec/audiences").cloned().unwrap_or_default();
    if audiences.as_array().is_none_or(Vec::is_empty) {
        audiences = json!([ISSUER]);
    }
    let claims = json!({
        "aud": audiences, "exp": expires, "iat": now.as_secs(), "nbf": now.as_secs(), "iss": ISSUER, "jti": cluster.source().uid(),
        "sub": format!("system:serviceaccount:{namespace}:{name}"),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": account.uid()}},
    });
    let head = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
    let signature = BASE64URL_NOPAD.encode(hmac::sign(&key(cluster), signed.as_bytes()).as_ref());
    let ends = rfc3339(std::time::Duration::from_secs(expires));
    json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "uid": account.uid(), "creationTimestamp": cluster.now()},
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": null},
        "status": {"token": format!("{signed}.{signature}"), "expirationTimestamp": ends},
    })
}

/// The account whose token it is, if it is ours, has not expired, and the account is still that one.
pub(super) fn user(cluster: &Cluster, token: &str) -> Option<User> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
    hmac::verify(&key(cluster), signed.as_bytes(), &signature).ok()?;
    let claims = BASE64URL_NOPAD.decode(signed.split_once('.')?.1.as_bytes()).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let text = |at: &str| claims.pointer(at).and_then(Value::as_str).unwrap_or_default();
    if claims.get("exp").and_then(Value::as_u64)? <= cluster.source().now().as_secs() {
        return None;
    }
    let account = claims.get("kubernetes.io")?;
    let namespace = account.get("namespace").and_then(Value::as_str)?;
    let account = account.get("serviceaccount")?;
    let (name, uid) = (account.get("name").and_then(Value::as_str)?, account.get("uid").and_then(Value::as_str)?);
    let key = Key::new(&"serviceaccounts".into(), namespace, name);
    let same = cluster.store().get(&key).is_some_and(|it| it.uid() == uid && text("/iss") == ISSUER);
    same.then(|| User::account(namespace, name, uid))
}

fn key(cluster: &Cluster) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, cluster.secret().as_bytes())
}
