//! Where in an object something is, as the real API server writes it.

/// One step down.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// A field of an object.
    Field(&'a str),
    /// An element of a list.
    Index(usize),
    /// An entry of a map: written in brackets by CEL rules and lists, like a field by the rules on values.
    Key(&'a str),
}

/// Steps from the root. Written out only where something is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Option<Step<'a>>,
}

impl<'a> Path<'a> {
    /// The object itself.
    pub(super) const ROOT: Path<'static> = Path { parent: None, step: None };

    /// One step down.
    pub(super) fn then(&'a self, step: Step<'a>) -> Path<'a> {
        Path { parent: Some(self), step: Some(step) }
    }

    /// Whether this is the object itself.
    pub(super) fn is_root(&self) -> bool {
        self.step.is_none()
    }

    /// `spec.labels.a` for an entry of a map; empty for the root.
    pub(super) fn dotted(&self) -> String {
        self.written(false)
    }

    /// `spec.labels[a]` for an entry of a map; `<nil>` for the root.
    pub(super) fn bracketed(&self) -> String {
        if self.is_root() { "<nil>".to_owned() } else { self.written(true) }
    }

    fn written(&self, brackets: bool) -> String {
        let Some(step) = self.step else { return String::new() };
        let mut text = self.parent.map(|it| it.written(brackets)).unwrap_or_default();
        match step {
            Step::Index(at) => text.push_str(&format!("[{at}]")),
            Step::Key(key) if brackets => text.push_str(&format!("[{key}]")),
            Step::Field(name) | Step::Key(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
        }
        text
    }
}
