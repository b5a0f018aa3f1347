//! Each step of issuance, carried out: one word to the CA, the API server or the zone workers, and what follows from the answer.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use lamia_api::host::KeyAlgorithm;
use lamia_api::host_certificate::ChallengeRecord;
use lamia_core::cert::budget::{Allowance, Ask};
use lamia_core::cert::caa::CaaVerdict;
use lamia_core::cert::checks::{Held, InHand, RenewalId, fits, read_leaf};
use lamia_core::cert::gate::{Fact, Gate, GateFacts, gate, worst};
use lamia_core::cert::order::OrderSnapshot;
use lamia_core::cert::retry::Failure;
use lamia_core::cert::step::{SeenOrder, is_hopeless, unproven};
use lamia_core::host::reason::{Because, CertificateReason};
use lamia_core::name::HostName;
use lamia_providers::acme::{AcmeError, NewOrder, generate_key, signing_request};
use lamia_providers::secret::Secret;

use super::book::note;
use super::case::{Asked, Case, SecretState, seed};
use super::edges::{ChallengePlace, Issuer, NewCertificate, StoreError};
use super::failure::{failure, note_failure};
use super::key::PublicKey;
use super::report;
use super::turn::{Turn, after};

/// How long a CAA look-up is good for while an attempt waits.
const CAA_KEPT: SignedDuration = SignedDuration::from_secs(20);

impl Turn<'_> {
    /// Notes a failure in the case and the budgets.
    fn fail(&mut self, failure: &Failure<'_>) {
        let now = self.now();
        note_failure(&mut self.case, &self.edges.budgets, failure, now);
    }

    /// The CA answered: whatever was wrong with reaching it is over.
    fn answered(&mut self) {
        let memory = &mut self.case.memory;
        memory.unanswered = 0;
        let is_over = |because: &Because<_>| {
            matches!(because.reason, CertificateReason::CAUnavailable | CertificateReason::RateLimited)
        };
        if memory.trouble.as_ref().is_some_and(is_over) {
            memory.trouble = None;
        }
    }

    /// The CA did not do as asked. `keeps_view`: what was seen of the order before still counts.
    fn refused(&mut self, error: &AcmeError, keeps_view: bool) {
        tracing::debug!(certificate = %self.case.owner.name, %error, problem = ?error.problem(), "the CA did not do as asked");
        if !keeps_view {
            self.case.memory.order = None;
        }
        let now = self.now();
        self.fail(&failure(error, now));
    }

    /// CAA, the challenge zone, and the budgets.
    pub(super) async fn check_gate(&mut self, issuer: &Issuer) {
        let bases: Vec<_> = self.case.request.names.iter().map(HostName::challenge_base).collect();
        let places: Vec<_> = bases.iter().map(|base| self.edges.dns.place(base)).collect();
        let caa = self.caa(issuer).await;
        let now = self.now();
        let unknown = || Fact::unknown(now, "the certificate has no names");
        let facts = GateFacts {
            zone_ready: worst(places.iter().map(|place| place.zone_ready.clone())).unwrap_or_else(unknown),
            place_free: worst(places.iter().map(|place| place.free.clone())).unwrap_or_else(unknown),
            delegated: worst(places.into_iter().map(|place| place.delegated)).unwrap_or_else(unknown),
            caa,
            renewal_due: self.case.flaw(Some(&issuer.directory), now).is_none(),
        };
        let opened = match gate(&facts, now) {
            Gate::Open => self.within_budget(now),
            held @ Gate::Held { .. } => held,
        };
        self.case.memory.gate = Some(opened);
    }

    /// What CAA says of all names; looked up again only after a while.
    async fn caa(&mut self, issuer: &Issuer) -> Fact {
        let now = self.now();
        let earlier = self.case.memory.caa.take();
        if let Some((fact, looked_at)) = &earlier
            && now < after(*looked_at, CAA_KEPT)
        {
            let fact = fact.clone();
            self.case.memory.caa = earlier;
            return fact;
        }
        let account = issuer.account.as_ref();
        let names = &self.case.request.names;
        let verdicts = futures::future::join_all(names.iter().map(|name| self.edges.caa.permits(name, account))).await;
        let facts = verdicts.into_iter().map(|verdict| match verdict {
            CaaVerdict::Allowed => Fact::holds(now),
            CaaVerdict::Forbidden(message) => Fact::fails(now, message),
            CaaVerdict::Unknown(message) => Fact::unknown(now, message),
        });
        let mut fact = worst(facts).unwrap_or_else(|| Fact::holds(now));
        if let Some((earlier, _)) = earlier.filter(|(earlier, _)| earlier.truth == fact.truth) {
            fact.since = earlier.since;
        }
        self.case.memory.caa = Some((fact.clone(), now));
        fact
    }

    /// Whether the budgets let an order through. A renewal asks again when it is known whether it is exempt.
    fn within_budget(&self, now: Timestamp) -> Gate {
        let names = self.case.request.name_set();
        let replaces = self.replaceable(now).is_some();
        match self.edges.budgets.allowance(&self.case.request.issuer, Ask { names: &names, replaces }, now) {
            Allowance::Now => Gate::Open,
            Allowance::At { at, message } => held_by_budget(at, message),
        }
    }

    /// The certificate in hand, if a new order would name it as the one it replaces.
    fn replaceable(&self, now: Timestamp) -> Option<&RenewalId> {
        let issuer = self.issuer.as_ref().ok()?;
        let may = issuer.account.directory().renewal_info
            && !self.case.memory.omits_replaces
            && self.case.flaw(Some(&issuer.directory), now).is_none();
        self.case.held().filter(|_| may)?.leaf.renewal_id.as_ref()
    }

    /// Makes the pending key and saves it.
    pub(super) async fn make_key(&mut self) -> Result<(), StoreError> {
        let algorithm = match self.case.request.algorithm {
            KeyAlgorithm::P256 => lamia_providers::acme::KeyAlgorithm::P256,
            KeyAlgorithm::P384 => lamia_providers::acme::KeyAlgorithm::P384,
        };
        let no_key = |source| StoreError::Api { what: "a new private key".to_owned(), source };
        let key = generate_key(algorithm).map_err(|error| no_key(error.into()))?;
        let public = PublicKey::of(&key).ok_or_else(|| no_key("the key that was made can't be read".into()))?;
        let version = self.edges.store.save_pending_key(&self.case.owner, &key).await?;
        self.case.secret.pending = Some(public);
        self.case.secret.version = version;
        self.case.memory.key = Some(key);
        Ok(())
    }

    /// Places the order, if the budgets let it.
    pub(super) async fn new_order(&mut self, issuer: &Issuer) -> Result<(), StoreError> {
        let replaces = self.replaceable(self.now()).cloned();
        let names = self.case.request.name_set();
        let ask = Ask { names: &names, replaces: replaces.is_some() };
        let now = self.now();
        if let Allowance::At { at, message } = self.edges.budgets.take(&self.case.request.issuer, ask, now) {
            self.case.memory.gate = Some(held_by_budget(at, message));
            return Ok(());
        }
        let order = NewOrder {
            names: self.case.request.names.clone(),
            profile: self.case.request.profile.clone().or_else(|| issuer.profile.clone()),
            replaces: replaces.clone(),
        };
        match issuer.account.new_order(&order).await {
            Ok(snapshot) => {
                self.edges.budgets.order_taken(&self.case.request.issuer);
                self.answered();
                let memory = &mut self.case.memory;
                (memory.gate, memory.trouble, memory.given_up) = (None, None, false);
                (memory.asked, memory.exempt) = (Asked::Nothing, ask.replaces);
                memory.order = Some(SeenOrder::new(snapshot, self.edges.clock.now()));
            }
            Err(error) if replaces.is_some() && is_about_replacing(&error) => self.case.memory.omits_replaces = true,
            Err(error) => {
                if is_stumble(&error) {
                    self.case.memory.omits_replaces = replaces.is_some() && self.may_cost(&names);
                }
                self.order_refused(&error, ask);
            }
        }
        Ok(())
    }

    /// Whether the budgets let an order through that is not exempt.
    fn may_cost(&self, names: &BTreeSet<HostName>) -> bool {
        let ask = Ask { names, replaces: false };
        self.edges.budgets.allowance(&self.case.request.issuer, ask, self.now()) == Allowance::Now
    }

    fn order_refused(&mut self, error: &AcmeError, ask: Ask<'_>) {
        self.case.memory.gate = None;
        // Where only the answer was lost there may be an order. Nobody knows of it, so it never becomes a certificate.
        self.edges.budgets.order_failed(&self.case.request.issuer, ask);
        self.refused(error, false);
        if let (Some(until), Some(trouble)) = (self.case.memory.hold, &self.case.memory.trouble)
            && trouble.reason == CertificateReason::RateLimited
        {
            self.edges.budgets.refused(&self.case.request.issuer, until);
        }
    }

    /// Writes the order's URL and values into the status, before anything is published.
    pub(super) async fn record_order(&mut self) -> Result<(), StoreError> {
        let Some(order) = &self.case.memory.order else { return Ok(()) };
        let mut book = self.case.book.clone();
        if book.order_url.as_deref() != Some(&order.snapshot.url) && !self.case.memory.exempt {
            note(&mut book.ordered, order.at);
        }
        book.order_url = Some(order.snapshot.url.clone());
        book.step = Some("PublishTxt".to_owned());
        for (place, value) in self.places(order) {
            let is_elsewhere = |it: &ChallengeRecord| it.value == value && is_under_alias(it, &place);
            book.challenges.retain(|recorded| !is_elsewhere(recorded));
            book.add_challenges([ChallengeRecord { name: place.record.to_string(), value }]);
        }
        let before = std::mem::replace(&mut self.case.book, book);
        let because = Because::new(CertificateReason::Ordering, "an order is under way at the CA");
        let written = self.write_book(&because).await;
        match written {
            Ok(()) => self.case.memory.asked = Asked::Nothing,
            Err(_) => self.case.book = before,
        }
        written
    }

    /// The values that an order asks for, each with its place now.
    fn places(&self, order: &SeenOrder) -> impl Iterator<Item = (ChallengePlace, String)> {
        unproven(&order.snapshot)
            .filter_map(|proof| Some((self.edges.dns.place(&proof.name), proof.dns01.as_ref()?.txt_value.clone())))
    }

    /// Whether a value that was to be published waits under a name that has become an alias.
    pub(super) fn has_moved(&self) -> bool {
        let Case { book, memory, .. } = &self.case;
        let (Asked::Publish, Some(order)) = (&memory.asked, &memory.order) else { return false };
        let stray = |(place, value): (ChallengePlace, String)| {
            book.challenges.iter().any(|it| it.value == value && is_under_alias(it, &place))
        };
        self.places(order).any(stray)
    }

    /// Has the recorded values published.
    pub(super) fn publish(&mut self) {
        self.edges.dns.publish(&self.case.owner.name, &self.case.book.challenges);
        self.case.memory.asked = Asked::Publish;
    }

    /// Tells the CA to look.
    pub(super) async fn accept(&mut self, issuer: &Issuer, urls: &[String]) {
        let Some(order_url) = self.case.book.order_url.clone() else { return };
        for url in urls {
            match issuer.account.accept(&order_url, url).await {
                Ok(()) => {
                    let now = self.now();
                    self.answered();
                    self.case.memory.order = self.case.memory.order.take().map(|order| order.accepted(url, now));
                }
                Err(error) => return self.refused(&error, false),
            }
        }
    }

    /// Looks at the order.
    pub(super) async fn poll(&mut self, issuer: &Issuer) {
        let Some(url) = self.case.book.order_url.clone() else { return };
        match issuer.account.order(&url).await {
            Ok(snapshot) => self.see(snapshot),
            Err(error) => self.refused(&error, true),
        }
    }

    fn see(&mut self, snapshot: OrderSnapshot) {
        self.answered();
        // The status is not trusted: an order of this account, but for other names, is none of ours.
        let ordered: std::collections::BTreeSet<_> = snapshot.names.iter().cloned().collect();
        if ordered != self.case.request.name_set() {
            return self.fail(&Failure::Misfit("it is for other names"));
        }
        let now = self.now();
        self.case.memory.order = Some(match self.case.memory.order.take() {
            Some(order) => order.seen_again(snapshot, now),
            None => SeenOrder::new(snapshot, now),
        });
    }

    /// Sends the CSR.
    pub(super) async fn finalize(&mut self, issuer: &Issuer) -> Result<(), StoreError> {
        let Some(url) = self.case.book.order_url.clone() else { return Ok(()) };
        let Some(key) = self.pending_key().await? else { return Ok(()) };
        let Ok(csr) = signing_request(&key, &self.case.request.names) else {
            self.case.secret.pending = None;
            return Ok(());
        };
        match issuer.account.finalize(&url, &csr).await {
            Ok(snapshot) => self.see(snapshot),
            // Whether it came through is not known: only a new look may decide what follows.
            Err(error) => self.refused(&error, false),
        }
        Ok(())
    }

    /// The pending key, from memory or read back. When the Secret has none any more, the case knows so afterwards.
    async fn pending_key(&mut self) -> Result<Option<Secret>, StoreError> {
        if self.case.memory.key.is_none() {
            self.case.memory.key = self.edges.store.read_pending_key(&self.case.owner).await?;
        }
        let key = self.case.memory.key.clone();
        self.case.secret.pending = key.as_ref().and_then(PublicKey::of);
        if self.case.secret.pending.is_none() {
            self.case.memory.key = None;
        }
        Ok(self.case.memory.key.clone())
    }

    /// Fetches the certificate, checks it, and saves it with its key.
    pub(super) async fn download(&mut self, issuer: &Issuer) -> Result<(), StoreError> {
        let Some(url) = self.case.book.order_url.clone() else { return Ok(()) };
        let Some(key) = self.pending_key().await? else { return Ok(()) };
        let Some(public) = self.case.secret.pending.clone() else { return Ok(()) };
        let chain = match issuer.account.certificate(&url).await {
            Ok(chain) => chain,
            Err(error) => {
                self.refused(&error, false);
                return Ok(());
            }
        };
        self.answered();
        let now = self.now();
        let leaf = match read_leaf(chain.as_bytes()) {
            Ok(leaf) => leaf,
            Err(_) => {
                self.fail(&Failure::Misfit("it can't be read"));
                return Ok(());
            }
        };
        if let Err(misfit) = fits(&leaf, &public.bits, &self.case.wanted(None), now) {
            self.fail(&Failure::Misfit(misfit));
            return Ok(());
        }
        let certificate = NewCertificate {
            chain: &chain,
            key: &key,
            leaf: &leaf,
            directory: &issuer.directory,
            onto: self.case.secret.version,
        };
        let version = self.edges.store.save_certificate(&self.case.owner, &certificate).await?;
        tracing::info!(certificate = %self.case.owner.name, serial = %leaf.serial, not_after = %leaf.validity.not_after, "issued");
        let memory = &mut self.case.memory;
        memory.ask_again = Some(leaf.validity.first_question(now, seed(&leaf.serial)));
        (memory.key, memory.window, memory.trouble, memory.hold) = (None, None, None, None);
        memory.omits_replaces = false;
        let held = Held { leaf, key: public.bits, directory: Some(issuer.directory.clone()) };
        self.case.secret = SecretState { in_hand: InHand::Certificate(Box::new(held)), pending: None, version };
        Ok(())
    }

    /// Has every recorded value withdrawn.
    pub(super) fn clean_up(&mut self, now: Timestamp) {
        self.note_hopeless(now);
        self.edges.dns.withdraw(&self.case.owner.name, &self.case.book.challenges);
        self.case.memory.asked = Asked::Withdraw;
    }

    /// An order that came to nothing by itself is a failure too; noted once.
    fn note_hopeless(&mut self, now: Timestamp) {
        if self.case.memory.given_up || self.case.secret.pending.is_none() || !self.case.is_needed {
            return;
        }
        let order = self.case.memory.order.as_ref().map(|order| order.snapshot.clone());
        if let Some(order) = order.filter(|order| is_hopeless(order, now)) {
            tracing::info!(certificate = %self.case.owner.name, order = %order.url, error = ?order.error, "the order came to nothing");
            self.fail(&Failure::Order(&order));
        }
    }

    /// Writes how it ended.
    pub(super) async fn conclude(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.note_hopeless(now);
        let before = self.case.book.clone();
        let book = &mut self.case.book;
        (book.order_url, book.step) = (None, None);
        book.challenges.clear();
        let directory = self.directory().map(str::to_owned);
        // The pending key goes with the write that brings the certificate: without it, this order is why one is in hand.
        if self.case.secret.pending.is_none() && self.case.flaw(directory.as_deref(), now).is_none() {
            self.note_issued(now);
        }
        let memory = &mut self.case.memory;
        (memory.order, memory.gate, memory.given_up, memory.exempt) = (None, None, false, false);
        memory.asked = Asked::Nothing;
        let observed = self.observe(now);
        let step = lamia_core::cert::step::next_step(&observed, now);
        let dns = super::edges::ChallengeState::Gone;
        let because = report::because(&self.case, directory.as_deref(), &step, &dns, now);
        let written = self.write_book(&because).await;
        if written.is_err() {
            self.case.book = before;
            self.case.memory.asked = Asked::Withdraw;
        }
        written
    }

    /// Notes a success; once for an order that is counted, however often the process died on the way.
    fn note_issued(&mut self, now: Timestamp) {
        let book = &mut self.case.book;
        (book.attempt, book.retry_after, book.last_error) = (0, None, None);
        if book.ordered.first() > book.issued.first() {
            note(&mut book.issued, now);
        }
    }

    async fn write_book(&mut self, because: &Because<CertificateReason>) -> Result<(), StoreError> {
        let now = self.now();
        let current = report::current(&self.case, self.directory(), now);
        let status = report::status(&self.case, current.as_ref(), because, now);
        self.save_status(status).await
    }
}

fn held_by_budget(at: Timestamp, message: String) -> Gate {
    Gate::Held { until: Some(at), because: Because::new(CertificateReason::RateLimited, message) }
}

/// Whether the CA may have refused only because of the certificate that is named as replaced: any refusal of the request
/// itself counts, as CAs differ in what they call it (`alreadyReplaced`, `unauthorized`, `malformed`, …).
fn is_about_replacing(error: &AcmeError) -> bool {
    match error {
        AcmeError::Problem { problem, status, .. } => {
            (400..500).contains(status) && *status != 429 && problem.kind != "rateLimited"
        }
        AcmeError::Transport(_) => false,
    }
}

/// Whether the CA failed by a mistake of its own, maybe over the certificate that is named as replaced. So orders name it and do not in turn.
fn is_stumble(error: &AcmeError) -> bool {
    matches!(error, AcmeError::Problem { status: 500, .. })
}

/// Whether a value is recorded under a name that leads on to `place`.
fn is_under_alias(recorded: &ChallengeRecord, place: &ChallengePlace) -> bool {
    place.aliases.iter().any(|alias| alias.as_str() == recorded.name)
}
