//! Where the programs of the stage are found: in the cache's `bin/` (what `tools/install` built), else on the `PATH`.
//!
//! Nothing is installed or downloaded here; a missing program is an error that says which command brings it.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Directories of system programs that are not on every user's `PATH` (on Debian only on root's).
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program that the stage or a test starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// The ACME server for tests, with the repairs that `tools/install` makes.
    Pebble,
    /// PowerDNS' authoritative server.
    PowerDns,
    /// SQLite's shell, which makes PowerDNS' database.
    Sqlite,
    /// BIND's server.
    Named,
    /// Knot DNS' server.
    Knotd,
    /// etcd.
    Etcd,
    /// kube-apiserver.
    KubeApiServer,
    /// kube-controller-manager.
    KubeControllerManager,
    /// kubectl.
    Kubectl,
    /// Envoy.
    Envoy,
    /// external-dns' webhook server, which the stage does not need: the webhook provider's test does.
    ExternalDns,
    /// Helm, which the stage does not need: the charts' test does.
    Helm,
}

/// A program is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{program} not found, neither in {} nor on the PATH; run tools/install {component}", .cache.display())]
pub struct MissingBinary {
    /// The program's file name.
    pub program: &'static str,
    /// What `tools/install` calls it.
    pub component: &'static str,
    /// The directory that was searched first.
    pub cache: PathBuf,
}

impl Binary {
    /// The program's file name and the component of `tools/install` that brings it.
    #[must_use]
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Pebble => ("pebble", "pebble"),
            Self::PowerDns => ("pdns_server", "powerdns"),
            Self::Sqlite => ("sqlite3", "powerdns"),
            Self::Named => ("named", "bind"),
            Self::Knotd => ("knotd", "knot"),
            Self::Etcd => ("etcd", "etcd"),
            Self::KubeApiServer => ("kube-apiserver", "kubernetes"),
            Self::KubeControllerManager => ("kube-controller-manager", "kubernetes"),
            Self::Kubectl => ("kubectl", "kubernetes"),
            Self::Envoy => ("envoy", "envoy"),
            Self::ExternalDns => ("external-dns-webhook", "external-dns"),
            Self::Helm => ("helm", "helm"),
        }
    }

    /// The program's path.
    ///
    /// # Errors
    /// [`MissingBinary`] where it is in none of the places.
    pub fn find(self) -> Result<PathBuf, MissingBinary> {
        let (program, component) = self.names();
        let cache = cache_directory().join("bin");
        std::iter::once(cache.clone())
            .chain(env::split_paths(&env::var_os("PATH").unwrap_or_default()))
            .chain(SYSTEM_DIRECTORIES.iter().map(PathBuf::from))
            .map(|directory| directory.join(program))
            .find(|path| is_executable(path))
            .ok_or(MissingBinary { program, component, cache })
    }
}

/// The directory that `tools/install` fills: `$LAMIA_CACHE`, else `lamia` in the user's cache directory.
#[must_use]
pub fn cache_directory() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(cache) = set("LAMIA_CACHE") {
        return PathBuf::from(cache);
    }
    let user = set("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(set("HOME").unwrap_or_else(|| OsString::from("/tmp"))).join(".cache"),
        PathBuf::from,
    );
    user.join("lamia")
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_says_which_command_brings_it() {
        let missing = MissingBinary { program: "knotd", component: "knot", cache: PathBuf::from("/cache/bin") };
        assert_eq!(
            missing.to_string(),
            "knotd not found, neither in /cache/bin nor on the PATH; run tools/install knot"
        );
    }

    #[test]
    fn a_directory_or_a_plain_file_is_no_program() {
        assert!(!is_executable(Path::new("/etc")));
        assert!(!is_executable(Path::new("/etc/passwd")));
        assert!(is_executable(Path::new("/bin/sh")));
    }
}
