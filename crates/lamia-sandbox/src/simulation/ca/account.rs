//! The CA's answers to the one account that the operator has.

use super::*;
use crate::simulation::weather::{Part, Strike};
use lamia_providers::error::{ErrorKind, ProviderError};

/// The account.
pub(super) struct Account {
    pub(super) ca: Ca,
    pub(super) directory: DirectoryInfo,
}

impl Ca {
    /// One request, in whatever weather.
    pub(super) async fn ask<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut State) -> Result<T, AcmeError>,
    ) -> Result<T, AcmeError> {
        let now = || self.clock.now();
        let fails = |strike| failed(operation, strike, now());
        let act = || {
            let mut state = self.state();
            state.calls += 1;
            act(&mut state)
        };
        self.weather.pass(Part::Ca, act, || (), fails).await
    }
}

fn failed(operation: &'static str, strike: Strike, now: Timestamp) -> AcmeError {
    let refusal = |kind: &str, status, seconds| AcmeError::Problem {
        operation,
        problem: problem(kind),
        status,
        retry_at: Some(now + SignedDuration::from_secs(seconds)),
    };
    match strike {
        Strike::Throttled => refusal("rateLimited", 429, 60),
        Strike::Failed | Strike::Conflict => refusal("serverInternal", 500, 5),
        Strike::Lost | Strike::AnswerLost | Strike::Partly => {
            AcmeError::Transport(ProviderError::new(ErrorKind::Unavailable, operation, "it does not answer"))
        }
    }
}

fn refused(operation: &'static str, kind: &str, status: u16) -> AcmeError {
    AcmeError::Problem { operation, problem: problem(kind), status, retry_at: None }
}

fn unknown(operation: &'static str) -> AcmeError {
    refused(operation, "malformed", 404)
}

#[async_trait]
impl AcmeAccount for Account {
    fn directory(&self) -> &DirectoryInfo {
        &self.directory
    }

    fn uri(&self) -> &str {
        "https://ca.test/account/1"
    }

    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError> {
        let Ca { clock, history, .. } = &self.ca;
        let place = |state: &mut State| state.place(order, clock.now(), history);
        let snapshot = self.ca.ask("new order", place).await?;
        // Whoever dies before this line does not know of the order.
        if let Some((order, _)) = places(&snapshot.url)
            && let Some(order) = self.ca.state().orders.get_mut(order)
        {
            order.told = true;
        }
        Ok(snapshot)
    }

    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError> {
        let Ca { clock, history, dns, .. } = &self.ca;
        let look = |state: &mut State| {
            let (place, _) = places(url).ok_or_else(|| unknown("read the order"))?;
            state.go_on(place, clock.now(), dns, history);
            state.orders.get(place).map(|order| order.snapshot(place)).ok_or_else(|| unknown("read the order"))
        };
        self.ca.ask("read the order", look).await
    }

    async fn accept(&self, _: &str, challenge_url: &str) -> Result<(), AcmeError> {
        let Ca { clock, history, dns, .. } = &self.ca;
        let accept = |state: &mut State| {
            let (place, name) = places(challenge_url).ok_or_else(|| unknown("accept the challenge"))?;
            let look = clock.now() + state.pause(500, 9_000);
            let order = state.orders.get_mut(place).filter(|order| name < order.names.len());
            let order = order.ok_or_else(|| unknown("accept the challenge"))?;
            if order.status == OrderStatus::Pending && !order.looks.contains_key(&name) {
                order.looks.insert(name, look);
                let key = challenge(&order.names[name]);
                let value = RecordValue::txt(&order.values[name]);
                if key.is_some_and(|key| !dns.is_everywhere(&key, &value)) {
                    history.broken(
                        "early",
                        format!("the CA is told to look for {} before the value is everywhere", order.label()),
                    );
                }
            }
            Ok(())
        };
        self.ca.ask("accept the challenge", accept).await
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError> {
        let Ca { clock, history, .. } = &self.ca;
        let finalize = |state: &mut State| {
            let (place, _) = places(order_url).ok_or_else(|| unknown("finalize"))?;
            state.finalize(place, csr_der, clock.now(), history)
        };
        self.ca.ask("finalize", finalize).await
    }

    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError> {
        let read = |state: &mut State| {
            let order = places(order_url).and_then(|(place, _)| state.orders.get(place));
            let order = order.ok_or_else(|| unknown("download"))?;
            let chain = order.chain.clone().filter(|_| order.status == OrderStatus::Valid);
            chain.ok_or_else(|| {
                AcmeError::Transport(ProviderError::new(ErrorKind::Conflict, "download", "the order is not valid yet"))
            })
        };
        self.ca.ask("download", read).await
    }

    async fn renewal_window(&self, certificate: &RenewalId) -> Result<Option<RenewalWindow>, AcmeError> {
        let now = self.ca.clock.now();
        let advise = |state: &mut State| {
            let issued = state.certificates.get(certificate);
            let issued = issued.ok_or_else(|| unknown("read renewal information"))?;
            let life = issued.not_after.duration_since(issued.not_before);
            let (start, end) = match issued.revoked {
                Some(at) => (at - SignedDuration::from_hours(1), at),
                None => (issued.not_before + life / 2, issued.not_before + life / 2 + life / 12),
            };
            let ask_again = now + SignedDuration::from_hours(6);
            Ok(Some(RenewalWindow { start, end, explanation_url: None, ask_again }))
        };
        self.ca.ask("read renewal information", advise).await
    }
}

impl State {
    fn place(&mut self, order: &NewOrder, now: Timestamp, history: &History) -> Result<OrderSnapshot, AcmeError> {
        let names: BTreeSet<HostName> = order.names.iter().cloned().collect();
        let replaces = order.replaces.is_some();
        if let Some((limit, until)) = self.limits.exceeded(&names, replaces, now) {
            let lost = self.orders.iter().any(|order| !order.told);
            let words = format!("{limit} is exceeded by an order for {}", order.names[0]);
            if lost {
                history.tell("ca", words);
            } else {
                history.broken("budget", words);
            }
            let retry_at = Some(until);
            return Err(AcmeError::Problem {
                operation: "new order",
                problem: problem("rateLimited"),
                status: 429,
                retry_at,
            });
        }
        self.limits.placed(replaces, now);
        let values = order.names.iter().map(|_| text(&mut self.chance, BASE64URL, 43)).collect();
        let order = Order {
            placed: now,
            names: order.names.clone(),
            replaces,
            status: OrderStatus::Pending,
            looks: BTreeMap::new(),
            values,
            expires: now + PATIENCE,
            finalizes: 0,
            issued: Timestamp::MAX,
            chain: None,
            problem: None,
            told: false,
        };
        let place = self.orders.len();
        history.tell("ca", format!("order {place} for {}{}", order.label(), if replaces { ", a renewal" } else { "" }));
        let snapshot = order.snapshot(place);
        self.orders.push(order);
        Ok(snapshot)
    }

    fn finalize(
        &mut self,
        place: usize,
        csr: &[u8],
        now: Timestamp,
        history: &History,
    ) -> Result<OrderSnapshot, AcmeError> {
        let issued = now + self.pause(200, 4_000);
        let order = self.orders.get_mut(place).ok_or_else(|| unknown("finalize"))?;
        order.finalizes += 1;
        if order.finalizes > 1 {
            history.broken("finalize", format!("order {place} for {} is finalized again", order.label()));
        }
        if order.status != OrderStatus::Ready {
            return Err(refused("finalize", "orderNotReady", 403));
        }
        let (not_before, not_after) = (now, now + self.life);
        let certificate = self.issuing.sign(csr, &order.names, not_before, not_after);
        let (chain, id) = certificate.ok_or_else(|| refused("finalize", "badCSR", 400))?;
        (order.status, order.issued, order.chain) = (OrderStatus::Processing, issued, Some(chain));
        let names: BTreeSet<HostName> = order.names.iter().cloned().collect();
        self.limits.issued(&names, order.replaces, now);
        self.certificates.insert(id, Issued { not_before, not_after, revoked: None });
        history.tell("ca", format!("order {place} for {}: a certificate", order.label()));
        Ok(order.snapshot(place))
    }
}
