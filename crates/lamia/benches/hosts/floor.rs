//! The floor: what certificates cost when nobody manages them. Our ACME client alone, many orders at once, one DNS change
//! for each; no Kubernetes, no batching, nothing kept.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use lamia_core::cert::order::{OrderSnapshot, OrderStatus};
use lamia_core::name::HostName;
use lamia_providers::acme::{
    AcmeAccount, AcmeConfig, DEFAULT_DEADLINE, KeyAlgorithm, NewOrder, generate_account_key, generate_key, open,
    signing_request,
};
use lamia_sandbox::stage::{Stage, ZONE};
use tokio::sync::Mutex;

use crate::world;

/// Orders that are under way at once.
const AT_ONCE: usize = 64;

/// How long as many certificates take.
pub(crate) async fn measure(stage: &Stage, hosts: usize) -> Result<Duration> {
    let config = AcmeConfig {
        directory: stage.pebble.directory_url().parse()?,
        ca_bundle: Some(stage.pebble.ca_bundle().to_owned()),
        email: None,
        account_key: generate_account_key()?,
        external_account_binding: None,
        allow_private: true,
        deadline: DEFAULT_DEADLINE,
    };
    let began = Instant::now();
    let account = &*open(config).await?;
    // Names of their own, so that nothing is left where the hosts of the bench will be.
    let names = world::names(hosts).map(|name| format!("floor-{name}"));
    // PowerDNS on SQLite takes one writer at a time.
    let writing = &Mutex::new(());
    futures::stream::iter(names)
        .map(|name| async move { issue(stage, writing, account, &name).await.with_context(|| name) })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(began.elapsed())
}

async fn issue(stage: &Stage, writing: &Mutex<()>, account: &dyn AcmeAccount, name: &str) -> Result<()> {
    let order = NewOrder { names: vec![HostName::parse(name)?], profile: None, replaces: None };
    let placed = account.new_order(&order).await?;
    for authorization in &placed.authorizations {
        let challenge = authorization.dns01.as_ref().context("no DNS-01 challenge")?;
        let value = format!("\"{}\"", challenge.txt_value);
        let turn = writing.lock().await;
        stage.power_dns.set_records(ZONE, &format!("_acme-challenge.{name}"), "TXT", &[&value]).await?;
        drop(turn);
        account.accept(&placed.url, &challenge.url).await?;
    }
    let ready = until(account, &placed.url, OrderStatus::Pending).await?;
    ensure!(ready.status == OrderStatus::Ready, "the order is {:?}", ready.status);
    let key = generate_key(KeyAlgorithm::P256)?;
    account.finalize(&ready.url, &signing_request(&key, &ready.names)?).await?;
    until(account, &ready.url, OrderStatus::Processing).await?;
    account.certificate(&ready.url).await?;
    Ok(())
}

/// Reads the order until it is in this status no more.
async fn until(account: &dyn AcmeAccount, url: &str, no_more: OrderStatus) -> Result<OrderSnapshot> {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        let order = account.order(url).await?;
        if order.status != no_more {
            return Ok(order);
        }
        tick.tick().await;
    }
}
