//! The CA's part: orders, and certificates that are real.

use super::*;

impl State {
    fn may_ask(&self) -> Result<(), AcmeError> {
        if self.ca_is_down {
            return Err(lost_word());
        }
        match &self.ca_problem {
            Some((problem, status)) => {
                Err(AcmeError::Problem { operation: "test", problem: problem.clone(), status: *status, retry_at: None })
            }
            None => Ok(()),
        }
    }

    fn index(url: &str) -> usize {
        url.rsplit('/').next().and_then(|text| text.parse().ok()).expect("a URL of ours")
    }

    fn txt_value(order: usize, name: usize) -> String {
        format!("value-{order}-{name}")
    }

    /// Lets the CA look and issue.
    fn ca_works(&mut self) {
        for index in 0..self.orders.len() {
            let fails = self.fails_validation;
            let txt = self.txt.clone();
            let known = &mut self.orders[index];
            let all_told = known.told.len() == known.order.names.len();
            if known.status == OrderStatus::Pending && known.expires <= self.now {
                known.status = OrderStatus::Invalid;
            }
            if known.status == OrderStatus::Pending && all_told {
                if let Some(kind) = fails {
                    (known.status, known.problem) = (OrderStatus::Invalid, Some(problem(kind)));
                    continue;
                }
                for (position, name) in known.order.names.iter().enumerate() {
                    let record = format!("_acme-challenge.{}", name.challenge_base());
                    let record = self.alias.as_ref().map_or(record, ToString::to_string);
                    let value = Self::txt_value(index, position);
                    assert!(txt.contains(&(record, value)), "the CA was told to look before the value was there");
                }
                known.status = OrderStatus::Ready;
            }
        }
    }

    fn snapshot(&self, index: usize) -> OrderSnapshot {
        let known = &self.orders[index];
        let dns01 = |position: usize| Dns01 {
            url: format!("https://ca.example/challenge/{position}/{index}"),
            status: match known.status {
                OrderStatus::Invalid => ValidationStatus::Invalid,
                _ => ValidationStatus::Pending,
            },
            txt_value: Self::txt_value(index, position),
            error: known.problem.clone(),
        };
        let proofs = known.order.names.iter().enumerate().map(|(position, name)| Authorization {
            name: name.challenge_base(),
            wildcard: name.is_wildcard(),
            status: match known.status {
                OrderStatus::Invalid if known.problem.is_some() => ValidationStatus::Invalid,
                OrderStatus::Pending => ValidationStatus::Pending,
                _ => ValidationStatus::Valid,
            },
            dns01: Some(dns01(position)),
        });
        OrderSnapshot {
            url: format!("https://ca.example/order/{index}"),
            status: known.status,
            expires: Some(known.expires),
            names: known.order.names.clone(),
            authorizations: match known.status {
                OrderStatus::Pending | OrderStatus::Invalid => proofs.collect(),
                _ => Vec::new(),
            },
            error: None,
            retry_at: None,
        }
    }

    /// Signs a real certificate for what the CSR asks for.
    fn issue(&mut self, csr: &[u8]) -> String {
        let (_, request) = X509CertificationRequest::from_der(csr).expect("a CSR");
        let names: Vec<String> = request
            .requested_extensions()
            .expect("names are asked for")
            .flat_map(|extension| match extension {
                x509_parser::extensions::ParsedExtension::SubjectAlternativeName(names) => names
                    .general_names
                    .iter()
                    .map(|name| match name {
                        x509_parser::extensions::GeneralName::DNSName(text) => (*text).to_owned(),
                        other => panic!("{other:?} is no DNS name"),
                    })
                    .collect(),
                _ => Vec::new(),
            })
            .collect();
        let key = RequestedKey(request.certification_request_info.subject_pki.subject_public_key.data.to_vec());
        self.serials += 1;
        let mut params = CertificateParams::new(names).expect("names");
        let instant = |at: Timestamp| std::time::SystemTime::from(at).into();
        params.not_before = instant(self.now);
        params.not_after = instant(self.now + self.ca_life);
        params.serial_number = Some(self.serials.into());
        params.use_authority_key_identifier_extension = true;
        let issuer = rcgen::Issuer::from_params(&self.ca, &self.ca_key);
        params.signed_by(&key, &issuer).expect("a certificate").pem()
    }
}

struct RequestedKey(Vec<u8>);

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn lost_word() -> AcmeError {
    AcmeError::Transport(ProviderError::new(ErrorKind::Unavailable, "ask the CA", "it does not answer"))
}

#[async_trait]
impl AcmeAccount for World {
    fn directory(&self) -> &DirectoryInfo {
        static DIRECTORY_INFO: std::sync::LazyLock<DirectoryInfo> =
            std::sync::LazyLock::new(|| DirectoryInfo { renewal_info: true, ..DirectoryInfo::default() });
        &DIRECTORY_INFO
    }

    fn uri(&self) -> &str {
        "https://ca.example/account/1"
    }

    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError> {
        let act = || {
            let mut state = self.lock();
            state.may_ask()?;
            if let (Some((kind, status)), Some(_)) = (state.ca_on_replaces, &order.replaces) {
                let problem = problem(kind);
                return Err(AcmeError::Problem { operation: "new order", problem, status, retry_at: None });
            }
            let expires = state.now + SignedDuration::from_hours(8);
            state.orders.push(CaOrder {
                order: order.clone(),
                status: OrderStatus::Pending,
                told: BTreeSet::new(),
                finalizes: 0,
                problem: None,
                expires,
                chain: None,
            });
            Ok(state.snapshot(state.orders.len() - 1))
        };
        self.trip.pass("new_order", act, lost_word).await
    }

    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError> {
        let act = || {
            let mut state = self.lock();
            state.may_ask()?;
            state.ca_works();
            let index = State::index(url);
            let snapshot = state.snapshot(index);
            if state.orders[index].status == OrderStatus::Processing {
                state.orders[index].status = OrderStatus::Valid;
            }
            Ok(snapshot)
        };
        self.trip.pass("order", act, lost_word).await
    }

    async fn accept(&self, _order_url: &str, challenge_url: &str) -> Result<(), AcmeError> {
        let act = || {
            let mut state = self.lock();
            state.may_ask()?;
            let mut parts = challenge_url.rsplit('/').filter_map(|part| part.parse::<usize>().ok());
            let (order, position) = (parts.next().expect("an order"), parts.next().expect("a name"));
            state.orders[order].told.insert(position);
            Ok(())
        };
        self.trip.pass("accept", act, lost_word).await
    }

    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError> {
        let act = || {
            let mut state = self.lock();
            state.may_ask()?;
            let index = State::index(order_url);
            state.orders[index].finalizes += 1;
            assert_eq!(state.orders[index].status, OrderStatus::Ready, "only a ready order is finalized");
            let chain = state.issue(csr_der);
            let order = &mut state.orders[index];
            (order.status, order.chain) = (OrderStatus::Processing, Some(chain));
            Ok(state.snapshot(index))
        };
        self.trip.pass("finalize", act, lost_word).await
    }

    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError> {
        let act = || {
            let state = self.lock();
            state.may_ask()?;
            Ok(state.orders[State::index(order_url)].chain.clone().expect("a valid order has a certificate"))
        };
        self.trip.pass("certificate", act, lost_word).await
    }

    async fn renewal_window(&self, _certificate: &RenewalId) -> Result<Option<RenewalWindow>, AcmeError> {
        let act = || {
            let state = self.lock();
            state.may_ask()?;
            let ask_again = state.now + SignedDuration::from_hours(6);
            let window = state.renewal_window;
            Ok(window.map(|(start, end)| RenewalWindow { start, end, explanation_url: None, ask_again }))
        };
        self.trip.pass("renewal_window", act, lost_word).await
    }
}

/// The account that the fake issuer hands out: the world itself.
struct Account(Arc<World>);

#[async_trait]
impl AcmeAccount for Account {
    fn directory(&self) -> &DirectoryInfo {
        self.0.directory()
    }
    fn uri(&self) -> &str {
        self.0.uri()
    }
    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError> {
        self.0.new_order(order).await
    }
    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError> {
        self.0.order(url).await
    }
    async fn accept(&self, order_url: &str, challenge_url: &str) -> Result<(), AcmeError> {
        self.0.accept(order_url, challenge_url).await
    }
    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError> {
        self.0.finalize(order_url, csr_der).await
    }
    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError> {
        self.0.certificate(order_url).await
    }
    async fn renewal_window(&self, certificate: &RenewalId) -> Result<Option<RenewalWindow>, AcmeError> {
        self.0.renewal_window(certificate).await
    }
}

/// The world as a directory of issuers needs to hand itself out.
pub(crate) struct OneIssuer(pub(crate) Arc<World>);

impl Issuers for OneIssuer {
    fn issuer(&self, name: &str) -> Result<Issuer, Because<CertificateReason>> {
        let state = self.0.lock();
        if name != ISSUER || !state.issuer_ready {
            return Err(Because::new(CertificateReason::IssuerNotReady, "the issuer is not ready"));
        }
        let account = Arc::new(Account(self.0.clone()));
        let limits = state.limits.clone();
        Ok(Issuer { account, directory: DIRECTORY.to_owned(), profile: None, limits })
    }
}
