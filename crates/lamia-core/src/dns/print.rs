//! The plan as people read it: in `lamia plan`, in the console's preview and in the log.

use std::fmt;

use super::admit::Subject;
use super::diff::{Unit, Verb, verb};
use super::plan::ZonePlan;
use super::safety::Fate;
use crate::record::{Rrset, RrsetChange};

/// One line per RRset: `+` added, `~` changed, `-` removed; then what is refused, waits or is held, each with its reason.
impl fmt::Display for ZonePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zone, units, observed, refusals, withdrawals, held, retained, .. } = self;
        let [added, changed, removed] = self.counts();
        if added + changed + removed == 0 {
            writeln!(f, "zone {zone}: nothing to change")?;
        } else {
            writeln!(f, "zone {zone}: {added} to add, {changed} to change, {removed} to remove")?;
        }
        let widths = self.widths();
        for unit in units {
            write_unit(f, unit, widths)?;
        }
        if !observed.is_empty() {
            writeln!(f, "  observed only, so not done:")?;
            observed.iter().try_for_each(|unit| write_unit(f, unit, widths))?;
        }
        for refusal in refusals {
            writeln!(f, "  refused: {}: {}: {}", refusal.subject, refusal.reason.as_str(), refusal.message)?;
        }
        for (owned, fate) in withdrawals {
            match fate {
                Fate::Waiting { until } => {
                    writeln!(f, "  waits: {owned}, wanted by nobody, goes at {until} at the earliest")?
                }
                Fate::Unsure => writeln!(f, "  waits: {owned}, not wanted so far, until every source has spoken")?,
                Fate::Held | Fate::Due => {}
            }
        }
        for name in retained {
            writeln!(f, "  stays: {name}, wanted by nobody, as its deletionPolicy was Retain")?;
        }
        if let Some(held) = held {
            let reasons: Vec<String> = held.reasons.iter().map(ToString::to_string).collect();
            writeln!(f, "  held: {}; confirm with the hash {}:", reasons.join("; "), held.hash)?;
            held.names.iter().try_for_each(|owned| writeln!(f, "    {owned}"))?;
        }
        Ok(())
    }
}

impl ZonePlan {
    /// The lines about one subject alone, changes that are only observed among them.
    #[must_use]
    pub fn lines_of(&self, subject: &Subject) -> Vec<String> {
        let units = self.units.iter().chain(&self.observed).filter(|unit| unit.subjects.contains(subject));
        units.flat_map(|unit| &unit.changes).map(|change| Line(change).to_string()).collect()
    }

    /// How many RRsets are added, changed, removed.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        [Verb::Add, Verb::Change, Verb::Remove]
            .map(|wanted| self.changes().filter(|change| verb(change) == wanted).count())
    }

    /// The widths of the columns for name and type.
    fn widths(&self) -> (usize, usize) {
        let units = self.units.iter().chain(&self.observed);
        units.flat_map(|unit| &unit.changes).fold((0, 0), |(name, rtype), change| {
            let key = &change.key;
            (name.max(key.name.as_str().len()), rtype.max(key.rtype.to_string().len()))
        })
    }
}

fn write_unit(f: &mut fmt::Formatter<'_>, unit: &Unit, widths: (usize, usize)) -> fmt::Result {
    let subjects: Vec<String> = unit.subjects.iter().map(ToString::to_string).collect();
    let mut why = format!("  ({})", subjects.join("; "));
    for change in &unit.changes {
        write!(f, "  ")?;
        write_change(f, change, widths)?;
        // Said once: the lines of a unit belong together.
        writeln!(f, "{}", std::mem::take(&mut why))?;
    }
    Ok(())
}

fn write_change(f: &mut fmt::Formatter<'_>, change: &RrsetChange, (name, rtype): (usize, usize)) -> fmt::Result {
    let sign = match verb(change) {
        Verb::Add => '+',
        Verb::Change => '~',
        Verb::Remove => '-',
    };
    let key = &change.key;
    write!(f, "{sign} {:name$}  {:rtype$}  ", key.name.as_str(), key.rtype.to_string())?;
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => write_difference(f, before, after),
        (Some(one), None) | (None, Some(one)) => {
            write!(f, "{}", one.ttl)?;
            one.values.iter().try_for_each(|value| write!(f, "  {value}"))
        }
        (None, None) => Ok(()),
    }
}

/// One change, by itself.
struct Line<'a>(&'a RrsetChange);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_change(f, self.0, (0, 0))
    }
}

/// `300 → 60` where the TTL changes; each value with `+` or `-` in front where it comes or goes.
fn write_difference(f: &mut fmt::Formatter<'_>, before: &Rrset, after: &Rrset) -> fmt::Result {
    match before.ttl == after.ttl {
        true => write!(f, "{}", after.ttl)?,
        false => write!(f, "{} → {}", before.ttl, after.ttl)?,
    }
    for value in before.values.union(&after.values) {
        let sign = match (before.values.contains(value), after.values.contains(value)) {
            (true, false) => "-",
            (false, true) => "+",
            _ => "",
        };
        write!(f, "  {sign}{value}")?;
    }
    Ok(())
}
