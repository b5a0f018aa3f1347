//! Secrets as a type: nothing prints, compares or serialises them by accident.

/// A credential, key or token. It has no `Debug`, `Display` or `Serialize`, so it can't reach a log, an event or a status.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes over the bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one place that sends or signs with them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text with surrounding white space removed (a trailing newline is the commonest mistake in a
    /// Secret); `None` when it is no UTF-8.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok().map(str::trim)
    }
}
