#!/usr/bin/env python3
"""Writes src/builtin/{resources,schemas}.json from a running kube-apiserver.

    crates/cluster-api/tools/built-in-kinds.py https://127.0.0.1:6443 TOKEN

`resources.json` is what discovery says of the kinds below, with the columns of their Table. `schemas.json` holds the component
schemas that these kinds need, as published under /openapi/v3, without descriptions.
"""
import json
import os
import ssl
import sys
import urllib.request

KINDS = {
    "v1": ["namespaces", "configmaps", "secrets", "services", "serviceaccounts", "events", "pods", "nodes"],
    "events.k8s.io/v1": ["events"],
    "coordination.k8s.io/v1": ["leases"],
    "apps/v1": ["deployments"],
    "policy/v1": ["poddisruptionbudgets"],
    "rbac.authorization.k8s.io/v1": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
    "apiextensions.k8s.io/v1": ["customresourcedefinitions"],
    "authentication.k8s.io/v1": ["tokenreviews", "selfsubjectreviews"],
    "authorization.k8s.io/v1": [
        "subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews", "selfsubjectrulesreviews",
    ],
}
# Components that the documents need besides those of the kinds.
EXTRA = [
    "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
]
SUBRESOURCES = ["status", "scale", "finalize"]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def fetch(path, accept="application/json"):
    request = urllib.request.Request(sys.argv[1] + path, headers={"Authorization": f"Bearer {sys.argv[2]}", "Accept": accept})
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(request, context=context) as answer:
        return json.load(answer)


def stripped(value):
    """Without descriptions, but with properties of that name."""
    if isinstance(value, list):
        return [stripped(it) for it in value]
    if not isinstance(value, dict):
        return value
    kept = {key: it for key, it in value.items() if not (key == "description" and isinstance(it, str))}
    return {
        key: {name: stripped(sub) for name, sub in it.items()} if key == "properties" else stripped(it)
        for key, it in kept.items()
    }


def references(value):
    if isinstance(value, list):
        for it in value:
            yield from references(it)
    elif isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rsplit("/", 1)[-1]
        for it in value.values():
            yield from references(it)


def columns(root, resource):
    if "list" not in resource["verbs"]:
        return []
    return fetch(f"{root}/{resource['name']}", TABLE)["columnDefinitions"]


def main():
    resources, schemas = [], {}
    for group_version, names in KINDS.items():
        group, _, version = group_version.rpartition("/")
        root = f"/apis/{group_version}" if group else f"/api/{version}"
        discovered = {it["name"]: it for it in fetch(root)["resources"]}
        components = fetch(f"/openapi/v3{root}")["components"]["schemas"]
        todo = [name for name in EXTRA if name in components]
        for name in names:
            found = discovered[name]
            gvk = {"group": group, "version": version, "kind": found["kind"]}
            is_it = lambda it: gvk in it.get("x-kubernetes-group-version-kind", [])
            component = next(key for key, it in components.items() if is_it(it))
            todo += [component] + [component + "List"] * (component + "List" in components)
            subs = [discovered[f"{name}/{it}"] for it in SUBRESOURCES if f"{name}/{it}" in discovered]
            resources.append({**gvk, **found, "schema": component, "columns": columns(root, found), "subresources": subs})
        while todo:
            name = todo.pop()
            if name not in schemas:
                schemas[name] = stripped(components[name])
                todo += references(schemas[name])
    folder = os.path.join(os.path.dirname(__file__), "..", "src", "builtin")
    for file, data in (("resources.json", resources), ("schemas.json", dict(sorted(schemas.items())))):
        with open(os.path.join(folder, file), "w") as out:
            lines = [json.dumps(it, separators=(",", ":")) for it in data] if isinstance(data, list) else [
                f"{json.dumps(key)}:{json.dumps(it, separators=(',', ':'))}" for key, it in data.items()
            ]
            ends = "[]" if isinstance(data, list) else "{}"
            out.write(ends[0] + "\n" + ",\n".join(lines) + "\n" + ends[1] + "\n")


main()
