//! Keys that are added, wait, are worked on and forgotten.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};

use futures::FutureExt as _;
use futures::future::{BoxFuture, select_all};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The key that a `pop` returns without waiting.
fn pop_now(queue: &WorkQueue<u32>) -> Option<Item<u32>> {
    queue.pop().now_or_never().flatten()
}

#[tokio::test(start_paused = true)]
async fn a_key_added_twice_is_handed_out_once() {
    let queue = WorkQueue::new();
    queue.add(1);
    queue.add(1);
    queue.add_after(1, SECOND);
    assert_eq!(queue.len(), 1);
    drop(pop_now(&queue).expect("ready"));
    assert!(queue.pop().now_or_never().is_none());
    assert!(tokio::time::timeout(10 * SECOND, queue.pop()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn keys_come_in_the_order_in_which_they_became_due() {
    let queue = WorkQueue::new();
    queue.add_after(3, 2 * SECOND);
    queue.add_after(2, SECOND);
    queue.add(1);
    let start = Instant::now();
    for (key, after) in [(1, 0), (2, 1), (3, 2)] {
        assert_eq!(*queue.pop().await.expect("open"), key);
        assert_eq!(start.elapsed().as_secs(), after);
    }
}

#[tokio::test(start_paused = true)]
async fn the_earliest_wait_wins_and_an_add_overrides_it() {
    let queue = WorkQueue::new();
    let start = Instant::now();
    queue.add_after(1, 5 * SECOND);
    queue.add_after(1, 9 * SECOND);
    queue.add_after(1, 3 * SECOND);
    drop(queue.pop().await);
    assert_eq!(start.elapsed(), 3 * SECOND);

    queue.add_after(1, 5 * SECOND);
    queue.add(1);
    drop(pop_now(&queue).expect("ready at once"));
    assert!(tokio::time::timeout(10 * SECOND, queue.pop()).await.is_err(), "the wait is gone with it");
}

#[tokio::test(start_paused = true)]
async fn a_key_in_process_is_not_handed_out_again_until_its_item_is_dropped() {
    let queue = WorkQueue::new();
    queue.add(1);
    let item = pop_now(&queue).expect("ready");
    assert_eq!(queue.in_flight(), 1);
    queue.add_after(1, SECOND);
    queue.add(1);
    assert!(pop_now(&queue).is_none());
    drop(item);
    assert_eq!(queue.in_flight(), 0);
    assert_eq!(*pop_now(&queue).expect("wanted again meanwhile"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_asked_for_in_process_counts_from_when_it_was_asked() {
    let queue = WorkQueue::new();
    queue.add(1);
    let item = pop_now(&queue).expect("ready");
    let start = Instant::now();
    queue.add_after(1, 2 * SECOND);
    tokio::time::advance(SECOND).await;
    drop(item);
    assert_eq!(queue.len(), 0);
    drop(queue.pop().await);
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_pop_hears_of_an_earlier_key() {
    let queue = WorkQueue::new();
    queue.add_after(1, 60 * SECOND);
    let sleeper = tokio::spawn({
        let queue = queue.clone();
        async move { queue.pop().await.map(|item| *item) }
    });
    tokio::task::yield_now().await;
    queue.add(2);
    assert_eq!(sleeper.await.expect("no panic"), Some(2));
}

#[tokio::test(start_paused = true)]
async fn several_workers_share_the_keys_and_none_is_lost_or_doubled() {
    let queue = WorkQueue::new();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Some(item) = queue.pop().await {
                    tokio::task::yield_now().await;
                    seen.push(*item);
                }
                seen
            })
        })
        .collect();
    for key in 0..10_000_u32 {
        match key % 2 {
            0 => queue.add(key),
            _ => queue.add_after(key, SECOND),
        }
    }
    tokio::time::timeout(60 * SECOND, async {
        tokio::time::advance(2 * SECOND).await;
        while !queue.is_empty() || queue.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("all are worked off");
    queue.close();
    let mut seen = Vec::new();
    for worker in workers {
        seen.extend(worker.await.expect("no panic"));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10_000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_key_is_not_handed_out() {
    let queue = WorkQueue::new();
    queue.add(1);
    queue.add_after(2, SECOND);
    queue.add(3);
    let item = pop_now(&queue).expect("ready");
    queue.add(1);
    for key in 1..=3 {
        queue.forget(&key);
    }
    drop(item);
    assert!(tokio::time::timeout(10 * SECOND, queue.pop()).await.is_err());
    queue.add(3);
    assert_eq!(*pop_now(&queue).expect("may come back"), 3);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_pop() {
    let queue = WorkQueue::<u32>::new();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.pop().await.is_none() })
        })
        .collect();
    tokio::task::yield_now().await;
    queue.close();
    for pop in waiting {
        assert!(pop.await.expect("no panic"));
    }
    queue.add(1);
    assert!(queue.pop().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_pop_loses_nothing() {
    let queue = WorkQueue::new();
    let sleeper = tokio::spawn({
        let queue = queue.clone();
        async move { queue.pop().await.map(|item| *item) }
    });
    let cancelled = tokio::time::timeout(SECOND, queue.pop()).await;
    assert!(cancelled.is_err());
    queue.add(1);
    assert_eq!(sleeper.await.expect("no panic"), Some(1));
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A `pop` under way.
type Popping<'a> = BoxFuture<'a, Option<Item<u32>>>;

/// `pop`s that wait, and the bell of each.
fn waiting(queue: &WorkQueue<u32>, count: usize) -> Vec<(Popping<'_>, Arc<Bell>)> {
    let mut all: Vec<_> = (0..count).map(|_| (queue.pop().boxed(), Arc::new(Bell::default()))).collect();
    for (pop, bell) in &mut all {
        assert!(pop.as_mut().poll(&mut Context::from_waker(&bell.clone().into())).is_pending());
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_due_wakes_one_of_those_who_wait() {
    let queue = WorkQueue::new();
    queue.add_after(1, SECOND);
    let all = waiting(&queue, 10);
    tokio::time::advance(2 * SECOND).await;
    let woken: usize = all.iter().map(|(_, bell)| bell.0.load(Ordering::Relaxed)).sum();
    assert_eq!(woken, 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_the_timer_and_goes_leaves_it_to_another() {
    let queue = WorkQueue::new();
    queue.add_after(1, SECOND);
    let mut all = waiting(&queue, 2);
    drop(all.remove(0));
    let start = Instant::now();
    assert_eq!(*all.remove(0).0.await.expect("open"), 1);
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_key_is_not_kept_waiting_by_the_timer_of_a_later_one() {
    let queue = WorkQueue::new();
    queue.add_after(1, 5 * SECOND);
    let all = waiting(&queue, 2);
    queue.add_after(2, SECOND);
    let start = Instant::now();
    let pops: Vec<_> = all.into_iter().map(|(pop, _)| pop).collect();
    let (first, _, rest) = select_all(pops).await;
    assert_eq!((*first.expect("open"), start.elapsed()), (2, SECOND));
    let (second, _, _) = select_all(rest).await;
    assert_eq!((*second.expect("open"), start.elapsed()), (1, 5 * SECOND));
}
