//! The one table of reasons: which condition has which, and whether it is True, False or Unknown then.
//!
//! `False` means that somebody must act, `Unknown` that Lamia or time is at work. Design and documentation quote this
//! table; nothing else decides a condition's status. It must not know how a reason is found out.

use std::fmt;

use lamia_api::condition::host as types;

/// The status of a condition, as Kubernetes writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not, and somebody must act.
    False,
    /// Not settled: Lamia or time is at work.
    Unknown,
}

impl Truth {
    /// The word in a condition's `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What the reasons of one condition have in common.
pub trait ConditionReason: Copy + Eq + fmt::Debug + Sized + 'static {
    /// The condition's type.
    const CONDITION: &'static str;
    /// Every reason of the condition, in the table's order.
    const ALL: &'static [Self];
    /// "Something earlier in the chain comes first."
    const WAITING: Self;

    /// The condition's status for this reason.
    fn truth(self) -> Truth;
    /// The word in a condition's `reason`.
    fn as_str(self) -> &'static str;
    /// The reason of that word, as another object's condition or an earlier status has it.
    #[must_use]
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

/// A reason, and the words that go with it: what is wrong, where, what to do. Stable text: no timestamp, no request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because<R> {
    /// Which row of the table.
    pub reason: R,
    /// For people.
    pub message: String,
}

impl<R> Because<R> {
    /// A reason in these words.
    pub fn new(reason: R, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl<R: ConditionReason> fmt::Display for Because<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)
    }
}

/// Writes one enum per condition from the table below.
macro_rules! reasons {
    ($(
        $(#[$about:meta])*
        $name:ident ($condition:path) {
            $( $(#[$meaning:meta])* $reason:ident => $truth:ident, )+
        }
    )+) => { $(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $( $(#[$meaning])* $reason, )+
            /// Something earlier in the chain comes first.
            Waiting,
        }

        impl ConditionReason for $name {
            const CONDITION: &'static str = $condition;
            const ALL: &'static [Self] = &[$( Self::$reason, )+ Self::Waiting];
            const WAITING: Self = Self::Waiting;

            fn truth(self) -> Truth {
                match self {
                    $( Self::$reason => Truth::$truth, )+
                    Self::Waiting => Truth::Unknown,
                }
            }

            fn as_str(self) -> &'static str {
                match self {
                    $( Self::$reason => stringify!($reason), )+
                    Self::Waiting => "Waiting",
                }
            }
        }
    )+ };
}

reasons! {
    /// Why a host is or is not accepted.
    AcceptedReason (types::ACCEPTED) {
        /// Valid, granted, nobody else's.
        Accepted => True,
        /// The spec can't be right.
        Invalid => False,
        /// The spec asks for what is modelled but not built.
        Unsupported => False,
        /// The zone's grants do not cover it.
        NotGranted => False,
        /// Somebody else has the host.
        HostClaimed => False,
        /// `management: Paused`.
        Paused => False,
    }

    /// Why the gateway's address is or is not known.
    AddressReason (types::ADDRESS_READY) {
        /// The gateway's Service has an address.
        AddressFound => True,
        /// `dns.target` is published instead of the gateway's address.
        TargetGiven => True,
        /// No Service (or, with `ref`, no Gateway) fits.
        GatewayNotFound => False,
        /// There is one, and its owner does not let this namespace use it.
        GatewayNotAllowed => False,
        /// More than one Service fits.
        AmbiguousGateway => False,
        /// The Service is of a type that gets no public address.
        NoPublicAddress => False,
        /// The Service does not have the host's port.
        PortNotExposed => False,
        /// The load balancer has no address yet.
        LoadBalancerPending => Unknown,
        /// The address is gone; the last one stays in DNS.
        KeepingLast => False,
    }

    /// Why the zone is or is not there.
    ZoneReason (types::ZONE_READY) {
        /// It is at the provider.
        ZoneFound => True,
        /// No DNSProvider is responsible for the host.
        NoProvider => False,
        /// The provider may not use or make this zone.
        ZoneNotListed => False,
        /// The zone is not at the provider and can't be made there.
        ZoneMissing => False,
        /// Being made.
        CreatingZone => Unknown,
        /// The provider refuses the credential, or what it may do does not suffice.
        Unauthorized => False,
        /// The spec of the Zone or of its DNSProvider can't be right.
        Invalid => False,
        /// The Zone or DNSProvider asks for what is modelled but not built.
        Unsupported => False,
        /// The provider can't be reached or fails.
        ProviderError => Unknown,
        /// The provider asks to be left alone for a while.
        Throttled => Unknown,
        /// There is only a private zone of that name.
        OnlyPrivateZone => False,
        /// Several zones of that name, at the provider or in the cluster.
        AmbiguousZone => False,
        /// The Zone is paused or inactive.
        Paused => False,
    }

    /// Why the parent does or does not lead to the zone.
    DelegatedReason (types::DELEGATED) {
        /// Every server that the parent names answers with the zone's content.
        Delegated => True,
        /// Not so, or not looked at, but the zone's `delegation` is `Warn` or `Off`.
        NotEnforced => True,
        /// The parent names nobody.
        NotDelegated => False,
        /// The parent itself does not know the domain.
        NotRegistered => False,
        /// The parent names servers with other content.
        Elsewhere => False,
        /// Some of the servers that the parent names are right.
        Partial => False,
        /// The parent names servers that do not answer authoritatively.
        Lame => False,
        /// The parent has DS records of another zone content.
        StaleDS => False,
        /// Nobody could be asked, or not yet.
        Unknown => Unknown,
    }

    /// Why the records are or are not at every authoritative server.
    RecordsReason (types::RECORDS_PUBLISHED) {
        /// They are.
        Published => True,
        /// `dns.publish: Never`.
        NotWanted => True,
        /// On the way.
        Pending => Unknown,
        /// `dns.publish: WhenServing`, and the gateway does not serve the certificate yet.
        AwaitingServing => Unknown,
        /// Somebody else's records are there.
        ForeignRecord => False,
        /// They would hide names that a wildcard answers for (RFC 4592 §2.2.2).
        ShadowsWildcard => False,
        /// The zone's own name can't be an alias (RFC 1034 §3.6.2).
        CNAMEAtApex => False,
        /// The zone has the name from another object.
        HostClaimed => False,
        /// The name can't stand in this zone.
        Invalid => False,
        /// The provider refuses the credential, or what it may do does not suffice.
        Unauthorized => False,
        /// The provider takes no more records in the zone.
        ZoneFull => False,
        /// The provider refuses these records.
        Refused => False,
        /// The provider can't be reached or fails.
        ProviderError => Unknown,
        /// The provider asks to be left alone for a while.
        Throttled => Unknown,
        /// Withdrawals wait for a person.
        DeletionHeld => False,
        /// Another living installation uses this cluster id.
        DuplicateClusterID => False,
        /// `management: Observe`: said, not done.
        Observing => False,
    }

    /// Why a valid certificate is or is not in hand.
    CertificateReason (types::CERTIFICATE_READY) {
        /// It is.
        Issued => True,
        /// It is, and its renewal has trouble.
        RenewalDelayed => True,
        /// No issuer is named and none is the default.
        NoIssuer => False,
        /// The issuer is there but has no account, or can't be used yet.
        IssuerNotReady => Unknown,
        /// The issuer is not for this namespace or name.
        IssuerNotAllowed => False,
        /// CAA records forbid the CA to issue (RFC 8659).
        CAAForbids => False,
        /// The challenge is not at every authoritative server yet.
        AwaitingDNS => Unknown,
        /// An order is under way.
        Ordering => Unknown,
        /// A rate limit of the CA; it refills by itself.
        RateLimited => Unknown,
        /// The CA can't be reached or fails.
        CAUnavailable => Unknown,
        /// The last attempt failed; another follows.
        Retrying => Unknown,
        /// The CA will not issue for this name.
        Refused => False,
        /// Somebody else's record is where the challenge belongs.
        ForeignRecord => False,
        /// The challenge would hide names that a wildcard answers for (RFC 4592 §2.2.2).
        ShadowsWildcard => False,
        /// The certificate in hand has expired.
        Expired => False,
        /// `management: Observe`: said, not done.
        Observing => False,
    }

    /// Why the gateway does or does not have the certificate.
    GatewayReason (types::GATEWAY_READY) {
        /// The Secret is delivered and the Gateway names it.
        Delivered => True,
        /// On the way.
        Applying => Unknown,
        /// A Secret of that name is somebody else's.
        ForeignSecret => False,
        /// A Gateway of that name is somebody else's.
        ForeignGateway => False,
        /// A VirtualService of that name is somebody else's.
        ForeignRoute => False,
        /// The referenced Gateway's server names no Secret.
        CredentialNameMissing => False,
        /// The referenced Gateway has no TLS server for the host on that port.
        HostNotOnGateway => False,
        /// The Secret may not go there, or Lamia lacks the right to write it.
        Forbidden => False,
        /// The API server refuses the object.
        Rejected => False,
        /// The cluster does not know Istio's kinds.
        IstioMissing => False,
        /// `management: Observe`: said, not done.
        Observing => False,
    }

    /// Why the gateway is or is not seen serving the certificate.
    ServingReason (types::SERVING) {
        /// The probe got this certificate.
        Served => True,
        /// The probe got another one.
        OtherCertificate => False,
        /// The gateway can't be reached from here.
        Unreachable => Unknown,
        /// No probe is made.
        ProbeDisabled => Unknown,
        /// The first probe of this certificate is under way.
        Probing => Unknown,
    }
}

impl ZoneReason {
    /// Whether the provider failed in passing: it may answer the next time, and nobody has to act.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::ProviderError | Self::Throttled)
    }
}

impl ServingReason {
    /// Whether `Ready` waits for it. Once a probe was tried (or none is wanted), its silence holds nothing back.
    #[must_use]
    pub fn blocks_ready(self) -> bool {
        match self {
            Self::OtherCertificate | Self::Probing | Self::Waiting => true,
            Self::Served | Self::Unreachable | Self::ProbeDisabled => false,
        }
    }
}
