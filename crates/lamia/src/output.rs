//! How results are shown: formats, colours, tables.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

/// Formats of lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    #[default]
    Table,
    Json,
    Yaml,
}

/// Formats of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectFormat {
    Json,
    Yaml,
}

/// When to use colours. `Auto` is on a terminal, unless NO_COLOR is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

/// Puts on colours, or not: decided once, so that rendering stays a function of its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    coloured: bool,
}

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { coloured: false };

    /// For what goes to stdout.
    pub(crate) fn for_stdout(colour: Colour) -> Self {
        Self::on(io::stdout().is_terminal(), colour)
    }

    /// For what goes to stderr.
    pub(crate) fn for_stderr(colour: Colour) -> Self {
        Self::on(io::stderr().is_terminal(), colour)
    }

    fn on(terminal: bool, colour: Colour) -> Self {
        let coloured = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
                terminal && !refused && !dumb
            }
        };
        Self { coloured }
    }

    /// Good news.
    pub(crate) fn good(self, text: &str) -> String {
        self.styled(text, Style::new().green())
    }

    /// Somebody must act.
    pub(crate) fn bad(self, text: &str) -> String {
        self.styled(text, Style::new().red().bold())
    }

    /// Something is under way.
    pub(crate) fn waiting(self, text: &str) -> String {
        self.styled(text, Style::new().yellow())
    }

    /// What matters most.
    pub(crate) fn strong(self, text: &str) -> String {
        self.styled(text, Style::new().bold())
    }

    fn styled(self, text: &str, style: Style) -> String {
        if self.coloured { text.style(style).to_string() } else { text.to_owned() }
    }
}

/// Writes data to stdout, with a newline at its end.
///
/// # Errors
/// stdout can't be written to; see [`is_broken_pipe`].
pub(crate) fn data(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush()).context("write to stdout")
}

/// Says something to the person at the keyboard.
pub(crate) fn talk(text: &str) {
    // Nobody listens: nothing is lost.
    _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether whoever read our output went away, as `head` does. That is no failure.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An object for programs or files.
///
/// # Errors
/// It can't be written in that format.
pub(crate) fn object(value: &impl Serialize, format: ObjectFormat) -> Result<String> {
    match format {
        ObjectFormat::Json => serde_json::to_string_pretty(value).context("write JSON"),
        ObjectFormat::Yaml => serde_saphyr::to_string(value).context("write YAML"),
    }
}

/// Objects as Kubernetes' `List`, for programs or files.
///
/// # Errors
/// They can't be written in that format.
pub(crate) fn list(items: &[impl Serialize], format: ObjectFormat) -> Result<String> {
    object(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}), format)
}

/// A table as kubectl prints it: no borders, three blanks between columns.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.iter().copied()).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_and_end_without_blanks() {
        let rows = vec![vec!["shop".to_owned(), "True".to_owned()], vec!["a".to_owned(), String::new()]];
        assert_eq!(table(&["NAME", "READY"], rows), "NAME   READY\nshop   True\na");
    }

    #[test]
    fn colours_are_put_on_only_when_wanted() {
        assert_eq!(Paint::PLAIN.bad("no"), "no");
        assert!(Paint { coloured: true }.bad("no").contains("\u{1b}["));
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let gone = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("write to stdout");
        assert!(is_broken_pipe(&gone));
        assert!(!is_broken_pipe(&anyhow::anyhow!("other")));
    }
}
