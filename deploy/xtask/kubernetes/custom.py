"""Holds custom resources against the definitions of those who serve them: custom.py FILE...

The definitions come as classes that ignore what they do not know, as an API server would drop it; here a field
too many is an error, like one that is missing or of another type. Objects of Kubernetes itself are left to others;
a custom resource whose definition is not at hand is an error.
"""

import importlib
import sys

import jsonschema
import yaml

MODULES = {
    "cert-manager.io/v1": "cloudcoil.models.cert_manager.v1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}


def strict(schema):
    """The same schema, for objects with no other fields than it names."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema:
        schema["additionalProperties"] = False
    return schema


def is_custom(api_version):
    """Groups with a dot that are not Kubernetes' own are somebody else's."""
    group = api_version.split("/")[0] if "/" in api_version else ""
    return "." in group and not group.endswith(".k8s.io")


faults = 0
checked = 0
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        documents = [document for document in yaml.safe_load_all(file) if document]
    for document in documents:
        version, kind = document["apiVersion"], document["kind"]
        if not is_custom(version):
            continue
        if version not in MODULES:
            sys.exit(f"{path}: no definition of {version} {kind} is at hand")
        schema = strict(getattr(importlib.import_module(MODULES[version]), kind).model_json_schema(by_alias=True))
        for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
            faults += 1
            where = "/".join(map(str, error.absolute_path))
            print(f"{path}: {kind} {document['metadata']['name']}: {where}: {error.message}", file=sys.stderr)
        checked += 1
print(f"{checked} custom resources")
sys.exit(1 if faults else 0)
