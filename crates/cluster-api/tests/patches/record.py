#!/usr/bin/env python3
"""Plays the cases of this directory against a real API server and writes down what it answered.

    record.py https://ADDRESS:PORT TOKEN [HISTORIES]

writes recorded.json, the cases with the answers, and histories.json, likewise of random histories of writes. Every step waits until the second is over, so that times that move are seen to.
The test `patches` replays it all without a server.
"""

import concurrent.futures
import copy
import http.client
import json
import pathlib
import random as random_numbers
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
# Kind: API version, path.
KINDS = {
    "Widget": ("patches.example.com/v1", "/apis/patches.example.com/v1/namespaces/default/widgets"),
    "ConfigMap": ("v1", "/api/v1/namespaces/default/configmaps"),
    "Service": ("v1", "/api/v1/namespaces/default/services"),
    "Namespace": ("v1", "/api/v1/namespaces"),
    "Deployment": ("apps/v1", "/apis/apps/v1/namespaces/default/deployments"),
    "PodDisruptionBudget": ("policy/v1", "/apis/policy/v1/namespaces/default/poddisruptionbudgets"),
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
    version, path = KINDS[kind]
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


def some(random, choices, least=0):
    return random.sample(choices, random.randint(least, len(choices)))


def spec(random):
    """A few fields of a widget, with few values, so that writers meet."""
    port = lambda number: {
        "port": number, "protocol": random.choice(["TCP", "UDP"]),
        **random.choice([{}, {"name": random.choice("xy")}, {"extra": {random.choice("kl"): random.choice("vw")}}]),
    }
    choices = {
        "size": lambda: random.randint(1, 2),
        "note": lambda: random.choice("xy"),
        "tags": lambda: some(random, ["a", "b", "c", "d"]),
        "steps": lambda: [{"run": run} for run in some(random, ["a", "b"])],
        "ports": lambda: [port(number) for number in some(random, [1, 2, 3])],
        "labels": lambda: {key: random.choice("12") for key in some(random, ["a", "b", "c"])},
        "sealed": lambda: {key: random.choice("xy") for key in some(random, ["a", "b"])},
        "nested": lambda: random.choice([{}, {"one": random.choice("xy")}, {"two": {"three": "x"}}, {"two": {"four": "y"}, "one": "x"}]),
        "free": lambda: random.choice([{}, {"a": 1}, {"a": {"b": 1}}, {"a": {"c": [1]}, "d": "x"}, {"d": {}}]),
        "matrix": lambda: {key: random.choice([{}, {"a": "1"}, {"b": "2"}]) for key in some(random, ["x", "y"])},
    }
    return {key: choices[key]() for key in some(random, list(choices), 1)}


def history(seed):
    """A random history of writes by three managers."""
    random, steps = random_numbers.Random(seed), []
    for number in range(8):
        step = {"manager": random.choice("abc")}
        labels = {key: random.choice("12") for key in some(random, ["m", "n"])}
        condition = lambda kind: {"type": kind, "status": random.choice(["True", "False"])}
        if number and random.random() < 0.2:
            body = {"status": {"phase": random.choice("xy"), "conditions": [condition(kind) for kind in some(random, ["R", "S"])]}}
            step["subresource"] = "status"
        else:
            body = {"spec": spec(random), **random.choice([{}, {"metadata": {"labels": labels}}])}
        do = random.choice(["apply", "apply", "apply", "merge", "put"]) if number else random.choice(["apply", "create"])
        if do in ("merge", "put") and "spec" in body and random.random() < 0.5:
            body["spec"][random.choice(["tags", "ports", "labels", "nested", "free"])] = None
        step["force"] = do == "apply" and random.random() < 0.5
        step[do] = body
        steps.append(step)
    return {"name": f"history {seed}", "steps": steps}


def main():
    widget = yaml.safe_load((HERE / "widget.yaml").read_text())
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    request("POST", crds, widget)
    while request("GET", KINDS["Widget"][1])[0] != 200:
        time.sleep(0.2)
    time.sleep(3)
    files = ["apply", "update", "patch"]
    cases = [case for file in files for case in yaml.safe_load((HERE / f"{file}.yaml").read_text())]
    seeds = range(int(sys.argv[3]) if len(sys.argv) > 3 else 25)
    record("recorded.json", cases)
    record("histories.json", [history(seed) for seed in seeds])


def record(file, cases):
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        recorded = list(pool.map(play, range(len(cases)), cases))
    lines = ",\n".join(json.dumps(case, sort_keys=True) for case in recorded)
    (HERE / file).write_text(f"[\n{lines}\n]\n")


main()
