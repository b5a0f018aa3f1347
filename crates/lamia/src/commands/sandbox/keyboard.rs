//! The keyboard while a story plays: Enter, and nothing else. Keys are not echoed, as that would tear the picture.

use std::io::{self, BufRead as _, IsTerminal as _};

use lamia_sandbox::story::Person;
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use tokio::sync::mpsc;

/// A keyboard that is listened to. Dropped, keys are echoed again.
pub(super) struct Keyboard {
    lines: mpsc::Receiver<()>,
    _silence: Option<Silence>,
}

impl Keyboard {
    /// Listens, if a person is to type and stdin is a keyboard.
    pub(super) fn listen(person: Person) -> Self {
        let (pressed, lines) = mpsc::channel(1);
        if person == Person::Played || !io::stdin().is_terminal() {
            return Self { lines, _silence: None };
        }
        // A thread of its own, not one of the runtime's: nothing can wake a thread that reads the keyboard, and the
        // process must not wait for it at its end.
        std::thread::spawn(move || {
            let mut line = String::new();
            while io::stdin().lock().read_line(&mut line).is_ok_and(|read| read > 0)
                && pressed.blocking_send(()).is_ok()
            {
                line.clear();
            }
        });
        Self { lines, _silence: Silence::begin() }
    }

    /// Waits for Enter; for ever where there is no keyboard.
    pub(super) async fn enter(&mut self) {
        if self.lines.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// A terminal that echoes nothing.
struct Silence {
    before: Termios,
}

impl Silence {
    /// None where the terminal can't.
    fn begin() -> Option<Self> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &silent).ok()?;
        Some(Self { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
