//! `lamia sandbox` as a newcomer meets it: played to its end, found again, spoken to from another terminal, and stopped.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use assert_cmd::cargo::CommandCargoExt as _;
use lamia_sandbox::servers::{ApiKind, Binary};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Whether all programs are there; says which is not.
fn can_play() -> bool {
    let programs = [Binary::Pebble, Binary::PowerDns, Binary::Sqlite, Binary::Envoy];
    let programs = ApiKind::tested().programs().iter().chain(&programs);
    let missing = programs.into_iter().find_map(|program| program.find().err());
    missing.inspect(|missing| println!("skipped: {missing}")).is_none()
}

fn lamia(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lamia").expect("the binary is built");
    command.arg("sandbox").args(arguments).arg("--state").arg(state).stdin(Stdio::null());
    if ApiKind::tested() == ApiKind::Real && !arguments.contains(&"delegate") {
        command.arg("--kubernetes");
    }
    command
}

fn run(state: &Path, arguments: &[&str]) -> (i32, String, String) {
    texts(lamia(state, arguments).output().expect("it runs"))
}

fn texts(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

/// A sandbox that has asked for the delegation, and what it goes on to say.
fn start(state: &Path) -> (Child, impl Iterator<Item = std::io::Result<String>>) {
    let mut sandbox = lamia(state, &[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
    let mut talk = BufReader::new(sandbox.stderr.take().expect("piped")).lines();
    hears(&mut talk, "sandbox delegate democluster.net");
    (sandbox, talk)
}

/// Reads what the sandbox says until a line holds the words; gives the line.
fn hears(talk: &mut impl Iterator<Item = std::io::Result<String>>, words: &str) -> String {
    let mut heard = Vec::new();
    for line in talk {
        let line = line.expect("UTF-8");
        if line.contains(words) {
            return line;
        }
        heard.push(line);
    }
    panic!("ended without saying {words:?}:\n{}", heard.join("\n"));
}

/// The processes whose environment names something below the directory, with their names.
fn servers_on(directory: &Path) -> Vec<(i32, String)> {
    let mark = format!("LAMIA_STAGE_DIRECTORY={}/", directory.canonicalize().expect("there").display());
    let processes = fs::read_dir("/proc").expect("Linux").flatten().map(|entry| entry.path());
    let ours = processes.filter(|process| {
        fs::read(process.join("environ"))
            .is_ok_and(|it| it.split(|byte| *byte == 0).any(|line| line.starts_with(mark.as_bytes())))
    });
    let named = ours.filter_map(|process| {
        let pid = process.file_name()?.to_str()?.parse().ok()?;
        Some((pid, fs::read_to_string(process.join("comm")).ok()?.trim().to_owned()))
    });
    named.collect()
}

fn interrupt(sandbox: &Child) {
    kill(Pid::from_raw(sandbox.id().cast_signed()), Signal::SIGINT).expect("sent");
}

#[test]
fn a_story_is_played_to_its_end_and_found_again() {
    if !can_play() {
        return;
    }
    let state = tempfile::tempdir().expect("a directory");
    let (code, stdout, stderr) = run(state.path(), &["--once", "--output", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let first: Value = serde_json::from_str(&stdout).expect("JSON");
    let reached: Vec<&str> =
        first["steps"].as_array().expect("steps").iter().filter_map(|step| step["condition"].as_str()).collect();
    assert_eq!(reached, lamia_api::condition::host::CHAIN, "{stderr}");
    assert!(first["from_delegation_to_ready_ms"].as_u64().is_some_and(|it| it > 0), "{first}");

    // Pebble forgot everything meanwhile: the CA is another one, and what the earlier one issued goes on being served.
    let (code, stdout, stderr) = run(state.path(), &["--once", "--output", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let second: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&second["resumed"], &second["url"]), (&Value::Bool(true), &first["url"]), "{stderr}");
    assert_eq!(second["steps"], serde_json::json!([]), "nothing was waited for: {stderr}");
    let roots = fs::read_to_string(state.path().join("roots.pem")).expect("a bundle");
    assert_eq!(roots.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(servers_on(state.path()), []);
}

#[test]
fn a_running_sandbox_is_spoken_to_from_elsewhere_and_stopped_by_ctrl_c() {
    if !can_play() {
        return;
    }
    let state = tempfile::tempdir().expect("a directory");
    let (code, _, stderr) = run(state.path(), &["delegate", "democluster.net"]);
    assert!(code == 1 && stderr.contains("no sandbox runs on"), "{stderr}");

    let (mut sandbox, mut talk) = start(state.path());
    let (code, _, stderr) = run(state.path(), &[]);
    assert!(code == 1 && stderr.contains(&format!("(process {})", sandbox.id())), "{stderr}");
    let (code, _, stderr) = run(state.path(), &["delegate", "nobodys.net"]);
    assert!(code == 1 && stderr.contains("it has: democluster.net"), "{stderr}");
    let (code, _, stderr) = run(state.path(), &["delegate", "DemoCluster.net."]);
    assert_eq!(code, 0, "{stderr}");
    let curl = hears(&mut talk, "curl --cacert");
    assert!(curl.contains("--resolve shop.democluster.net:"), "{curl}");
    hears(&mut talk, "Ctrl-C stops it");
    assert!(servers_on(state.path()).len() >= 3);

    interrupt(&sandbox);
    hears(&mut talk, "is stopped");
    assert_eq!(sandbox.wait().expect("ends").code(), Some(130));
    assert_eq!(servers_on(state.path()), []);
}

#[test]
fn a_server_that_dies_is_named_and_the_others_are_stopped() {
    if !can_play() {
        return;
    }
    let state = tempfile::tempdir().expect("a directory");
    let (mut sandbox, mut talk) = start(state.path());
    let (pebble, _) = servers_on(state.path()).into_iter().find(|(_, name)| name == "pebble").expect("runs");
    kill(Pid::from_raw(pebble), Signal::SIGKILL).expect("sent");
    hears(&mut talk, "pebble ended by itself");
    hears(&mut talk, "start the sandbox again");
    assert_eq!(sandbox.wait().expect("ends").code(), Some(1));
    assert_eq!(servers_on(state.path()), []);
}

#[test]
fn ctrl_c_while_everything_starts_leaves_nothing_behind() {
    if !can_play() {
        return;
    }
    let state = tempfile::tempdir().expect("a directory");
    let mut sandbox =
        lamia(state.path(), &["--once"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("starts");
    while servers_on(state.path()).is_empty() {
        assert_eq!(sandbox.try_wait().expect("runs"), None, "ended before anything was started");
        std::thread::yield_now();
    }
    interrupt(&sandbox);
    assert_eq!(sandbox.wait().expect("ends").code(), Some(130));
    assert_eq!(servers_on(state.path()), []);
}
