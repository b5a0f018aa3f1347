//! The binary as a person or a script meets it: exit codes, which stream says what, and errors that say what to do.
//! Nothing here needs a cluster.

use assert_cmd::Command;

/// Runs the binary in an environment without a cluster: exit code, stdout, stderr.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("lamia").expect("the binary is built");
    let output = command.env_clear().env("HOME", "/nonexistent").args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

#[test]
fn help_names_every_command() {
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for command in ["host", "zone", "plan", "doctor", "crds", "operator", "completions", "version"] {
        assert!(stdout.contains(&format!("\n  {command} ")), "{command} in:\n{stdout}");
    }
}

#[test]
fn what_is_not_understood_is_exit_code_2_and_leaves_stdout_empty() {
    let wrong: [&[&str]; 4] = [
        &["hots"],
        &["host", "add"],
        &["host", "add", "a.example.org", "--service", "shop"],
        &["zone", "list", "-o", "xml"],
    ];
    for arguments in wrong {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains("error:"), "{stderr}");
    }
}

#[test]
fn a_service_without_a_port_is_told_how_to_write_it() {
    let (_, _, stderr) = run(&["host", "add", "a.example.org", "--service", "shop"]);
    assert!(stderr.contains("as in shop:9191"), "{stderr}");
}

#[test]
fn a_host_that_no_certificate_can_name_is_refused_before_any_cluster_is_asked() {
    let wrong = [
        ("192.0.2.7", "IP address"),
        ("shop", "single label"),
        ("a.*.example.org", "asterisk"),
        ("co.uk", "public suffix"),
    ];
    for (host, word) in wrong {
        let (code, stdout, stderr) = run(&["host", "add", host, "--dry-run"]);
        assert_eq!((code, stdout.as_str()), (1, ""), "{host}");
        assert!(stderr.contains(word), "{host}: {stderr}");
    }
}

#[test]
fn a_dry_run_prints_the_sandboxs_sample_and_needs_no_cluster() {
    let add = ["host", "add", "shop.democluster.net", "--service", "shop:9191", "--name", "shop"];
    let (code, stdout, stderr) = run(&[&add[..], &["-n", "vamp-demo", "--dry-run"]].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let read = |text: &str| serde_saphyr::from_str::<serde_json::Value>(text).expect("YAML");
    assert_eq!(read(&stdout), read(include_str!("../../../samples/sandbox/60-host.yaml")));
}

#[test]
fn without_a_cluster_the_error_says_how_to_name_one() {
    let (code, stdout, stderr) = run(&["host", "list"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("--kubeconfig") && stderr.contains("make sandbox"), "{stderr}");
}

#[test]
fn a_kubeconfig_that_is_not_there_is_named() {
    let (code, _, stderr) = run(&["--kubeconfig", "/nonexistent/kubeconfig", "zone", "list"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("/nonexistent/kubeconfig"), "{stderr}");
}

#[test]
fn the_definitions_are_printed_as_one_stream() {
    let (code, stdout, _) = run(&["crds"]);
    assert_eq!(code, 0);
    assert_eq!(stdout.matches("kind: CustomResourceDefinition\n").count(), 5);
    assert_eq!(stdout.matches("\n---\n").count(), 4);
}

#[test]
fn completions_name_the_commands() {
    let (code, stdout, _) = run(&["completions", "bash"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("doctor"));
}

#[test]
fn the_version_names_the_api_and_the_providers_that_are_built_in() {
    let (code, stdout, _) = run(&["version"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("(API lamia.dev/v1alpha1; DNS providers: cloudflare, "), "{stdout}");
}
