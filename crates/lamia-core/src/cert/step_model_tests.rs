//! A model: a CA, a store and DNS, with a crash or a lost answer at any step.

use proptest::prelude::*;

use super::*;

/// What a CA knows of an order.
#[derive(Clone, Debug)]
struct CaOrder {
    status: OrderStatus,
    told: bool,
    finalizes: u32,
    key: Option<u32>,
}

/// What happens to one step.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is done and answered.
    Done,
    /// The process dies before.
    CrashBefore,
    /// It is done, and the process dies before it hears so.
    CrashAfter,
    /// It is done at the other side, the answer is lost, the process lives.
    AnswerLost,
    /// It never reaches the other side, the process lives.
    RequestLost,
    /// It is done, and the CA declares the order invalid.
    OrderFails,
}

/// What outlives a crash, and what does not.
#[derive(Debug, Default)]
struct World {
    now: i64,
    // The cluster.
    next_key: u32,
    pending_key: Option<u32>,
    recorded: Recorded,
    certificate: Option<u32>,
    saved_certificates: u32,
    // The CA.
    orders: Vec<CaOrder>,
    // DNS.
    zone: BTreeSet<String>,
    // The process.
    order: Option<SeenOrder>,
    given_up: bool,
    txt: TxtState,
    gate: Option<Gate>,
    // The test's own books.
    may_be_lost: u32,
    failed: u32,
}

impl World {
    fn now(&self) -> Timestamp {
        in_millis(self.now)
    }

    fn observed(&self) -> Observed {
        let need = if self.certificate.is_some() {
            Need::Fresh { until: in_millis(i64::from(u32::MAX)) }
        } else {
            Need::Issue
        };
        Observed {
            need,
            pending_key: self.pending_key.is_some(),
            recorded: self.recorded.clone(),
            order: self.order.clone(),
            given_up: self.given_up,
            moved: false,
            txt: self.txt,
            gate: self.gate.clone(),
            hold: None,
        }
    }

    fn crash(&mut self) {
        (self.order, self.given_up, self.txt, self.gate) = (None, false, TxtState::Unasked, None);
    }

    fn snapshot(&self, index: usize) -> OrderSnapshot {
        let known = &self.orders[index];
        let mut snapshot = order(known.status);
        snapshot.url = format!("https://ca.example/order/{index}");
        for authorization in &mut snapshot.authorizations {
            if let Some(challenge) = &mut authorization.dns01 {
                challenge.url = format!("https://ca.example/challenge/{index}");
                challenge.txt_value = format!("v{index}");
            }
        }
        snapshot
    }

    fn index(url: &str) -> usize {
        url.rsplit('/').next().and_then(|text| text.parse().ok()).expect("a URL of ours")
    }

    fn recorded_index(&self) -> usize {
        Self::index(self.recorded.order_url.as_deref().expect("a recorded order"))
    }

    /// The CA moves on by itself.
    fn ca_works(&mut self) {
        for (index, known) in self.orders.iter_mut().enumerate() {
            known.status = match known.status {
                OrderStatus::Pending if known.told => {
                    assert!(
                        self.zone.contains(&format!("v{index}")),
                        "the CA was told to look before the value was there"
                    );
                    OrderStatus::Ready
                }
                OrderStatus::Processing => OrderStatus::Valid,
                other => other,
            };
        }
    }

    /// The effect outside the process; true when the step was one that has any.
    fn effect(&mut self, step: &Step) {
        match step {
            Step::MakeKey => {
                self.next_key += 1;
                self.pending_key = Some(self.next_key);
            }
            Step::NewOrder => {
                self.orders.push(CaOrder { status: OrderStatus::Pending, told: false, finalizes: 0, key: None });
            }
            Step::RecordOrder => {
                let seen = self.order.clone().expect("an order in memory");
                self.recorded.order_url = Some(seen.snapshot.url.clone());
                let values =
                    seen.snapshot.authorizations.iter().filter_map(|a| a.dns01.as_ref()).map(|c| c.txt_value.clone());
                self.recorded.values.extend(values);
            }
            Step::PublishTxt => self.zone.extend(self.recorded.values.iter().cloned()),
            Step::Accept(urls) => {
                for url in urls {
                    self.orders[Self::index(url)].told = true;
                }
            }
            Step::Finalize => {
                let key = self.pending_key;
                let index = self.recorded_index();
                let known = &mut self.orders[index];
                if known.status == OrderStatus::Ready {
                    (known.status, known.key) = (OrderStatus::Processing, key);
                    known.finalizes += 1;
                }
            }
            Step::Download => {
                let issued = self.orders[self.recorded_index()].key;
                assert_eq!(issued, self.pending_key, "the certificate fits the pending key");
                self.certificate = issued;
                self.saved_certificates += 1;
                self.pending_key = None;
            }
            Step::CleanUp => {
                for value in &self.recorded.values {
                    self.zone.remove(value);
                }
            }
            Step::Conclude => self.recorded = Recorded::default(),
            Step::CheckGate | Step::AwaitDns | Step::Poll | Step::Nothing { .. } => {}
        }
    }

    /// What the process learns from the answer.
    fn answer(&mut self, step: &Step) {
        let now = self.now();
        match step {
            Step::CheckGate => self.gate = Some(Gate::Open),
            Step::NewOrder => {
                self.order = Some(SeenOrder::new(self.snapshot(self.orders.len() - 1), now));
                self.given_up = false;
            }
            Step::RecordOrder => self.txt = TxtState::Unasked,
            Step::PublishTxt => self.txt = TxtState::Publishing,
            Step::AwaitDns => self.txt = TxtState::Published,
            Step::Accept(urls) => {
                for url in urls {
                    self.order = self.order.take().map(|order| order.accepted(url, now));
                }
            }
            Step::Poll | Step::Finalize => {
                let snapshot = self.snapshot(self.recorded_index());
                self.order = Some(match self.order.take() {
                    Some(order) => order.seen_again(snapshot, now),
                    None => SeenOrder::new(snapshot, now),
                });
            }
            Step::CleanUp => self.txt = TxtState::Withdrawing,
            Step::Conclude => (self.order, self.given_up, self.txt, self.gate) = (None, false, TxtState::Unasked, None),
            Step::Nothing { wait: Wait::Withdrawal, .. } => self.txt = TxtState::Gone,
            Step::MakeKey | Step::Download | Step::Nothing { .. } => {}
        }
    }

    fn step(&mut self, fate: Fate) -> Step {
        self.now += 40;
        self.ca_works();
        let step = next_step(&self.observed(), self.now());
        if matches!(step, Step::NewOrder) && matches!(fate, Fate::CrashAfter | Fate::AnswerLost) {
            self.may_be_lost += 1;
        }
        match fate {
            Fate::CrashBefore => self.crash_before(&step),
            Fate::CrashAfter => {
                self.effect(&step);
                self.crash();
            }
            Fate::AnswerLost => {
                self.effect(&step);
                self.forget_order(&step);
            }
            Fate::RequestLost => self.forget_order(&step),
            Fate::Done => {
                self.effect(&step);
                self.answer(&step);
            }
            Fate::OrderFails => {
                self.effect(&step);
                self.fail_order(&step);
                self.answer(&step);
            }
        }
        step
    }

    /// An order that was answered but not written yet is lost with the process.
    fn crash_before(&mut self, step: &Step) {
        if matches!(step, Step::RecordOrder) && self.recorded.order_url.is_none() {
            self.may_be_lost += 1;
        }
        self.crash();
    }

    /// Whoever does not hear the end of a word to the CA must look again.
    fn forget_order(&mut self, step: &Step) {
        if step.asks_ca() {
            self.order = None;
        }
    }

    fn fail_order(&mut self, step: &Step) {
        if let (Step::Accept(_) | Step::Finalize | Step::Poll, Some(url)) = (step, &self.recorded.order_url) {
            let known = &mut self.orders[Self::index(url)];
            if known.status != OrderStatus::Valid && known.status != OrderStatus::Invalid {
                known.status = OrderStatus::Invalid;
                self.failed += 1;
            }
        }
    }

    fn check_always(&self) {
        assert!(self.orders.iter().all(|order| order.finalizes <= 1), "an order finalized twice");
        assert!(self.zone.is_subset(&self.recorded.values), "a value in DNS that no status lists: {:?}", self.zone);
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Done),
        1 => Just(Fate::CrashBefore),
        2 => Just(Fate::CrashAfter),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::RequestLost),
        1 => Just(Fate::OrderFails),
    ]
}

/// Lets it run undisturbed until nothing is left to do.
fn settle(world: &mut World) {
    for _ in 0..200 {
        let step = world.step(Fate::Done);
        world.check_always();
        if matches!(step, Step::Nothing { wait: Wait::Renewal, .. }) {
            return;
        }
    }
    panic!("not settled: {world:?}");
}

fn check_end(world: &World) {
    assert!(
        world.certificate.is_some()
            && world.zone.is_empty()
            && world.recorded.is_empty()
            && world.pending_key.is_none()
    );
    assert_eq!(world.saved_certificates, 1, "one certificate");
    let most = 1 + world.may_be_lost + world.failed;
    assert!(world.orders.len() as u64 <= u64::from(most), "{} orders, {most} explained", world.orders.len());
}

#[test]
fn undisturbed_it_takes_one_order_and_these_steps() {
    let mut world = World::default();
    let mut steps: Vec<&'static str> = Vec::new();
    while world.certificate.is_none() || !world.recorded.is_empty() {
        steps.push(world.step(Fate::Done).as_str());
        world.check_always();
    }
    steps.dedup();
    assert_eq!(
        steps.join(" "),
        "CheckGate MakeKey NewOrder RecordOrder PublishTxt AwaitDns Accept Nothing Poll Finalize Nothing Poll Download CleanUp Nothing Conclude"
    );
    assert_eq!(world.orders.len(), 1);
}

#[test]
fn killed_once_at_each_step_it_ends_the_same() {
    for fate in [Fate::CrashBefore, Fate::CrashAfter, Fate::AnswerLost, Fate::RequestLost] {
        for killed_at in 0..20 {
            let mut world = World::default();
            for _ in 0..killed_at {
                world.step(Fate::Done);
            }
            let step = world.step(fate);
            settle(&mut world);
            check_end(&world);
            let lost = usize::from(world.may_be_lost > 0);
            assert_eq!(world.orders.len(), 1 + lost, "{fate:?} at {step:?}: one order, or one lost and replaced");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn whatever_happens_it_ends_with_one_certificate_and_nothing_left_behind(fates in prop::collection::vec(fate(), 0..60)) {
        let mut world = World::default();
        for fate in fates {
            world.step(fate);
            world.check_always();
        }
        settle(&mut world);
        check_end(&world);
    }
}
