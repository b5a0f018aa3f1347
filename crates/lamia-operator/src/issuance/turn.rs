//! One turn of one certificate: step after step until one has to wait. Nothing sleeps here; a turn that waits ends and says until when.

use jiff::{SignedDuration, Timestamp};
use lamia_core::cert::renewal::Window;
use lamia_core::cert::step::{Need, Observed, Recorded, Step, TxtState, Wait, next_step};
use lamia_core::host::reason::{Because, CertificateReason};

use super::case::{Asked, Case, seed};
use super::edges::{ChallengeState, Edges, Issuer, StoreError};
use super::report::{self, CertificateState};

/// More steps than any turn has; a turn that reaches it goes round in circles, which is a bug, and is slowed down.
const MOST_STEPS: usize = 40;
/// When to look again though only an event can change anything: an event may have been lost.
const SAFETY: SignedDuration = SignedDuration::from_secs(30);
/// When to look again for an issuer that is not ready; its controller wakes us earlier.
const ISSUER_RECHECK: SignedDuration = SignedDuration::from_secs(60);
/// When to ask a CA without advice for it again.
const ADVICE_RECHECK: SignedDuration = SignedDuration::from_hours(24);
/// When to ask again for advice that could not be had.
const ADVICE_RETRY: SignedDuration = SignedDuration::from_hours(1);

/// What a turn came to.
pub struct Outcome {
    /// The case as it is now.
    pub case: Case,
    /// What hosts are told.
    pub state: CertificateState,
    /// When to take the next turn; `None` when only an event can change anything.
    pub again: Option<Timestamp>,
    /// Whether it waits for nothing but the time of its renewal.
    pub rests: bool,
}

/// Takes a turn.
pub async fn advance(edges: &Edges, case: Case) -> Outcome {
    let issuer = edges.issuers.issuer(&case.request.issuer);
    let mut turn = Turn { edges, case, issuer };
    turn.begin().await;
    let (step, until) = turn.run().await;
    turn.end(&step, until).await
}

/// A turn under way.
pub(super) struct Turn<'a> {
    pub(super) edges: &'a Edges,
    pub(super) case: Case,
    pub(super) issuer: Result<Issuer, Because<CertificateReason>>,
}

/// How a turn goes on after a step.
pub(super) enum Flow {
    /// With the next step.
    Again,
    /// It ends, and the next one begins then.
    Wait(Option<Timestamp>),
}

impl Turn<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.edges.clock.now()
    }

    pub(super) fn directory(&self) -> Option<&str> {
        self.issuer.as_ref().ok().map(|issuer| issuer.directory.as_str())
    }

    /// What has to be found out anew, or asked, before the first step.
    async fn begin(&mut self) {
        if self.case.book.order_url.is_none() && self.case.memory.order.is_none() {
            self.case.memory.gate = None;
        }
        let is_about_issuer = |because: &Because<_>| {
            matches!(because.reason, CertificateReason::NoIssuer | CertificateReason::IssuerNotReady)
        };
        if self.issuer.is_ok() && self.case.memory.trouble.as_ref().is_some_and(is_about_issuer) {
            self.case.memory.trouble = None;
        }
        self.ask_advice().await;
    }

    async fn run(&mut self) -> (Step, Option<Timestamp>) {
        for _ in 0..MOST_STEPS {
            let now = self.now();
            let step = next_step(&self.observe(now), now);
            tracing::debug!(certificate = %self.case.owner.name, step = step.as_str(), "issuance");
            match self.take(&step, now).await {
                Ok(Flow::Again) => self.case.memory.store_failures = 0,
                Ok(Flow::Wait(until)) => return (step, until),
                Err(error) => return (step, self.note_store_failure(&error)),
            }
        }
        let now = self.now();
        let step = next_step(&self.observe(now), now);
        tracing::error!(certificate = %self.case.owner.name, step = step.as_str(), "issuance goes round in circles");
        (step, Some(after(now, SAFETY)))
    }

    /// Everything that decides the next step.
    pub(super) fn observe(&self, now: Timestamp) -> Observed {
        let Case { book, memory, secret, request, .. } = &self.case;
        let recorded = Recorded {
            order_url: book.order_url.clone(),
            values: book.challenges.iter().map(|challenge| challenge.value.clone()).collect(),
        };
        Observed {
            need: self.need(now),
            pending_key: secret.pending.as_ref().is_some_and(|key| key.algorithm == Some(request.algorithm)),
            recorded,
            order: memory.order.clone(),
            given_up: memory.given_up,
            moved: self.has_moved(),
            txt: self.txt_state(),
            gate: memory.gate.clone(),
            hold: memory.hold,
        }
    }

    fn need(&self, now: Timestamp) -> Need {
        if !self.case.is_needed {
            return Need::Nobody;
        }
        match (self.case.flaw(self.directory(), now), self.case.renew_at()) {
            (None, Some(renew_at)) if now < renew_at => {
                Need::Fresh { until: self.case.memory.ask_again.map_or(renew_at, |ask| ask.min(renew_at)) }
            }
            _ => Need::Issue,
        }
    }

    fn txt_state(&self) -> TxtState {
        let state = || self.edges.dns.state(&self.case.owner.name);
        match self.case.memory.asked {
            Asked::Nothing => TxtState::Unasked,
            Asked::Publish if state() == ChallengeState::Published => TxtState::Published,
            Asked::Publish => TxtState::Publishing,
            Asked::Withdraw if state() == ChallengeState::Gone => TxtState::Gone,
            Asked::Withdraw => TxtState::Withdrawing,
        }
    }

    /// Carries out one step.
    async fn take(&mut self, step: &Step, now: Timestamp) -> Result<Flow, StoreError> {
        let needs_account = step.asks_ca() || *step == Step::CheckGate;
        let issuer = match (&self.issuer, needs_account) {
            (Err(because), true) => {
                self.case.memory.trouble = Some(because.clone());
                return Ok(Flow::Wait(Some(after(now, ISSUER_RECHECK))));
            }
            (issuer, _) => issuer.as_ref().ok().cloned(),
        };
        match (step, issuer) {
            (Step::CheckGate, Some(issuer)) => self.check_gate(&issuer).await,
            (Step::NewOrder, Some(issuer)) => self.new_order(&issuer).await?,
            (Step::Accept(urls), Some(issuer)) => self.accept(&issuer, urls).await,
            (Step::Poll, Some(issuer)) => self.poll(&issuer).await,
            (Step::Finalize, Some(issuer)) => self.finalize(&issuer).await?,
            (Step::Download, Some(issuer)) => self.download(&issuer).await?,
            (Step::MakeKey, _) => self.make_key().await?,
            (Step::RecordOrder, _) => self.record_order().await?,
            (Step::PublishTxt, _) => self.publish(),
            (Step::CleanUp, _) => self.clean_up(now),
            (Step::Conclude, _) => self.conclude(now).await?,
            (Step::AwaitDns, _) => return Ok(Flow::Wait(Some(after(now, SAFETY)))),
            (Step::Nothing { until: None, wait: Wait::Withdrawal }, _) => {
                return Ok(Flow::Wait(Some(after(now, SAFETY))));
            }
            (Step::Nothing { until, .. }, _) => return Ok(Flow::Wait(*until)),
            (
                Step::CheckGate | Step::NewOrder | Step::Accept(_) | Step::Poll | Step::Finalize | Step::Download,
                None,
            ) => {
                return Ok(Flow::Wait(Some(after(now, ISSUER_RECHECK))));
            }
        }
        Ok(Flow::Again)
    }

    /// Asks the CA when to renew, when its time has come and nothing is under way (RFC 9773 §4).
    async fn ask_advice(&mut self) {
        let (now, own) = (self.now(), &self.case);
        let Ok(issuer) = self.issuer.clone() else { return };
        let is_idle = own.is_needed && own.book.order_url.is_none() && own.memory.order.is_none();
        let Some(held) = own.held().filter(|_| is_idle && own.flaw(Some(&issuer.directory), now).is_none()) else {
            return;
        };
        if !issuer.account.directory().renewal_info {
            return;
        }
        let first = || held.leaf.validity.first_question(now, seed(&held.leaf.serial));
        let due = self.case.memory.ask_again.unwrap_or_else(first);
        if now < due {
            self.case.memory.ask_again = Some(due);
            return;
        }
        let Some(id) = held.leaf.renewal_id.clone() else {
            self.case.memory.ask_again = Some(after(now, ADVICE_RECHECK));
            return;
        };
        let again = match issuer.account.renewal_window(&id).await {
            Ok(Some(advice)) => {
                self.case.memory.window = Some(Window { start: advice.start, end: advice.end });
                advice.ask_again
            }
            Ok(None) => after(now, ADVICE_RECHECK),
            Err(error) => {
                tracing::debug!(certificate = %self.case.owner.name, %error, "no advice on renewal");
                after(now, ADVICE_RETRY)
            }
        };
        self.case.memory.ask_again = Some(again);
    }

    /// Notes that the API server did not do it; says when to try again.
    fn note_store_failure(&mut self, error: &StoreError) -> Option<Timestamp> {
        let name = &self.case.owner.name;
        match error {
            StoreError::Gone { .. } => {
                tracing::debug!(certificate = %name, %error, "the object is gone; its watch will tell");
                return None;
            }
            StoreError::Foreign { .. } => {
                self.case.memory.trouble = Some(Because::new(CertificateReason::Retrying, error.to_string()));
            }
            StoreError::Api { source, .. } => {
                tracing::warn!(certificate = %name, %error, cause = %source, "trying again");
            }
        }
        let failures = self.case.memory.store_failures;
        self.case.memory.store_failures = failures.saturating_add(1);
        Some(after(self.now(), SignedDuration::from_secs(1_i64 << failures.min(5))))
    }

    /// Tells how it stands, and writes the status if it is worth it.
    async fn end(mut self, step: &Step, until: Option<Timestamp>) -> Outcome {
        let now = self.now();
        let dns = match step {
            Step::AwaitDns => self.edges.dns.state(&self.case.owner.name),
            _ => ChallengeState::Pending { because: None },
        };
        let directory = self.directory().map(str::to_owned);
        let because = report::because(&self.case, directory.as_deref(), step, &dns, now);
        let current = report::current(&self.case, directory.as_deref(), now);
        let desired = report::status(&self.case, current.as_ref(), &because, now);
        let mut again = until;
        if desired == self.case.written {
            self.case.memory.unwritten = None;
        } else {
            let same = self.case.memory.unwritten.filter(|(reason, _)| *reason == because.reason);
            let (_, since) = *self.case.memory.unwritten.insert(same.unwrap_or((because.reason, now)));
            let due = after(since, report::patience(&self.case, &because));
            let written = if due <= now { self.save_status(desired).await } else { Ok(()) };
            let retry = match written {
                Ok(()) if due <= now => None,
                Ok(()) => Some(due),
                Err(error) => self.note_store_failure(&error),
            };
            again = [again, retry].into_iter().flatten().min();
        }
        let rests = matches!(step, Step::Nothing { wait: Wait::Renewal, .. });
        Outcome { state: CertificateState { current, because, next_check: until }, case: self.case, again, rests }
    }

    /// Writes the status; the case takes it over once it is written.
    pub(super) async fn save_status(&mut self, status: lamia_api::HostCertificateStatus) -> Result<(), StoreError> {
        self.edges.store.save_status(&self.case.owner, &status).await?;
        self.case.written = status;
        self.case.memory.unwritten = None;
        Ok(())
    }
}

/// `time + duration`, held at the end of what a timestamp can say.
pub(super) fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
