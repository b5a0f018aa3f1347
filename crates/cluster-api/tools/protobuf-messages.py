#!/usr/bin/env python3
"""Writes src/protobuf/messages.json from the sources of Kubernetes' Go modules.

    crates/cluster-api/tools/protobuf-messages.py ~/go/pkg/mod/k8s.io 0.36.3

For every message that the built-in kinds need: the number of each field, its name in JSON, and its type, as
`[<repeated> {<map from text> *<kept when zero> <<inline> s|y|b|i|d|message`.
"""
import json
import os
import re
import sys

KINDS = {
    "v1": ("api", "core/v1", ["Namespace", "ConfigMap", "Secret", "Service", "ServiceAccount", "Event", "Pod", "Node"]),
    "events.k8s.io/v1": ("api", "events/v1", ["Event"]),
    "coordination.k8s.io/v1": ("api", "coordination/v1", ["Lease"]),
    "apps/v1": ("api", "apps/v1", ["Deployment"]),
    "autoscaling/v1": ("api", "autoscaling/v1", ["Scale"]),
    "policy/v1": ("api", "policy/v1", ["PodDisruptionBudget"]),
    "rbac.authorization.k8s.io/v1": ("api", "rbac/v1", ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]),
    "apiextensions.k8s.io/v1": ("apiextensions-apiserver", "pkg/apis/apiextensions/v1", ["CustomResourceDefinition"]),
    "authentication.k8s.io/v1": ("api", "authentication/v1", ["TokenReview", "SelfSubjectReview", "TokenRequest"]),
    "authorization.k8s.io/v1": ("api", "authorization/v1", [
        "SubjectAccessReview", "SelfSubjectAccessReview", "LocalSubjectAccessReview", "SelfSubjectRulesReview",
    ]),
}
FILES = [(module, path) for module, path, _ in KINDS.values()] + [
    ("apimachinery", "pkg/apis/meta/v1"), ("apimachinery", "pkg/runtime"), ("apimachinery", "pkg/api/resource"),
    ("apimachinery", "pkg/util/intstr"),
]
SCALARS = {"string": "s", "bytes": "y", "bool": "b", "double": "d"} | {
    it: "i" for it in ["int32", "int64", "uint32", "uint64"]
}
FIELD = re.compile(r"^\s*(optional|repeated)?\s*(map<string, ?([\w.]+)>|[\w.]+) (\w+) = (\d+);")
JSON = re.compile(r"^\s+(?:(\w+)\s+)?(\S+)\s+`.*json:\"([^\"]*)\"")
TAG = re.compile(r"protobuf:\"\w+,(\d+),")


def structs(folder):
    """What Go says of each field: by struct and number (or name, without one), its name in JSON and whether a zero is kept."""
    found = {}
    for name in os.listdir(folder):
        if not name.startswith("types") and name not in ["quantity.go", "intstr.go"] or not name.endswith(".go"):
            continue
        struct = None
        for line in open(os.path.join(folder, name)):
            if opened := re.match(r"^type (\w+) struct", line):
                struct = found.setdefault(opened[1], {})
            elif line.startswith("}"):
                struct = None
            elif struct is not None and (field := JSON.match(line)):
                name_in_json, *rest = field[3].split(",")
                if name_in_json:
                    tag = TAG.search(line)
                    kept = field[2].startswith("*") or not {"omitempty", "omitzero"} & set(rest)
                    struct[tag[1] if tag else name_in_json] = (name_in_json, kept)
    return found


def messages(folder):
    """All messages of a folder's proto file."""
    go, found, package, message = structs(folder), {}, "", None
    for line in open(os.path.join(folder, "generated.proto")):
        if opened := re.match(r"^package ([\w.]+);", line):
            package = opened[1]
        elif opened := re.match(r"^message (\w+)", line):
            message, known = found.setdefault(f"{package}.{opened[1]}", {}), go.get(opened[1], {})
        elif line.startswith("}"):
            message = None
        elif message is not None and (field := FIELD.match(line)):
            repeated, kind, value, name, number = field.groups()
            kind = value or kind
            kind = SCALARS.get(kind) or (kind.lstrip(".") if "." in kind else f"{package}.{kind}")
            mark = "{" if value else "[" if repeated == "repeated" else ""
            if go_says := known.get(number) or known.get(name):
                name, kept = go_says
                mark += "*" if kept and not mark else ""
            elif known and len(kind) > 1 and not mark:
                mark = "<"
            message[number] = [name, mark + kind]
    return found


def main():
    root, version = sys.argv[1], sys.argv[2]
    every, kinds, needed = {}, {}, {}
    for module, path in FILES:
        every |= messages(f"{root}/{module}@v{version}/{path}")
    for group_version, (module, path, names) in KINDS.items():
        for name in names:
            package = f"k8s.io.{module.replace('-', '_')}.{path.replace('/', '.')}"
            kinds[f"{group_version}/{name}"] = f"{package}.{name}"
    kinds["DeleteOptions"] = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    left = list(kinds.values())
    while left:
        name = left.pop()
        if name not in needed:
            needed[name] = every[name]
            left += [kind.lstrip("[{*<") for _, kind in every[name].values() if len(kind.lstrip("[{*<")) > 1]
    out = os.path.join(os.path.dirname(__file__), "../src/protobuf/messages.json")
    with open(out, "w") as file:
        lines = [f"{json.dumps(name)}: {json.dumps(needed[name], separators=(',', ':'))}" for name in sorted(needed)]
        file.write('{"kinds": ' + json.dumps(kinds) + ',\n"messages": {\n' + ",\n".join(lines) + "\n}}\n")


main()
