//! The directory in which a sandbox keeps what outlives it, so that a second start goes on where the first one stopped.
//!
//! | file | what |
//! |---|---|
//! | `lamia-sandbox.json` | the mark: this directory is ours, so `--reset` may empty it |
//! | `lock` | held while a sandbox runs here; its content is the holder's process id |
//! | `control.json` | where the running sandbox listens for `lamia sandbox delegate` ([`crate::control`]) |
//! | `kubeconfig` | the administrator's, for kubectl and lamia |
//! | `roots.pem` | every root that a CA of this sandbox ever had, for curl |
//! | `lamia.log` | the operator's log since the last start |
//! | the rest | one directory a server, and `places.json` with their addresses ([`crate::stage`]) |
//!
//! Only its owner may look into it: the servers' keys are there. The lock is the kernel's (flock), so a killed sandbox
//! leaves none behind.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::servers::end_leftovers_below;

/// The file that marks a directory as a sandbox's.
const MARK: &str = "lamia-sandbox.json";
/// What stands in it. Another format gets another number.
const MARK_TEXT: &str = "{\"about\": \"state of `lamia sandbox`; --reset removes all of it\", \"format\": 1}\n";
/// The file that is locked.
const LOCK: &str = "lock";

/// Why a directory can't hold the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No default can be told.
    #[error("there is no place for the sandbox's state: neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
    /// Somebody else's files are there.
    #[error("{} is not empty, and no sandbox made it: nothing there is touched", .0.display())]
    Foreign(PathBuf),
    /// Another sandbox runs on it.
    #[error("another sandbox uses {} (process {holder})", .directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The other's process id, as far as it could be read.
        holder: String,
    },
    /// The file system says no.
    #[error("can't {doing} {}", .path.display())]
    Io {
        /// What was tried, as in `write`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl StateError {
    /// What a person can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NoHome | Self::Foreign(_) | Self::Io { .. } => "name a directory for it: --state DIR",
            Self::InUse { .. } => "stop that one with Ctrl-C, or give this one a directory of its own: --state DIR",
        }
    }
}

/// An open state directory: nobody else has it until this is dropped. A temporary one then goes.
#[derive(Debug)]
pub struct State {
    directory: PathBuf,
    // In the order in which they end: the lock goes before the directory does.
    _lock: File,
    _temporary: Option<TempDir>,
}

impl State {
    /// The directory where nobody names another: `lamia/sandbox` in the user's state directory (XDG Base Directory
    /// Specification 0.8).
    ///
    /// # Errors
    /// [`StateError::NoHome`].
    pub fn default_directory() -> Result<PathBuf, StateError> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let states = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        Ok(states.ok_or(StateError::NoHome)?.join("lamia/sandbox"))
    }

    /// Opens a directory that stays; made where missing. `reset` removes what an earlier sandbox kept there. Servers that a
    /// killed sandbox left running on it are ended.
    ///
    /// # Errors
    /// It is somebody else's, in use, or can't be written.
    pub fn open(directory: &Path, reset: bool) -> Result<Self, StateError> {
        let directory = made(directory)?;
        let marked = directory.join(MARK).is_file();
        if !marked && !is_empty(&directory)? {
            return Err(StateError::Foreign(directory));
        }
        let lock = lock(&directory)?;
        end_leftovers_below(&directory);
        if reset && marked {
            empty(&directory)?;
        }
        let mark = directory.join(MARK);
        fs::write(&mark, MARK_TEXT).map_err(failed("write", &mark))?;
        Ok(Self { directory, _lock: lock, _temporary: None })
    }

    /// Opens a directory that goes with the value.
    ///
    /// # Errors
    /// There is no place for temporary files.
    pub fn temporary() -> Result<Self, StateError> {
        let made = tempfile::Builder::new().prefix("lamia-sandbox-").tempdir();
        let made = made.map_err(failed("make a directory in", &std::env::temp_dir()))?;
        let state = Self::open(made.path(), false)?;
        Ok(Self { _temporary: Some(made), ..state })
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether it goes when the sandbox ends.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self._temporary.is_some()
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// The operator's log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("lamia.log")
    }

    /// Every root that a CA of this sandbox ever had, PEM: certificates of an earlier one go on being served.
    #[must_use]
    pub fn roots(&self) -> PathBuf {
        self.directory.join("roots.pem")
    }

    /// Adds a root to [`State::roots`], unless it is there.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn trust(&self, root: &str) -> Result<(), StateError> {
        let path = self.roots();
        let mut roots = match fs::read_to_string(&path) {
            Ok(roots) => roots,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let root = root.trim();
        if roots.contains(root) {
            return Ok(());
        }
        roots.push_str(root);
        roots.push('\n');
        crate::servers::write_private(&path, roots.as_bytes()).map_err(failed("write", &path))
    }
}

/// The directory, made where missing, for its owner alone.
fn made(directory: &Path) -> Result<PathBuf, StateError> {
    let fails = |doing| failed(doing, directory);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fails("make the directory"))?;
    let directory = directory.canonicalize().map_err(fails("read"))?;
    Ok(directory)
}

/// Whether nothing is there but the lock of one that starts, or was killed while it did.
fn is_empty(directory: &Path) -> Result<bool, StateError> {
    let mut entries = fs::read_dir(directory).map_err(failed("read", directory))?;
    Ok(entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == LOCK)))
}

/// Takes the lock, and writes who has it.
fn lock(directory: &Path) -> Result<File, StateError> {
    let path = directory.join(LOCK);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(failed("write", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Unreadable, or not written yet: the other is named without its number.
            let read = file.read_to_string(&mut holder).unwrap_or_default();
            let holder = if read == 0 { "unknown".to_owned() } else { holder.trim().to_owned() };
            return Err(StateError::InUse { directory: directory.to_owned(), holder });
        }
    }
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(failed("protect", directory))?;
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(failed("write", &path))?;
    Ok(file)
}

/// Removes everything but the mark and the lock: an interrupted reset can be repeated.
fn empty(directory: &Path) -> Result<(), StateError> {
    for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
        let entry = entry.map_err(failed("read", directory))?;
        if entry.file_name() == MARK || entry.file_name() == LOCK {
            continue;
        }
        let path = entry.path();
        let is_directory = entry.file_type().map_err(failed("read", &path))?.is_dir();
        let removed = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(failed("remove", &path))?;
    }
    Ok(())
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> TempDir {
        tempfile::tempdir().expect("a directory")
    }

    #[test]
    fn two_sandboxes_never_share_a_directory_and_the_second_is_told_who_has_it() {
        let outer = directory();
        let first = State::open(outer.path(), false).expect("opens");
        let refused = State::open(outer.path(), true).expect_err("in use");
        assert!(refused.to_string().ends_with(&format!("(process {})", std::process::id())), "{refused}");
        assert!(refused.advice().contains("--state DIR"));
        drop(first);
        State::open(outer.path(), false).expect("free again");
    }

    #[test]
    fn a_directory_of_somebody_else_is_left_alone_even_with_reset() {
        let outer = directory();
        fs::write(outer.path().join("thesis.tex"), "years of work").expect("written");
        for reset in [false, true] {
            let refused = State::open(outer.path(), reset).expect_err("foreign");
            assert!(matches!(refused, StateError::Foreign(_)), "{refused}");
        }
        let left: Vec<_> = fs::read_dir(outer.path()).expect("read").map(|entry| entry.expect("one")).collect();
        assert_eq!(left.len(), 1, "no lock and no mark either: {left:?}");
    }

    #[test]
    fn reset_removes_what_was_kept_and_nothing_else_does() {
        let outer = directory();
        let (folder, file) = (outer.path().join("powerdns"), outer.path().join("places.json"));
        for (reset, kept) in [(false, true), (true, false)] {
            drop(State::open(outer.path(), false).expect("opens"));
            fs::create_dir_all(&folder).and_then(|()| fs::write(&file, "{}")).expect("written");
            drop(State::open(outer.path(), reset).expect("opens"));
            assert_eq!((folder.exists(), file.exists()), (kept, kept));
        }
    }

    #[test]
    fn only_the_owner_looks_into_it() {
        let outer = directory();
        fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o755)).expect("opened to all");
        let state = State::open(outer.path(), false).expect("opens");
        state.trust("-----BEGIN CERTIFICATE-----").expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(state.directory()), mode(&state.roots())), (0o700, 0o600));
    }

    #[test]
    fn each_root_stands_once_in_the_bundle() {
        let state = State::temporary().expect("opens");
        for root in ["one\n", "two\n", "one\n"] {
            state.trust(root).expect("written");
        }
        assert_eq!(fs::read_to_string(state.roots()).expect("read"), "one\ntwo\n");
    }

    #[test]
    fn a_temporary_state_goes() {
        let state = State::temporary().expect("opens");
        let path = state.directory().to_owned();
        assert!(state.is_temporary() && path.join(MARK).is_file());
        drop(state);
        assert!(!path.exists());
    }

    #[test]
    fn a_place_that_can_not_be_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let refused = State::open(&file.path().join("state"), false).expect_err("a file is no directory");
        assert!(refused.to_string().contains(&file.path().display().to_string()), "{refused}");
    }
}
