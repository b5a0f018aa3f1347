#!/usr/bin/env python3
"""Plays the cases of this directory against a real API server and writes down what it answered.

    record.py https://ADDRESS:PORT TOKEN

writes recorded.json (the cases with the answers) and schemas.json (what that server publishes of the built-in kinds that the cases
use, references resolved, descriptions and what no case names left out). Every step waits until the second is over, so that times that
move are seen to. The test `patches` replays it all without a server.
"""

import concurrent.futures
import copy
import http.client
import json
import pathlib
import ssl
import sys
import time
import urllib.parse

import yaml

HERE = pathlib.Path(__file__).parent
SERVER, TOKEN = urllib.parse.urlparse(sys.argv[1]), sys.argv[2]
# Part of all names: what an earlier run left behind is not in the way.
RUN = int(time.time())
TLS = ssl._create_unverified_context()
TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
# Kind: API version, path, document and name of its schema.
KINDS = {
    "Widget": ("patches.example.com/v1", "/apis/patches.example.com/v1/namespaces/default/widgets", None, None),
    "ConfigMap": ("v1", "/api/v1/namespaces/default/configmaps", "api/v1", "io.k8s.api.core.v1.ConfigMap"),
    "Service": ("v1", "/api/v1/namespaces/default/services", "api/v1", "io.k8s.api.core.v1.Service"),
    "Namespace": ("v1", "/api/v1/namespaces", "api/v1", "io.k8s.api.core.v1.Namespace"),
    "Deployment": ("apps/v1", "/apis/apps/v1/namespaces/default/deployments", "apis/apps/v1", "io.k8s.api.apps.v1.Deployment"),
    "PodDisruptionBudget": (
        "policy/v1", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", "apis/policy/v1",
        "io.k8s.api.policy.v1.PodDisruptionBudget"),
}
# Of these objects only the fields that the cases and the server's own defaults need.
KEPT = {
    "PodSpec": "containers volumes restartPolicy dnsPolicy schedulerName securityContext terminationGracePeriodSeconds",
    "Container": "name image args env ports resources imagePullPolicy terminationMessagePath terminationMessagePolicy",
    "Volume": "name emptyDir configMap",
    "EnvVar": "name value",
    "PodSecurityContext": "",
}


def request(method, path, body=None, kind="application/json"):
    connection = http.client.HTTPSConnection(SERVER.hostname, SERVER.port, context=TLS, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    connection.request(method, path, None if method in ("GET", "DELETE") else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if answer.headers.get_content_type() == "application/json" else text.decode()


def merged(one, other):
    if not isinstance(one, dict) or not isinstance(other, dict):
        return copy.deepcopy(other)
    out = copy.deepcopy(one)
    for key, value in other.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def play(index, case):
    kind = case.get("kind", "Widget")
    version, path = KINDS[kind][:2]
    name, manager, live, steps = f"case{index}-{RUN}", "a", None, []
    head = {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
    for step in case["steps"]:
        time.sleep(1.1)
        manager = step.get("manager", manager)
        subresource, force = step.get("subresource", ""), step.get("force", False)
        do, body = next((do, step[do]) for do in ["create", "put", *TYPES] if do in step)
        target = f"{path}/{name}" + (f"/{subresource}" if subresource else "")
        query = f"?fieldManager={manager}" + ("&force=true" if force else "")
        if do in ("create", "apply"):
            body = merged(head, body)
        if do == "create":
            code, answer = request("POST", path + query, body)
        elif do == "put":
            body = merged(live, body)
            code, answer = request("PUT", target + query, body)
        else:
            code, answer = request("PATCH", target + query, body, TYPES[do])
        recorded = {"do": do, "manager": manager, "subresource": subresource, "force": force, "body": body, "code": code}
        recorded["answer"] = answer
        steps.append(recorded)
        live = answer if code < 300 else live
    request("PATCH", f"{path}/{name}", {"metadata": {"finalizers": None}}, TYPES["merge"])
    request("DELETE", f"{path}/{name}")
    return {"name": case["name"], "kind": kind, "apiVersion": version, "steps": steps}


def resolve(schema, names):
    """The schema without references and descriptions."""
    if isinstance(schema, list):
        return [resolve(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    target = schema.get("$ref") or (schema.get("allOf") or [{}])[0].get("$ref")
    if target:
        name = target.rsplit("/", 1)[1]
        found = copy.deepcopy(names[name])
        kept = KEPT.get(name.rsplit(".", 1)[1])
        if kept is not None:
            found["properties"] = {key: value for key, value in found["properties"].items() if key in kept.split()}
            found["required"] = [field for field in found.get("required", []) if field in found["properties"]]
        found.update({key: value for key, value in schema.items() if key not in ("$ref", "allOf")})
        return resolve(found, names)
    return {
        key: {field: resolve(inner, names) for field, inner in value.items()} if key == "properties" else resolve(value, names)
        for key, value in schema.items()
        if key != "description" and key != "x-kubernetes-group-version-kind"
    }


def main():
    widget = yaml.safe_load((HERE / "widget.yaml").read_text())
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    request("POST", crds, widget)
    while request("GET", KINDS["Widget"][1])[0] != 200:
        time.sleep(0.2)
    time.sleep(3)
    files = ["apply", "update", "patch"]
    cases = [case for file in files for case in yaml.safe_load((HERE / f"{file}.yaml").read_text())]
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        recorded = list(pool.map(play, range(len(cases)), cases))
    schemas = {}
    for kind, (_, _, document, name) in KINDS.items():
        if document:
            names = request("GET", f"/openapi/v3/{document}")[1]["components"]["schemas"]
            schemas[kind] = resolve({"$ref": f"/{name}"}, names)
    lines = ",\n".join(json.dumps(case, sort_keys=True) for case in recorded)
    (HERE / "recorded.json").write_text(f"[\n{lines}\n]\n")
    lines = ",\n".join(f"{json.dumps(kind)}: {json.dumps(schema, sort_keys=True)}" for kind, schema in schemas.items())
    (HERE / "schemas.json").write_text(f"{{\n{lines}\n}}\n")


main()
