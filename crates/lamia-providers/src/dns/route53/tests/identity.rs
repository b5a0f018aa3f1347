//! The stand-in's identity services: STS, and the agent that gives a pod its identity.

use std::collections::BTreeMap;

use wiremock::{Request, ResponseTemplate};

use super::records::Refusal;
use super::stand_in::{Answer, ROLE, ROLE_KEY, error, invalid, xml};

/// What EKS' Pod Identity agent answers.
pub(super) fn pod_identity(request: &Request) -> ResponseTemplate {
    if request.headers.get("authorization").is_none_or(|token| token != "pod-token") {
        return ResponseTemplate::new(403);
    }
    let credentials = format!(
        r#"{{"AccessKeyId":"{ROLE_KEY}","SecretAccessKey":"sesame","Token":"sesame","Expiration":"2096-11-22T10:00:00Z"}}"#
    );
    ResponseTemplate::new(200).set_body_raw(credentials, "application/json")
}

pub(super) fn sts(body: &str) -> Answer {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str);
    match (field("Action"), field("Version")) {
        (Some("GetCallerIdentity"), Some("2011-06-15")) => Ok(said(
            "GetCallerIdentity",
            "<Arn>arn:aws:iam::123456789012:user/lamia</Arn><UserId>AIDA</UserId><Account>123456789012</Account>",
        )),
        (Some("AssumeRole"), Some("2011-06-15")) => {
            if field("RoleArn") != Some(ROLE) || field("ExternalId") != Some("tenant-7") {
                return Err(Refusal::Error(403, "AccessDenied", "not authorized to perform: sts:AssumeRole".into()));
            }
            Ok(said("AssumeRole", &credentials()))
        }
        _ => Err(invalid("another action")),
    }
}

/// What IRSA asks for, without a signature: the pod's token for a role.
pub(super) fn web_identity(body: &[u8]) -> Option<ResponseTemplate> {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str);
    if field("Action") != Some("AssumeRoleWithWebIdentity") {
        return None;
    }
    let right = field("RoleArn") == Some(ROLE) && field("WebIdentityToken") == Some("pod-jwt");
    let user = "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/lamia-dns/lamia</Arn><AssumedRoleId>AROA:lamia\
                </AssumedRoleId></AssumedRoleUser>";
    Some(match right {
        true => said("AssumeRoleWithWebIdentity", &format!("{}{user}", credentials())),
        false => xml(400, error("InvalidIdentityToken", "No OpenIDConnect provider found in your account")),
    })
}

fn said(action: &str, result: &str) -> ResponseTemplate {
    let namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
    let result = format!("<{action}Result>{result}</{action}Result>");
    xml(200, format!("<{action}Response xmlns=\"{namespace}\">{result}</{action}Response>"))
}

fn credentials() -> String {
    format!(
        "<Credentials><AccessKeyId>{ROLE_KEY}</AccessKeyId><SecretAccessKey>sesame</SecretAccessKey>\
         <SessionToken>sesame</SessionToken><Expiration>2096-11-22T10:00:00Z</Expiration></Credentials>"
    )
}
