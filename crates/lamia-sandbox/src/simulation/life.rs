//! Lives of the operator, one after the other, on the way through a script.
//!
//! A life is a tokio runtime with paused time. When it is dropped, every task ends at the `await` where it stands: that is `kill -9`. What
//! outlives it is plain data: the cluster, the CA, the DNS.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use lamia_core::name::Fqdn;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::cast::zone;
use super::dns::Delegation;
use super::judge::Judge;
use super::people::People;
use super::script::{Act, Event};
use super::weather::Part;
use super::world::{World, config};

/// How often the world is judged.
const LOOK: Duration = Duration::from_secs(60);
/// How long it takes until a dead operator is started again.
const BACK: Duration = Duration::from_secs(5);

/// What is to happen, by when and in which order.
type Agenda = BTreeMap<(Duration, usize), Step>;

/// One thing to do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Act(Act),
    Clear(Part),
    Redelegate(usize),
    Permit(usize),
}

/// Plays a script to its end.
pub(super) fn play(world: &World, events: &[Event], judge: &mut Judge) -> anyhow::Result<Option<People>> {
    let mut agenda: Agenda =
        events.iter().enumerate().map(|(place, event)| ((event.at, place), Step::Act(event.act))).collect();
    let mut people = None;
    while world.clock.elapsed() < world.scale.span() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        runtime.block_on(live(world, &mut agenda, judge, &mut people))?;
    }
    Ok(people)
}

/// One life, from the start of the operator to its end, or that of the history.
async fn live(
    world: &World,
    agenda: &mut Agenda,
    judge: &mut Judge,
    before: &mut Option<People>,
) -> anyhow::Result<()> {
    world.clock.begin();
    let people = match before.take() {
        Some(people) => people.with(world.peoples_client()),
        None => {
            let people = People::new(world.peoples_client());
            people.prepare(world).await.context("prepare the world")?;
            people
        }
    };
    *before = Some(people.clone());
    world.weather.revive();
    world.history.tell("operator", "starts");
    let operator =
        lamia_operator::run_in(world.outside(), config(), world.operators_client(), CancellationToken::new());
    let mut operator = tokio::spawn(operator);
    let away = loop {
        let now = world.clock.elapsed();
        let due = agenda.first_key_value().map(|((at, _), _)| *at);
        let look = Duration::from_secs((now.as_secs() / LOOK.as_secs() + 1) * LOOK.as_secs());
        let next = due.map_or(look, |due| due.min(look)).max(now);
        tokio::select! {
            biased;
            () = world.weather.death() => {
                world.history.tell("operator", "dies");
                break BACK;
            }
            () = world.clock.stands_still() => {
                world.history.broken("busy", "somebody is busy without end, and time stands still");
                // Nothing can come after this.
                break world.scale.span();
            }
            ended = &mut operator => {
                // Not the trace of calls that an error may carry: to look up its names takes as long as a tenth of a week.
                let why = ended.map_or_else(
                    |error| error.to_string(),
                    |result| result.map_or_else(|error| format!("{error:#}"), |()| "nothing is wrong".to_owned()),
                );
                world.history.tell("operator", format!("ends by itself: {why}"));
                break BACK;
            }
            () = sleep_until(Instant::now() + (next - now)) => {}
        }
        if world.clock.elapsed() >= world.scale.span() {
            break Duration::ZERO;
        }
        if let Some(away) = happen(world, agenda, &people).await? {
            break away;
        }
        judge.look(world, &people).await;
    };
    world.clock.end(away);
    Ok(())
}

/// Lets everything happen that is due. Returns for how long the operator is away, if it was killed.
async fn happen(world: &World, agenda: &mut Agenda, people: &People) -> anyhow::Result<Option<Duration>> {
    let now = world.clock.elapsed();
    while let Some(entry) = agenda.first_entry().filter(|entry| entry.key().0 <= now) {
        let ((_, place), step) = entry.remove_entry();
        let act = match step {
            Step::Act(act) => act,
            Step::Clear(part) => {
                world.history.tell("weather", format!("the storm over {} is over", part.as_str()));
                world.weather.set(part, 0);
                continue;
            }
            Step::Redelegate(place) => {
                delegate(world, place, Delegation::Right)?;
                continue;
            }
            Step::Permit(place) => {
                world.dns.restrict(&domain(place)?, false);
                world.history.tell("people", format!("CAA of zone {place} lets everybody issue again"));
                continue;
            }
        };
        let minutes = |minutes: u64| (now + Duration::from_secs(60 * minutes), place);
        match act {
            Act::Storm { part, percent, minutes: long } => {
                world.weather.set(part, percent);
                agenda.insert(minutes(long), Step::Clear(part));
            }
            Act::Cut { compact } => {
                if compact {
                    world.cluster.compact();
                }
                world.wire.cut();
            }
            Act::Delegate { zone, how, minutes: long } => {
                delegate(world, zone, how)?;
                agenda.insert(minutes(long), Step::Redelegate(zone));
            }
            Act::Forbid { zone, minutes: long } => {
                world.dns.restrict(&domain(zone)?, true);
                agenda.insert(minutes(long), Step::Permit(zone));
            }
            Act::Die { words } => world.weather.set_death(words),
            Act::Restart { away } => {
                world.history.tell("people", act);
                return Ok(Some(Duration::from_secs(away)));
            }
            _ => {
                if people.act(world, act).await?.is_none() {
                    continue;
                }
            }
        }
        world.history.tell("people", act);
    }
    Ok(None)
}

fn delegate(world: &World, place: usize, how: Delegation) -> anyhow::Result<()> {
    let zone = domain(place)?;
    world.dns.delegate(&zone, how);
    world.history.tell("parent", format!("{zone}: {how:?}"));
    Ok(())
}

fn domain(place: usize) -> anyhow::Result<Fqdn> {
    zone(place).parse().context("a zone of ours")
}
