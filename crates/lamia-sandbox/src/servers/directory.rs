//! The directory of one server: a temporary one, or a given one whose state outlives the process.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A server's directory. A temporary one goes with the value, unless something failed: then it stays to be read.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    temporary: bool,
}

impl Directory {
    /// The given directory (made where missing), else a new temporary one whose name tells the server's.
    pub(crate) fn open(given: Option<PathBuf>, server: &str) -> anyhow::Result<Self> {
        match given {
            Some(path) => {
                fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
                let path = path.canonicalize().with_context(|| format!("can't read {}", path.display()))?;
                Ok(Self { path, temporary: false })
            }
            None => {
                let made = tempfile::Builder::new().prefix(&format!("lamia-{server}-")).tempdir();
                Ok(Self { path: made.context("can't make a temporary directory")?.keep(), temporary: true })
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a temporary directory after the value is gone: its log is needed.
    pub(crate) fn keep(&mut self) {
        self.temporary = false;
    }

    /// Writes a file that only its owner may read, replacing what was there. Gives its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        write_private(&path, content.as_ref()).with_context(|| format!("can't write {}", path.display()))?;
        Ok(path)
    }

    /// The content of a file that is made by `make` when it is not there yet: keys that must survive a restart.
    pub(crate) fn once(&self, name: &str, make: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<String> {
        let path = self.path.join(name);
        match fs::read_to_string(&path) {
            Ok(content) => Ok(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let content = make()?;
                self.write(name, &content)?;
                Ok(content)
            }
            Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.temporary {
            return;
        }
        if std::thread::panicking() {
            eprintln!("kept for a look: {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "temporary directory not removed");
        }
    }
}

/// Writes beside the file and renames: a reader, or a crash, never sees half of it.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&name)?;
    file.write_all(content)?;
    fs::rename(&name, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_goes_and_a_given_one_stays() {
        let outer = tempfile::tempdir().expect("a directory");
        let given = Directory::open(Some(outer.path().join("state")), "x").expect("opens");
        let temporary = Directory::open(None, "x").expect("opens");
        let (stays, goes) = (given.path().to_owned(), temporary.path().to_owned());
        drop((given, temporary));
        assert!(stays.is_dir());
        assert!(!goes.exists());
    }

    #[test]
    fn a_key_is_made_once_and_read_after() {
        let directory = Directory::open(None, "x").expect("opens");
        let first = directory.once("key", || Ok("one".into())).expect("made");
        let second = directory.once("key", || Ok("two".into())).expect("read");
        assert_eq!((first.as_str(), second.as_str()), ("one", "one"));
    }
}
