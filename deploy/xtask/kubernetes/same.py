"""Compares two renderings of the same objects, whatever their order and spelling: same.py FILE FILE.

Labels and annotations that are Helm's own words to itself are left out of the comparison. The differences are printed,
and there being any is a failure.
"""

import difflib
import sys

import yaml


def objects(path):
    with open(path, encoding="utf-8") as file:
        found = [document for document in yaml.safe_load_all(file) if document]
    for document in found:
        notes = document["metadata"].get("annotations", {})
        notes.pop("helm.sh/resource-policy", None)
        if not notes:
            document["metadata"].pop("annotations", None)
    named = {f"{document['kind']}/{document['metadata']['name']}": document for document in found}
    if len(named) != len(found) or not found:
        sys.exit(f"{path}: {len(found)} objects, {len(named)} names")
    return {name: yaml.safe_dump(document).splitlines() for name, document in named.items()}


ours, theirs = (objects(path) for path in sys.argv[1:])
different = 0
for name in sorted(ours.keys() | theirs.keys()):
    one, other = (side.get(name, []) for side in (ours, theirs))
    if one != other:
        different += 1
        print(f"{name}:", *difflib.unified_diff(one, other, *sys.argv[1:], lineterm="", n=2), sep="\n  ", file=sys.stderr)
print(f"{len(ours)} objects, {different} of them different")
sys.exit(1 if different else 0)
