"""Runs moto's Route 53 so that it compares what a change says with what stands, as Route 53 does.

moto compares with a journal of all changes ever made: it lets a second RRset of one key through, deletes what was changed
meanwhile, and refuses to create again what was created and deleted before. Values are counted here too: moto counts records.

    moto.py PORT
"""

import sys

from moto.route53 import models
from moto.route53.exceptions import Route53ClientError
from moto.server import main

MOST_CHARACTERS = 32_000


class Refused(Route53ClientError):
    def __init__(self, messages):
        super().__init__("InvalidChangeBatch", f"[{', '.join(messages)}]")


def compare(change, standing):
    """Says what is wrong with the change, or makes it in `standing`."""
    said = change["ResourceRecordSet"]
    key = (said["Name"].rstrip(".") + ".", said["Type"])
    values = (str(said.get("TTL")), sorted(record["Value"] for record in said["ResourceRecords"]))
    of = f"resource record set [name='{key[0]}', type='{key[1]}']"
    if change["Action"] == "DELETE":
        if key not in standing:
            return f"Tried to delete {of} but it was not found"
        if standing[key] != values:
            return f"Tried to delete {of} but the values provided do not match the current values"
        del standing[key]
        return None
    if key in standing:
        return f"Tried to create {of} but it already exists"
    if any(name == key[0] and "CNAME" in (rtype, key[1]) for name, rtype in standing):
        return f"RRSet of type {key[1]} with DNS name {key[0]} is not permitted as it conflicts with other records"
    standing[key] = values
    return None


def change_resource_record_sets(backend, zoneid, change_list):
    zone = backend.get_hosted_zone(zoneid)
    standing = {(set.name, set.type): (str(set.ttl), sorted(set.records)) for set in zone.rrsets}
    records = [record for change in change_list for record in change["ResourceRecordSet"]["ResourceRecords"]]
    if sum(len(record["Value"]) for record in records) > MOST_CHARACTERS:
        raise Refused([f"Number of characters limit of {MOST_CHARACTERS} exceeded."])
    messages = [message for change in change_list if (message := compare(change, standing))]
    if messages:
        raise Refused(messages)
    # The journal, so that moto finds there what it is about to delete, and nothing else.
    zone.rr_changes = models.ChangeList()
    for change in change_list:
        if change["Action"] == "DELETE":
            zone.rr_changes.append({"Action": "CREATE", "ResourceRecordSet": dict(change["ResourceRecordSet"])})
    moto_s_own(backend, zoneid, change_list)


moto_s_own = models.Route53Backend.change_resource_record_sets
models.Route53Backend.change_resource_record_sets = change_resource_record_sets
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
