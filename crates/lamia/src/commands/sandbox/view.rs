//! The story as it is shown, on stderr: on a terminal one row a step, redrawn in place; else one line per change.
//!
//! ```text
//!    0.5 s  ✓ RecordsPublished  every authoritative server answers with the records
//! ```
//!
//! The time is how long the step took since the one before it; where lines are printed one after another it is the time
//! since the host was applied.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lamia_api::condition::host::{CHAIN, READY};
use lamia_sandbox::story::{Scene, Standing};

use crate::commands::chain;
use crate::output::{self, Paint};

/// How often a row that waits turns its wheel.
const TURN: Duration = Duration::from_millis(100);
/// Reason of a condition that only waits for one before it, which says more.
const WAITING: &str = "Waiting";

/// What shows the story.
pub(super) struct View {
    paint: Paint,
    /// What the person can do about the registrar; empty where nobody waits for a person.
    advice: String,
    /// None: lines.
    picture: Option<Picture>,
    prompting: bool,
}

impl View {
    /// For the terminal that stderr is, or for a file.
    pub(super) fn new(paint: Paint, advice: String) -> Self {
        let picture = std::io::stderr().is_terminal().then(Picture::default);
        Self { paint, advice, picture, prompting: false }
    }

    /// Shows a scene.
    pub(super) fn tell(&mut self, scene: &Scene) {
        match scene {
            Scene::Step(standing) => match &mut self.picture {
                Some(picture) => picture.show(standing, self.paint),
                None => line(standing, self.paint).iter().for_each(|line| output::talk(line)),
            },
            Scene::Delegate { zone, name_servers } => {
                self.prompting = !self.advice.is_empty();
                let words = prompt(zone, name_servers, &self.advice);
                self.note(&words);
            }
            Scene::Delegated { zone } => {
                self.prompting = false;
                if let Some(picture) = &mut self.picture {
                    picture.forget_notes();
                }
                self.say(&format!("The registrar names Lamia's servers for {zone} now."));
            }
        }
    }

    /// Whether the story waits for the person at the keyboard.
    pub(super) fn is_prompting(&self) -> bool {
        self.prompting
    }

    /// Says something that stays.
    pub(super) fn say(&mut self, words: &str) {
        match &mut self.picture {
            Some(picture) => picture.say(words),
            None => output::talk(words),
        }
    }

    /// Leaves what is shown as it is; from now on there are lines.
    pub(super) fn close(&mut self) {
        if let Some(picture) = self.picture.take() {
            picture.close();
        }
    }

    fn note(&mut self, words: &str) {
        match &mut self.picture {
            Some(picture) => picture.note(words),
            None => output::talk(words),
        }
    }
}

fn prompt(zone: &str, name_servers: &[String], advice: &str) -> String {
    let mut text = format!("\nSet these name servers for {zone} at its registrar:\n");
    name_servers.iter().for_each(|server| text.push_str(&format!("  {server}\n")));
    text + advice
}

/// A line for what is worth one: not that a step waits for another, and not the sum of all before it holds.
fn line(standing: &Standing, paint: Paint) -> Option<String> {
    let Standing { condition, after, took: _ } = standing;
    let told_by_another = condition.reason == WAITING || (condition.type_ == READY && condition.status != "True");
    let (mark, words) = (chain::mark(condition, paint), chain::words(condition, paint));
    (!told_by_another).then(|| format!("{:>7.1} s  {mark} {:17} {words}", after.as_secs_f64(), condition.type_))
}

/// Rows that are redrawn in place.
struct Picture {
    all: MultiProgress,
    /// One per condition but `Ready`, which is their sum.
    rows: Vec<(&'static str, ProgressBar)>,
    notes: Vec<ProgressBar>,
}

impl Default for Picture {
    fn default() -> Self {
        Self { all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), rows: Vec::new(), notes: Vec::new() }
    }
}

impl Picture {
    fn show(&mut self, standing: &Standing, paint: Paint) {
        if self.rows.is_empty() {
            self.rows = CHAIN.iter().filter(|type_| **type_ != READY).map(|type_| (*type_, self.row())).collect();
            self.rows.iter().for_each(|(type_, row)| row.set_message(format!("· {type_:17}")));
        }
        let Standing { condition, took, .. } = standing;
        let Some((_, row)) = self.rows.iter().find(|(type_, _)| *type_ == condition.type_) else { return };
        let took = took.map(|took| format!("{:.1} s", took.as_secs_f64()));
        row.set_prefix(took.unwrap_or_default());
        let words = format!("{:17} {}", condition.type_, chain::words(condition, paint));
        if condition.status == "Unknown" && condition.reason != WAITING {
            row.set_style(style("{prefix:>9}  {spinner} {wide_msg}"));
            row.set_message(words);
            row.enable_steady_tick(TURN);
        } else {
            row.disable_steady_tick();
            row.set_style(style("{prefix:>9}  {wide_msg}"));
            row.set_message(format!("{} {words}", chain::mark(condition, paint)));
        }
    }

    /// An empty row at the end.
    fn row(&self) -> ProgressBar {
        self.all.add(ProgressBar::no_length().with_style(style("{prefix:>9}  {wide_msg}")))
    }

    /// Shows lines below the rows until they are forgotten.
    fn note(&mut self, words: &str) {
        for line in words.lines() {
            let note = self.all.add(ProgressBar::no_length().with_style(style("{wide_msg}")));
            note.set_message(line.to_owned());
            self.notes.push(note);
        }
    }

    fn forget_notes(&mut self) {
        self.notes.drain(..).for_each(|note| {
            note.finish_and_clear();
            self.all.remove(&note);
        });
    }

    /// Says something above the rows.
    fn say(&self, words: &str) {
        // A terminal that can't be written to is one that nobody looks at.
        let _ = self.all.println(words);
    }

    fn close(mut self) {
        self.forget_notes();
        self.rows.iter().for_each(|(_, row)| row.abandon());
    }
}

/// A template of ours; a broken one shows the bare message.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::chain::tests::condition;

    fn standing(type_: &str, status: &str, reason: &str) -> Standing {
        let condition = condition(type_, status, reason, "in words");
        Standing { condition, after: Duration::from_millis(1234), took: None }
    }

    #[test]
    fn a_file_gets_a_line_per_change_that_says_something() {
        let told = [
            standing("Accepted", "True", "Accepted"),
            standing("Delegated", "False", "NotDelegated"),
            standing("Serving", "Unknown", "Waiting"),
            standing("Ready", "False", "NotDelegated"),
            standing("Ready", "True", "Ready"),
        ];
        let lines: Vec<_> = told.iter().filter_map(|standing| line(standing, Paint::PLAIN)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
            1.2 s  ✓ Accepted          in words
            1.2 s  ✗ Delegated         NotDelegated: in words
            1.2 s  ✓ Ready             in words
        ");
    }

    #[test]
    fn every_template_is_understood() {
        for template in ["{prefix:>9}  {spinner} {wide_msg}", "{prefix:>9}  {wide_msg}", "{wide_msg}"] {
            ProgressStyle::with_template(template).expect("understood");
        }
    }
}
