"""Shows that two trainings can live in one namespace: apart.py FILE FILE. No object of one has the name of one of the
other's, and nothing in one selects a pod of the other."""

import sys

import yaml


def read(path):
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document]


def selectors(node):
    """All sets of labels by which something is selected, wherever they stand."""
    if isinstance(node, list):
        for one in node:
            yield from selectors(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "matchLabels":
                yield value
            elif key == "selector" and all(isinstance(one, str) for one in value.values()):
                yield value
            elif key != "namespaceSelector":
                yield from selectors(value)


def pods(documents):
    return [document["spec"]["template"]["metadata"]["labels"] for document in documents if "template" in document.get("spec", {})]


faults = []
first, second = (read(path) for path in sys.argv[1:])
names = [{(one["kind"], one["metadata"]["name"]) for one in documents} for documents in (first, second)]
faults += [f"both have {kind} {name}" for kind, name in names[0] & names[1]]
for ours, theirs in ((first, second), (second, first)):
    selecting = list(selectors([document.get("spec", {}) for document in ours]))
    own = [labels for labels in selecting if any(labels.items() <= pod.items() for pod in pods(ours))]
    if not own:
        sys.exit("nothing selects a pod")
    faults += [f"{labels} selects pods of both" for labels in selecting if any(labels.items() <= pod.items() for pod in pods(theirs))]
print(*faults, sep="\n", file=sys.stderr)
print(f"{len(names[0])} and {len(names[1])} objects, {len(faults)} faults")
sys.exit(1 if faults else 0)
