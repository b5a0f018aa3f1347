//! Where a status goes: the `status` subresource, by server-side apply from partial JSON.

use std::future::Future;
use std::marker::PhantomData;

use kube::api::{Patch, PatchParams};
use kube::core::Request;
use kube::{Client, Resource};
use lamia_api::meta::FIELD_MANAGER_STATUS;
use lamia_core::host::ObjectKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::lean::Lean;

/// Why a status was not written. Texts are for the log.
#[derive(Debug)]
pub(super) enum SinkError {
    /// There is no such object any more.
    Gone,
    /// It may go through another time.
    Failed(String),
    /// It never will.
    Refused(String),
}

/// Takes statuses; answers with the object as it is after.
pub(super) trait StatusSink<K>: Send + Sync + 'static {
    fn write(&self, key: &ObjectKey, status: &RawValue) -> impl Future<Output = Result<K, SinkError>> + Send;
}

/// The API server.
pub(super) struct ApiSink<K> {
    client: Client,
    kind: PhantomData<fn() -> K>,
}

impl<K> ApiSink<K> {
    pub(super) fn new(client: Client) -> Self {
        Self { client, kind: PhantomData }
    }
}

impl<K: Resource<DynamicType = ()> + DeserializeOwned + 'static> StatusSink<K> for ApiSink<K> {
    async fn write(&self, key: &ObjectKey, status: &RawValue) -> Result<K, SinkError> {
        let request = patch::<K>(key, status).map_err(|error| SinkError::Refused(error.to_string()))?;
        self.client.request(request).await.map(|Lean(object)| object).map_err(sink_error)
    }
}

/// What is applied.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Name<'a>,
    status: &'a RawValue,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

fn patch<K: Resource<DynamicType = ()>>(
    key: &ObjectKey,
    status: &RawValue,
) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
    let namespace = (!key.namespace.is_empty()).then_some(key.namespace.as_str());
    let (api_version, kind) = (K::api_version(&()), K::kind(&()));
    let metadata = Name { name: &key.name, namespace };
    let body = Body { api_version: &api_version, kind: &kind, metadata, status };
    let params = PatchParams::apply(FIELD_MANAGER_STATUS).force();
    Request::new(K::url_path(&(), namespace)).patch_subresource("status", &key.name, &params, &Patch::Apply(body))
}

fn sink_error(error: kube::Error) -> SinkError {
    match error {
        kube::Error::Api(status) => match status.code {
            404 => SinkError::Gone,
            // Not allowed (yet), changed meanwhile, too many requests: another time.
            401 | 403 | 408 | 409 | 429 | 500.. => SinkError::Failed(status.message),
            _ => SinkError::Refused(status.message),
        },
        other => SinkError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use lamia_api::{SecuredHost, Zone};
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    use super::*;

    fn raw(status: &Value) -> Box<RawValue> {
        to_raw_value(status).expect("JSON")
    }

    #[test]
    fn the_patch_is_a_forced_apply_of_the_status_alone_by_its_own_manager() {
        let key = ObjectKey::new("shop", "shop");
        let request = patch::<SecuredHost>(&key, &raw(&json!({"host": "shop.example.org"}))).expect("a request");
        assert_eq!(
            request.uri().to_string(),
            "/apis/lamia.dev/v1alpha1/namespaces/shop/securedhosts/shop/status?&force=true&fieldManager=lamia-status"
        );
        assert_eq!(request.headers()["content-type"], "application/apply-patch+yaml");
        let body: Value = serde_json::from_slice(request.body()).expect("JSON");
        let expected = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {"name": "shop", "namespace": "shop"}, "status": {"host": "shop.example.org"},
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_cluster_scoped_kind_has_no_namespace() {
        let request = patch::<Zone>(&ObjectKey::new("", "example.org"), &raw(&json!({}))).expect("a request");
        assert!(request.uri().path().ends_with("/v1alpha1/zones/example.org/status"), "{}", request.uri());
    }

    #[test]
    fn errors_say_whether_to_try_again() {
        let of = |code| sink_error(kube::Error::Api(Status::failure("said so", "Reason").with_code(code).boxed()));
        assert!(matches!(of(404), SinkError::Gone));
        assert!(matches!(of(422), SinkError::Refused(text) if text == "said so"));
        for code in [403, 409, 429, 500, 503, 504] {
            assert!(matches!(of(code), SinkError::Failed(_)), "{code}");
        }
        assert!(matches!(sink_error(kube::Error::LinesCodecMaxLineLengthExceeded), SinkError::Failed(_)));
    }
}
