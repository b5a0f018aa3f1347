//! [`AcmeAccount`] on instant-acme.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use instant_acme as ia;
use jiff::Timestamp;
use lamia_core::cert::checks::RenewalId;
use lamia_core::cert::order::{Authorization, OrderSnapshot, OrderStatus, ValidationStatus};
use tokio::sync::Mutex;

use super::convert::{self, authorization, failure, snapshot};
use super::key::AccountKey;
use super::orders::Orders;
use super::registration;
use super::transport::{Transport, last_reply, recorded};
use super::{AcmeAccount, AcmeConfig, AcmeError, DirectoryInfo, NewOrder, RenewalWindow};
use crate::error::{ErrorKind, ProviderError};

/// The library tries three times; so it is twelve in all. At Pebble's 5 % of rejections that fails once in 4·10¹⁵.
const NONCE_ROUNDS: u32 = 4;
/// A CA's wish for when to ask again is kept within these (RFC 9773 §4.3.2).
const ASK_AGAIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(86_400));

/// Opens the account of the configured key at the CA, and registers the key if the CA does not know it.
///
/// # Errors
/// [`AcmeError::Problem`] when the CA refuses the account; [`AcmeError::Transport`] with `Invalid` when the configuration
/// can't be right, and else when the CA can't be reached.
pub async fn open(config: AcmeConfig) -> Result<Arc<dyn AcmeAccount>, AcmeError> {
    let key = AccountKey::parse(&config.account_key)?;
    let transport =
        Transport::new(&config.directory, config.ca_bundle.as_deref(), config.allow_private, config.deadline)?;
    let url = config.directory.as_str();
    let directory = call("read the CA's directory", || registration::directory(&transport, url)).await?;
    let registered =
        call("open the ACME account", || registration::register(&transport, &directory, &config, &key)).await?;
    let account = call("open the ACME account", || async {
        let builder = ia::Account::builder_with_http(Box::new(transport.clone()));
        builder.from_parts(registered.uri.clone(), key.pkcs8(), url.to_owned()).await
    })
    .await?;
    let contact = registration::contact(&config);
    if registered.contact.is_some_and(|known| known != contact) {
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        call("update the ACME account's contact", || account.update_contacts(&contact)).await?;
    }
    Ok(Arc::new(Client { account, directory: directory.info(), orders: Orders::default() }))
}

struct Client {
    account: ia::Account,
    directory: DirectoryInfo,
    orders: Orders,
}

/// Runs an operation, and runs it again when nothing but its nonce was refused.
async fn call<T, F>(operation: &'static str, attempt: impl Fn() -> F) -> Result<T, AcmeError>
where
    F: Future<Output = Result<T, ia::Error>>,
{
    recorded(async {
        let mut rounds = 1;
        loop {
            match attempt().await {
                Err(error) if rounds < NONCE_ROUNDS && convert::is_bad_nonce(&error) => rounds += 1,
                result => return result.map_err(|error| failure(operation, error, last_reply().as_ref())),
            }
        }
    })
    .await
}

fn ours(error: ProviderError) -> ia::Error {
    ia::Error::Other(Box::new(error))
}

/// The order as the CA's last answer shows it.
fn shown(order: &mut ia::Order) -> Result<OrderSnapshot, ia::Error> {
    let reply = last_reply().ok_or(ia::Error::Str("no answer was recorded"))?;
    let url = order.url().to_owned();
    snapshot(&url, order.state(), &reply).map_err(ours)
}

/// Reads the authorizations that a snapshot of this status should have.
async fn authorizations(order: &mut ia::Order, status: OrderStatus) -> Result<Vec<Authorization>, ia::Error> {
    let failed = match status {
        OrderStatus::Pending => false,
        OrderStatus::Invalid => true,
        OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => return Ok(Vec::new()),
    };
    let gone = || last_reply().is_some_and(|reply| reply.status == StatusCode::NOT_FOUND);
    let mut found = Vec::new();
    let mut handles = order.authorizations();
    while let Some(handle) = handles.next().await {
        match handle {
            Ok(handle) => found.push(authorization(handle).map_err(ours)?),
            // CAs forget the authorizations of an order that failed before they forget the order.
            Err(ia::Error::Api(_)) if failed && gone() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Answers the challenge of this URL.
async fn answer(order: &mut ia::Order, challenge_url: &str) -> Result<(), ia::Error> {
    let mut handles = order.authorizations();
    while let Some(handle) = handles.next().await {
        let mut handle = handle?;
        if let Some(mut challenge) = handle.challenge(ia::ChallengeType::Dns01)
            && challenge.url == challenge_url
        {
            return match challenge.set_ready().await {
                // The CA took the answer, and shows how an earlier look ended. The order tells that better.
                Err(ia::Error::Api(_)) if last_reply().is_some_and(|reply| reply.status.is_success()) => Ok(()),
                result => result,
            };
        }
    }
    let hint = "the order has no such challenge; read it again";
    Err(ours(ProviderError::new(ErrorKind::NotFound, "answer a challenge", hint)))
}

impl Client {
    /// The remembered object of an order, else a fresh one.
    async fn order_object(&self, url: &str) -> Result<ia::Order, ia::Error> {
        match self.orders.take(url) {
            Some(order) => Ok(order),
            None => self.account.order(url.to_owned()).await,
        }
    }

    async fn place(&self, order: &NewOrder) -> Result<ia::Order, ia::Error> {
        let identifiers: Vec<_> = order.names.iter().map(|name| ia::Identifier::Dns(name.to_string())).collect();
        let mut request = ia::NewOrder::new(&identifiers);
        if let Some(profile) = &order.profile {
            request = request.profile(profile);
        }
        if let Some(replaced) = order.replaces.as_ref().filter(|_| self.directory.renewal_info) {
            request = request.replaces(certificate_id(replaced));
        }
        match self.account.new_order(&request).await {
            Ok(order) => Ok(order),
            Err(error) => match last_reply() {
                // It stands; only its echo of `replaces` was not to the library's liking. It must not be lost.
                Some(reply) if reply.status == StatusCode::CREATED => match reply.location {
                    Some(url) => self.account.order(url).await,
                    None => Err(error),
                },
                _ => Err(error),
            },
        }
    }

    /// Reads the snapshot's authorizations into it, and remembers the order.
    async fn complete(&self, object: ia::Order, snapshot: &mut OrderSnapshot) -> Result<(), AcmeError> {
        let (status, object) = (snapshot.status, Mutex::new(object));
        snapshot.authorizations =
            call("read the authorizations", || async { authorizations(&mut *object.lock().await, status).await })
                .await?;
        self.orders.keep(object.into_inner());
        Ok(())
    }

    /// Whether the CA has begun to look at this challenge, asked anew.
    async fn is_answered(&self, order_url: &str, challenge_url: &str) -> Result<bool, AcmeError> {
        let order = self.order(order_url).await?;
        let mut challenges = order.authorizations.iter().filter_map(|authorization| authorization.dns01.as_ref());
        // Authorizations are left out once all are valid.
        Ok(order.authorizations.is_empty()
            || challenges.any(|dns01| dns01.url == challenge_url && dns01.status != ValidationStatus::Pending))
    }
}

fn certificate_id(id: &RenewalId) -> ia::CertificateIdentifier<'_> {
    let (authority_key_identifier, serial) = id.parts();
    ia::CertificateIdentifier { authority_key_identifier: authority_key_identifier.into(), serial: serial.into() }
}

#[async_trait]
impl AcmeAccount for Client {
    fn directory(&self) -> &DirectoryInfo {
        &self.directory
    }

    fn uri(&self) -> &str {
        self.account.id()
    }

    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError> {
        let (object, mut snapshot) = call("place an order", || async {
            let mut object = self.place(order).await?;
            shown(&mut object).map(|snapshot| (object, snapshot))
        })
        .await?;
        // From here on the order stands, and its URL must reach the caller.
        if let Err(error) = self.complete(object, &mut snapshot).await {
            tracing::warn!(%error, order = snapshot.url, "the order stands, its authorizations are yet to be read");
        }
        Ok(snapshot)
    }

    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError> {
        self.orders.take(url);
        let (object, mut snapshot) = call("read the order", || async {
            let mut object = self.account.order(url.to_owned()).await?;
            shown(&mut object).map(|snapshot| (object, snapshot))
        })
        .await?;
        self.complete(object, &mut snapshot).await?;
        Ok(snapshot)
    }

    async fn accept(&self, order_url: &str, challenge_url: &str) -> Result<(), AcmeError> {
        let answered = call("answer a challenge", || async {
            let mut order = self.order_object(order_url).await?;
            answer(&mut order, challenge_url).await?;
            self.orders.keep(order);
            Ok(())
        })
        .await;
        match answered {
            // CAs differ on whether a second answer is an error (RFC 8555 does not say).
            Err(AcmeError::Problem { problem, .. })
                if problem.kind == "malformed" && self.is_answered(order_url, challenge_url).await? =>
            {
                Ok(())
            }
            other => other,
        }
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError> {
        call("finalize the order", || async {
            let mut order = self.order_object(order_url).await?;
            order.finalize_csr(csr_der).await?;
            let snapshot = shown(&mut order)?;
            self.orders.keep(order);
            Ok(snapshot)
        })
        .await
    }

    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError> {
        call("download the certificate", || async {
            let mut order = self.order_object(order_url).await?;
            if order.state().status != ia::OrderStatus::Valid {
                order.refresh().await?;
            }
            if order.state().status != ia::OrderStatus::Valid {
                let hint = "the order is not valid; read it again";
                return Err(ours(ProviderError::new(ErrorKind::Conflict, "download the certificate", hint)));
            }
            order.certificate().await?.ok_or(ia::Error::Str("no certificate"))
        })
        .await
    }

    async fn renewal_window(&self, certificate: &RenewalId) -> Result<Option<RenewalWindow>, AcmeError> {
        if !self.directory.renewal_info {
            return Ok(None);
        }
        call("ask when to renew", || async {
            let (info, wait) = self.account.renewal_info(&certificate_id(certificate)).await?;
            let window = renewal_window(&info, wait, Timestamp::now());
            window.map(Some).ok_or(ia::Error::Str("the window is out of range"))
        })
        .await
    }
}

fn renewal_window(info: &ia::RenewalInfo, wait: Duration, now: Timestamp) -> Option<RenewalWindow> {
    let window = &info.suggested_window;
    Some(RenewalWindow {
        start: Timestamp::from_second(window.start.unix_timestamp()).ok()?,
        end: Timestamp::from_second(window.end.unix_timestamp()).ok()?,
        explanation_url: info.explanation_url.clone(),
        ask_again: now.checked_add(wait.clamp(ASK_AGAIN.0, ASK_AGAIN.1)).ok()?,
    })
}
