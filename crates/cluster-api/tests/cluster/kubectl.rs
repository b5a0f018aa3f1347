//! Stock kubectl against a served cluster, if it is installed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::net::TcpListener;
use tokio::process::Command;

use crate::common::cluster;

const FOO: &str = "apiVersion: example.org/v1\nkind: Foo\nmetadata: {name: f}\nspec: {size: 2}\n";
const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: foos, kind: Foo, shortNames: [fo]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer, description: How big it is.}}}
          status: {type: object, properties: {size: {type: integer}}}
";

/// kubectl: `$KUBECTL`, or the one that `make` builds, or the first of the path.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECTL").map(PathBuf::from);
    let built = std::env::var_os("HOME").map(|it| Path::new(&it).join(".cache/lamia/bin/kubectl"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|it| it.join("kubectl"));
    named.into_iter().chain(built).chain(found).find(|it| it.is_file())
}

struct Kubectl {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Kubectl {
    /// Runs it; what it says on both streams, and whether it was content.
    async fn run(&self, arguments: &[&str]) -> (String, bool) {
        let output = Command::new(&self.program)
            .args(arguments)
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("KUBECACHEDIR", self.folder.path().join("cache"))
            .env("EDITOR", "sed -i s/first:/second:/")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .await
            .expect("kubectl runs");
        let both = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&both).into_owned(), output.status.success())
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).expect("a temporary folder can be written to");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_finds_what_it_looks_for() {
    let Some(program) = program() else {
        println!("not asked by kubectl: it is not installed");
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let server = cluster().0.serve(listener).expect("it serves");
    let kubectl = Kubectl { program, folder: tempfile::tempdir().expect("a temporary folder") };
    kubectl.write("kubeconfig", &server.kubeconfig("admin", "admin", "default"));
    kubectl.write("definition.yaml", DEFINITION);
    kubectl.write("foo.yaml", FOO);
    kubectl.write("bigger.yaml", &FOO.replace("size: 2", "size: 4"));
    // What it is told, what it says, and whether it is content.
    for (command, expected, content) in [
        ("api-resources", "customresourcedefinitions", true),
        ("get ns", "kube-system", true),
        ("apply -f definition.yaml", "foos.example.org created", true),
        ("wait --for condition=Established crd/foos.example.org --timeout=10s", "condition met", true),
        ("apply -f foo.yaml", "foo.example.org/f created", true),
        ("get fo", "SIZE", true),
        ("describe foo f", "Size:  2", true),
        ("explain foo.spec", "How big it is.", true),
        ("diff -f bigger.yaml", "size: 4", false),
        ("apply -f bigger.yaml", "f configured", true),
        ("apply --server-side -f foo.yaml", "serverside-applied", true),
        ("scale foo f --replicas=7", "scaled", true),
        ("get foo f -o jsonpath={.spec.size}", "7", true),
        ("create configmap a --from-literal=first=1", "configmap/a created", true),
        ("edit configmap a", "configmap/a edited", true),
        ("get configmap a -o jsonpath={.data}", "{\"second\":\"1\"}", true),
        ("patch configmap a -p {\"data\":{\"third\":\"3\"}}", "patched", true),
        ("patch configmap a --type=json -p [{\"op\":\"remove\",\"path\":\"/data/third\"}]", "patched", true),
        ("label configmap a tier=one", "labeled", true),
        ("get configmap -l tier=one --watch --request-timeout=1s", "a      1", true),
        ("create deployment d --image=nginx", "deployment.apps/d created", true),
        ("get deployments", "0/1", true),
        ("create serviceaccount robot", "created", true),
        ("create token robot", "ey", true),
        ("auth can-i get configmaps --as alice", "no", false),
        ("create clusterrole reader --verb=get --resource=configmaps", "created", true),
        ("create clusterrolebinding reader --clusterrole=reader --user=alice", "created", true),
        ("auth can-i get configmaps --as alice", "yes", true),
        ("auth whoami", "system:masters", true),
        ("get configmaps --as bob", "cannot list resource \"configmaps\"", false),
        ("delete foo f", "deleted", true),
        ("delete crd foos.example.org", "deleted", true),
        ("get foos", "NotFound", false),
        ("create namespace n", "created", true),
        ("delete namespace n --timeout=10s", "deleted", true),
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        let (said, was) = kubectl.run(&arguments).await;
        assert!(
            said.contains(expected) && was == content,
            "kubectl {command}: expected {expected:?}, {content}; it said\n{said}"
        );
    }
}
