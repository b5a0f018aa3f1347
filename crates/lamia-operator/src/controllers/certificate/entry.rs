//! One certificate in the index: what was seen of it, who needs it, and which job is next.
//!
//! | object | needed | turn |
//! |---|---|---|
//! | none | yes | `Create` |
//! | none | no | `Forget` |
//! | being deleted | – | `Advance` until nothing is in DNS, then `Release` |
//! | there | yes | `Annotate` if its annotations say otherwise, else `Advance` |
//! | there | not known yet | `Rest` until every need is known |
//! | there | no | `Advance` until nothing is in DNS; `Annotate` as parked; `Rest` until its parking ends; then `Delete` |

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;
use lamia_api::meta::{ANNOTATION_CLAIM, ANNOTATION_HOSTS, ANNOTATION_PARKED, FINALIZER_CERTIFICATE};
use lamia_api::{HostCertificate, HostCertificateSpec};
use lamia_core::cert::checks::InHand;
use lamia_core::host::reason::CertificateReason;
use lamia_core::name::HostName;

use super::parking::kept_until;
use crate::issuance::{About, Case, CertificateState, Outcome, Owner, SecretState, Version};
use crate::metrics::census::Expiry;

/// Why a certificate is needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// What it is to be.
    pub spec: HostCertificateSpec,
    /// The namespace that holds the claim on its names.
    pub claim: String,
    /// `<namespace>/<name>` of the SecuredHosts that it serves.
    pub hosts: BTreeSet<String>,
}

/// What a turn is for.
pub(super) enum Job {
    Create { spec: HostCertificateSpec, about: About },
    Look(Owner),
    Annotate { owner: Owner, about: About },
    Advance(Box<Case>),
    Release(Owner),
    Delete(Owner),
    Rest(Option<Timestamp>),
    Forget,
}

/// What is kept of the object, apart from its case.
#[derive(Clone, PartialEq)]
struct Seen {
    owner: Owner,
    is_deleting: bool,
    has_finalizer: bool,
    about: About,
}

/// What the budgets are rebuilt from.
pub(super) struct Past {
    pub(super) names: BTreeSet<HostName>,
    pub(super) ordered: Vec<Timestamp>,
    pub(super) issued: Vec<Timestamp>,
    pub(super) failed: Vec<Timestamp>,
}

/// One certificate.
#[derive(Default)]
pub(super) struct Entry {
    seen: Option<Seen>,
    case: Option<Case>,
    need: Option<Need>,
    /// What is in the master Secret.
    pub(super) secret: SecretState,
    /// The version of the Secret that the turn under way was given.
    given: Version,
    /// What hosts are told.
    pub(super) state: Option<CertificateState>,
    /// When it last had a turn, it waited for nothing but the time of its renewal.
    pub(super) rests: bool,
    /// The Secret was not in a list where it should be.
    pub(super) must_look: bool,
    /// The issuer is another one than when it last said no.
    pub(super) issuer_changed: bool,
}

impl Entry {
    pub(super) fn has_object(&self) -> bool {
        self.seen.is_some()
    }

    pub(super) fn is_needed(&self) -> bool {
        self.need.is_some() && self.seen.as_ref().is_none_or(|seen| !seen.is_deleting)
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.case.as_ref().map(|case| case.request.issuer.as_str())
    }

    /// What the first turn will tell where a good certificate is in hand, and fresh.
    pub(super) fn in_hand(&self, now: Timestamp) -> Option<CertificateState> {
        self.seen.as_ref().filter(|seen| !seen.is_deleting)?;
        let case = Case { secret: self.secret.clone(), ..self.case.clone()? };
        CertificateState::in_hand(&case, now)
    }

    /// When its certificate ends; `None` while there is none, or nothing that it belongs to.
    pub(super) fn expiry(&self, name: &str) -> Option<Expiry> {
        let (seen, case) = (self.seen.as_ref()?, self.case.as_ref()?);
        let InHand::Certificate(held) = &self.secret.in_hand else { return None };
        Some(Expiry {
            certificate: name.to_owned(),
            namespace: seen.about.claim.clone().unwrap_or_default(),
            host: case.request.names.first()?.to_string(),
            not_after: held.leaf.validity.not_after,
        })
    }

    /// The object as the watch shows it. Its status is read only the first time: from then on, this process is its writer.
    pub(super) fn see(&mut self, object: &HostCertificate) -> bool {
        let seen = Seen::read(object);
        let is_same = self.seen.as_ref().is_some_and(|before| before.owner == seen.owner);
        if !is_same {
            match Case::open(object) {
                Ok(case) => self.case = Some(case),
                Err(error) => {
                    tracing::warn!(certificate = %seen.owner.name, %error, "a HostCertificate that Lamia did not write; left alone");
                    self.case = None;
                }
            }
        }
        let differs = self.seen.as_ref() != Some(&seen);
        self.seen = Some(seen);
        differs
    }

    pub(super) fn object_gone(&mut self) -> bool {
        (self.seen, self.case, self.state) = (None, None, None);
        true
    }

    /// News of the Secret; an echo of an older write is none.
    pub(super) fn see_secret(&mut self, state: SecretState) -> bool {
        let is_news = state.version > self.secret.version;
        let differs = is_news && (&state.in_hand, &state.pending) != (&self.secret.in_hand, &self.secret.pending);
        if is_news {
            self.secret = state;
        }
        differs
    }

    /// The Secret as it was found by looking for it.
    pub(super) fn looked(&mut self, state: SecretState) -> bool {
        self.must_look = false;
        self.secret = state;
        true
    }

    pub(super) fn set_need(&mut self, need: Option<Need>) -> bool {
        let differs = self.need != need;
        self.need = need;
        differs
    }

    pub(super) fn annotated(&mut self, about: About) -> bool {
        if let Some(seen) = &mut self.seen {
            seen.about = about;
        }
        true
    }

    pub(super) fn released(&mut self) -> bool {
        if let Some(seen) = &mut self.seen {
            seen.has_finalizer = false;
        }
        false
    }

    /// What to do now.
    pub(super) fn job(&mut self, name: &str, needs_known: bool, now: Timestamp) -> Job {
        let Some(seen) = self.seen.clone() else {
            return match &self.need {
                Some(need) => Job::Create { spec: need.spec.clone(), about: need.about() },
                None => Job::Forget,
            };
        };
        debug_assert_eq!(seen.owner.name, name);
        if self.case.is_none() {
            return if seen.is_deleting && seen.has_finalizer { Job::Release(seen.owner) } else { Job::Rest(None) };
        }
        if self.must_look {
            return Job::Look(seen.owner);
        }
        if seen.is_deleting {
            return match (self.is_settled(), seen.has_finalizer) {
                (false, _) => self.advance(false),
                (true, true) => Job::Release(seen.owner),
                (true, false) => Job::Rest(None),
            };
        }
        match &self.need {
            Some(need) if need.about() != seen.about => Job::Annotate { owner: seen.owner, about: need.about() },
            Some(_) => self.advance(true),
            None if !needs_known => Job::Rest(None),
            None => self.park(&seen, now),
        }
    }

    /// Nobody needs it.
    fn park(&mut self, seen: &Seen, now: Timestamp) -> Job {
        if !self.is_settled() {
            return self.advance(false);
        }
        let not_after = self.case.as_ref().and_then(Case::held).map(|held| held.leaf.validity.not_after);
        match seen.about.parked_since {
            None => {
                let about =
                    About { parked_since: Some(whole_seconds(now)), hosts: String::new(), ..seen.about.clone() };
                Job::Annotate { owner: seen.owner.clone(), about }
            }
            Some(since) if kept_until(since, not_after) <= now => Job::Delete(seen.owner.clone()),
            Some(since) => Job::Rest(Some(kept_until(since, not_after))),
        }
    }

    fn advance(&mut self, is_needed: bool) -> Job {
        let Some(mut case) = self.case.clone() else { return Job::Rest(None) };
        case.is_needed = is_needed;
        case.secret = self.secret.clone();
        self.given = self.secret.version;
        if std::mem::take(&mut self.issuer_changed)
            && case.memory.trouble.as_ref().is_some_and(|trouble| is_issuers(trouble.reason))
        {
            (case.memory.hold, case.memory.trouble) = (None, None);
        }
        Job::Advance(Box::new(case))
    }

    /// Whether nothing of it is, or may be, in DNS or under way.
    fn is_settled(&self) -> bool {
        self.case.as_ref().is_none_or(|case| case.book.order_url.is_none() && case.book.challenges.is_empty())
    }

    /// Takes over what a turn came to; says whether hosts are to be told.
    pub(super) fn take_back(&mut self, Outcome { case, state, rests, .. }: Outcome) -> bool {
        if self.seen.as_ref().is_none_or(|seen| seen.owner != case.owner) {
            return false;
        }
        // What the turn wrote counts, unless the watch showed something newer meanwhile.
        if self.secret.version == self.given || case.secret.version >= self.secret.version {
            self.secret = case.secret.clone();
        }
        (self.case, self.rests) = (Some(case), rests);
        let told = |state: &CertificateState| (state.current.clone(), state.because.clone());
        let is_told = self.state.as_ref().map(told) != Some(told(&state));
        self.state = Some(state);
        is_told
    }

    /// What the budgets are rebuilt from; an order under way counts as a certificate.
    pub(super) fn past(&self) -> Option<Past> {
        let case = self.case.as_ref()?;
        let book = &case.book;
        let under_way = book.order_url.as_ref().and_then(|_| book.ordered.first().copied());
        Some(Past {
            names: case.request.name_set(),
            ordered: book.ordered.clone(),
            issued: book.issued.iter().copied().chain(under_way).collect(),
            failed: book.failed.clone(),
        })
    }
}

impl Need {
    fn about(&self) -> About {
        let hosts: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        About { claim: Some(self.claim.clone()), hosts: hosts.join(","), parked_since: None }
    }
}

impl Seen {
    fn read(object: &HostCertificate) -> Self {
        let annotation = |name: &str| object.annotations().get(name).cloned();
        Self {
            owner: Owner { name: object.name_any(), uid: object.uid().unwrap_or_default() },
            is_deleting: object.metadata.deletion_timestamp.is_some(),
            has_finalizer: object.finalizers().iter().any(|it| it == FINALIZER_CERTIFICATE),
            about: About {
                claim: annotation(ANNOTATION_CLAIM),
                hosts: annotation(ANNOTATION_HOSTS).unwrap_or_default(),
                parked_since: annotation(ANNOTATION_PARKED).and_then(|text| text.parse().ok()),
            },
        }
    }
}

/// Reasons that a change of the issuer may cure.
fn is_issuers(reason: CertificateReason) -> bool {
    matches!(
        reason,
        CertificateReason::NoIssuer
            | CertificateReason::IssuerNotReady
            | CertificateReason::Refused
            | CertificateReason::CAUnavailable
            | CertificateReason::Retrying
    )
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
