//! The signals by which a person or a supervisor ends the sandbox.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{self, SignalKind, signal};

/// A signal that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signal(u8);

impl Signal {
    /// What a shell expects of a program that a signal ended: 128 and its number, so 130 for Ctrl-C.
    pub(super) fn exit_code(self) -> ExitCode {
        ExitCode::from(128 + self.0)
    }
}

/// The signals that are listened to: Ctrl-C, a closed terminal, a supervisor.
pub(super) struct Signals {
    interrupt: unix::Signal,
    hangup: unix::Signal,
    terminate: unix::Signal,
}

impl Signals {
    /// Listens from now on; begin before anything is started that would outlive the process.
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("can't listen to signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal(2),
            _ = self.hangup.recv() => Signal(1),
            _ = self.terminate.recv() => Signal(15),
        }
    }
}
