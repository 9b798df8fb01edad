"""Writes the tests of alerts as they are in a cluster: targets.py MANIFESTS TESTS FOLDER.

What compose's targets are labelled with stands in TESTS. Here the same series get the labels that Prometheus'
operator gives the targets of the pods in MANIFESTS, by the PodMonitor that is among them, and FOLDER gets the tests
with them (rules.test.yaml) and the rules of the PrometheusRule (rules.yaml). So an alert that goes by a label which no
target has in a cluster fails its test.
"""

import pathlib
import re
import sys

import yaml

manifests, tests, folder = sys.argv[1:]
NAMESPACE = "ml"
INDEX = "__meta_kubernetes_pod_label_batch_kubernetes_io_job_completion_index"


def of_kind(*kinds):
    with open(manifests, encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document and document["kind"] in kinds]


def label_name(name):
    return "__meta_kubernetes_pod_label_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)


def targets():
    """The labels of each workload's targets, by what compose calls the job: as the operator makes them, then as the
    PodMonitor's relabelling does."""
    found = {}
    for monitor in of_kind("PodMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        for workload in of_kind("Deployment", "Job"):
            labels = workload["spec"]["template"]["metadata"]["labels"]
            if any(labels.get(key) != value for key, value in wanted.items()):
                continue
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                for container in workload["spec"]["template"]["spec"]["containers"]:
                    if endpoint["port"] not in [port.get("name") for port in container.get("ports", [])]:
                        continue
                    target = {
                        "job": f"{NAMESPACE}/{monitor['metadata']['name']}",
                        "namespace": NAMESPACE,
                        "pod": workload["metadata"]["name"] + "-x",
                        "container": container["name"],
                        "endpoint": endpoint["port"],
                    }
                    meta = {label_name(key): value for key, value in labels.items()}
                    for rule in endpoint.get("relabelings", []):
                        (source,) = rule["sourceLabels"]
                        # Pods that are left out: no workload here has any.
                        if rule.get("action") == "drop" and source == INDEX and source not in meta:
                            continue
                        if set(rule) != {"sourceLabels", "targetLabel"} or source not in meta:
                            sys.exit(f"not understood, or without effect: {rule}")
                        target[rule["targetLabel"]] = meta[source]
                    found["mixfeed-" + container["name"]] = target
    return found


def relabelled(labels, known):
    return {**labels, **known[labels["job"]]}


known = targets()
with open(tests, encoding="utf-8") as file:
    suite = yaml.safe_load(file)
jobs = {}
for test in suite["tests"]:
    for series in test["input_series"]:
        name, text = re.fullmatch(r"(\w+)\{(.*)\}", series["series"]).groups()
        labels = dict(re.findall(r'(\w+)="([^"]*)"', text))
        if labels["job"] not in known:
            sys.exit(f"no pod is a target for {series['series']}")
        jobs[labels["instance"]] = labels["job"]
        text = ",".join(f'{key}="{value}"' for key, value in relabelled(labels, known).items())
        series["series"] = f"{name}{{{text}}}"
    for case in test.get("alert_rule_test", []):
        for alert in case.get("exp_alerts", []):
            labels = alert["exp_labels"]
            # A rule's labels are those that it goes by; a test names the job only where the rule does.
            target = known[jobs[labels["instance"]]]
            labels.update({key: target[key] for key in ("namespace", "run", "pod") if key in target})
    for case in test.get("promql_expr_test", []):
        for sample in case["exp_samples"]:
            run = known["mixfeed-trainer"].get("run")
            sample["labels"] += f'{{namespace="{NAMESPACE}",run="{run}"}}'
suite["rule_files"] = ["rules.yaml"]
(rules,) = of_kind("PrometheusRule")
out = pathlib.Path(folder)
out.mkdir(parents=True, exist_ok=True)
(out / "rules.yaml").write_text(yaml.safe_dump(rules["spec"], sort_keys=False), encoding="utf-8")
(out / "rules.test.yaml").write_text(yaml.safe_dump(suite, sort_keys=False), encoding="utf-8")
