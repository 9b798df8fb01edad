"""Shows that the trainers of a group can meet: group.py FILE. No schema says that what stands in one object fits what
stands in another: the number of trainers, the name by which rank 0 is found, its port, and the policy that lets them in.
"""

import re
import sys

import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    objects = [document for document in yaml.safe_load_all(file) if document]


def named(kind, name):
    return [one["spec"] for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]


(job,) = [one for one in objects if one["kind"] == "Job" and one["spec"].get("completionMode") == "Indexed"]
name, spec, template = job["metadata"]["name"], job["spec"], job["spec"]["template"]
pod, (container,) = template["spec"], template["spec"]["containers"]
values = {one["name"]: one["value"] for one in container["env"] if "value" in one}
# As the kubelet puts in what stands before.
values = {key: re.sub(r"\$\((\w+)\)", lambda found: values.get(found[1], found[0]), value) for key, value in values.items()}
faults = []


def holds(is_so, text):
    if not is_so:
        faults.append(text)


def is_chosen(labels):
    return bool(labels) and labels.items() <= template["metadata"]["labels"].items()


def lets_in(policy, way, ends):
    """Whether all ports are open between the pods of the group, and to these by that rule alone."""
    rules = [rule for rule in policy.get(way, []) if rule.get("ports") == [{"protocol": "TCP"}]]
    peers = [peer for rule in rules for peer in rule.get(ends, [{}])]
    return bool(peers) and all(set(peer) == {"podSelector"} and is_chosen(peer["podSelector"].get("matchLabels")) for peer in peers)


world = spec["completions"]
holds(spec["parallelism"] == world, f"{spec['parallelism']} of {world} trainers run at a time")
holds(values.get("WORLD_SIZE") == str(world), f"{world} trainers are told of {values.get('WORLD_SIZE')}")
holds(world > 1 and world & (world - 1) == 0, f"{world} trainers divide no number of virtual shards")

services = named("Service", pod.get("subdomain"))
holds(len(services) == 1, f"no Service is called {pod.get('subdomain')}")
for service in services:
    holds(service.get("clusterIP") == "None", "the Service is not headless: it names no pods")
    holds(service.get("publishNotReadyAddresses"), "pods have no name before they are ready")
    holds(is_chosen(service["selector"]), "the Service chooses other pods")
holds(values.get("MASTER_ADDR") == f"{name}-0.{pod.get('subdomain')}", f"{values.get('MASTER_ADDR')} is not rank 0")
ports = [str(port["containerPort"]) for port in container["ports"] if port["name"] == "store"]
holds(ports == [values.get("MASTER_PORT")], f"the port of the store is {ports} and {values.get('MASTER_PORT')}")

policies = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy" and is_chosen(one["spec"]["podSelector"].get("matchLabels"))]
for way, ends in (("ingress", "from"), ("egress", "to")):
    holds(any(lets_in(policy, way, ends) for policy in policies), f"no policy opens the ports between trainers: {way}")

claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
modes = [spec["accessModes"] for claim in claims for spec in named("PersistentVolumeClaim", claim)]
holds(modes == [["ReadWriteMany"]], f"pods on several machines mount a claim that is {modes}")
holds("livenessProbe" not in container, "a probe asks trainers that do not listen")

print(*faults, sep="\n", file=sys.stderr)
print(f"{world} trainers, {len(faults)} faults")
sys.exit(1 if faults else 0)
