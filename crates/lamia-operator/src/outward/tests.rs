//! Calls with and without the Lease, in paused time.

use lamia_core::cert::order::AcmeProblem;
use lamia_core::name::Fqdn;
use lamia_core::zone::Visibility;
use lamia_providers::dns::memory::{Fault, Memory, Operation};
use tokio::time::{sleep, timeout};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    leadership: watch::Sender<Leadership>,
    outward: Outward,
    metrics: Metrics,
    memory: Arc<Memory>,
    provider: Arc<dyn DnsProvider>,
}

impl Bench {
    /// A leader that may act for nine seconds from now.
    fn new() -> Self {
        let (leadership, receiver) = watch::channel(Leadership::Standby);
        let metrics = Metrics::new();
        let outward = Outward::new(receiver, metrics.clone());
        let memory = Arc::new(Memory::new([]));
        let provider = outward.provider("memory", memory.clone());
        let bench = Self { leadership, outward, metrics, memory, provider };
        bench.renew();
        bench
    }

    fn renew(&self) {
        let renewed_at = Instant::now();
        self.leadership.send_replace(Leadership::Leader { renewed_at, act_until: renewed_at + 9 * SECOND });
    }

    fn shows(&self, line: &str) -> bool {
        self.metrics.page().expect("formats").lines().any(|found| found == line)
    }
}

#[tokio::test(start_paused = true)]
async fn the_leaders_calls_pass_and_are_counted_by_result() {
    let bench = Bench::new();
    let domain: Fqdn = "example.org".parse().expect("a name");
    bench.provider.create_zone(&domain).await.expect("created");
    bench.memory.fail(Operation::FindZone, 1, Fault::Fails(ErrorKind::Forbidden));
    assert_eq!(
        bench.provider.find_zone(&domain, Visibility::Public).await.expect_err("a fault").kind,
        ErrorKind::Forbidden
    );
    for (operation, result) in [("create_zone", "ok"), ("find_zone", "forbidden")] {
        let labels = format!("provider=\"memory\",operation=\"{operation}\",result=\"{result}\"");
        assert!(bench.shows(&format!("lamia_provider_requests_total{{{labels}}} 1")));
    }
    assert_eq!(bench.provider.capabilities(), bench.memory.capabilities());
}

#[tokio::test(start_paused = true)]
async fn nobody_else_reaches_the_provider() {
    let bench = Bench::new();
    let expired = *bench.leadership.borrow();
    sleep(10 * SECOND).await;
    for leadership in [Leadership::Standby, expired] {
        bench.leadership.send_replace(leadership);
        let error = bench.provider.zones().await.expect_err("not leading");
        assert_eq!(error.to_string(), "list zones: this replica does not lead; the leader does it");
        assert_eq!(error.kind, ErrorKind::Unavailable);
    }
    assert_eq!(bench.memory.calls(Operation::Zones), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_given_up_before_a_successor_may_begin() {
    for steps_down in [true, false] {
        let bench = Bench::new();
        let start = Instant::now();
        sleep(8 * SECOND).await;
        let call = tokio::spawn({
            let outward = bench.outward.clone();
            async move { outward.acme("finalize", std::future::pending::<Result<(), _>>()).await }
        });
        sleep(SECOND).await;
        if steps_down {
            bench.leadership.send_replace(Leadership::Standby);
        }
        assert!(matches!(call.await.expect("no panic"), Err(AcmeError::Transport(_))));
        assert_eq!(start.elapsed(), 14 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_left_alone_while_the_lease_is_renewed() {
    let bench = Bench::new();
    let call = tokio::spawn({
        let outward = bench.outward.clone();
        async move {
            outward
                .acme("finalize", async {
                    sleep(60 * SECOND).await;
                    Ok(())
                })
                .await
        }
    });
    for _ in 0..30 {
        sleep(2 * SECOND).await;
        bench.renew();
    }
    assert!(call.await.expect("no panic").is_ok());
}

#[tokio::test(start_paused = true)]
async fn calls_to_a_ca_are_counted_without_the_cas_own_words() {
    let bench = Bench::new();
    let problem = |kind: &str, status| AcmeError::Problem {
        operation: "new order",
        problem: AcmeProblem { kind: kind.to_owned(), detail: "its words".to_owned(), subproblems: Vec::new() },
        status,
        retry_at: None,
    };
    for (error, label) in [
        (None, "ok"),
        (Some(problem("rateLimited", 429)), "rate_limited"),
        (Some(problem("somethingOfItsOwn", 403)), "refused"),
        (Some(problem("serverInternal", 500)), "failed"),
        (Some(AcmeError::Transport(ProviderError::new(ErrorKind::Unavailable, "new order", "down"))), "unavailable"),
    ] {
        let result = bench.outward.acme("new_order", async { error.map_or(Ok(()), Err) }).await;
        assert_eq!(result.is_ok(), label == "ok");
        assert!(bench.shows(&format!("lamia_acme_requests_total{{operation=\"new_order\",result=\"{label}\"}} 1")));
    }
    bench.leadership.send_replace(Leadership::Standby);
    let never = timeout(SECOND, bench.outward.acme("new_order", std::future::pending::<Result<(), _>>())).await;
    assert!(matches!(never, Ok(Err(AcmeError::Transport(_)))));
}
