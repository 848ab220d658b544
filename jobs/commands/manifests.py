"""Manifests of the Spark Operator: the pipeline as a run, once and at an hour, from `conf/manifests.py`'s small file.

Fields are those of the operator's API ``sparkoperator.k8s.io/v1beta2``. Volumes and the pods' user need the operator's
webhook, which its chart switches on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from conf.manifests import Manifests, load_manifests
from jobs.core.errors import EXIT_DONE
from jobs.core.printing import printable

API_VERSION = "sparkoperator.k8s.io/v1beta2"
SPARK_VERSION = "4.2.0"
MAIN_FILE = "local:///opt/customs-lake/jobs/pipeline.py"
#: User and group of the image (Containerfile).
USER_ID = 185
Document = dict[str, Any]


def run_command(arguments: argparse.Namespace) -> int:
    """Write both manifests."""
    for path in write_manifests(arguments.out, load_manifests(arguments.manifests)):
        print(printable(str(path)))
    return EXIT_DONE


def spark_application(manifests: Manifests) -> Document:
    """Return the manifest of one run."""
    return _manifest("SparkApplication", manifests, _application(manifests))


def scheduled_application(manifests: Manifests) -> Document:
    """Return the manifest of a run at an hour; one that is still at work keeps the next from starting."""
    schedule = {
        "schedule": manifests.cron,
        "timeZone": manifests.time_zone,
        "concurrencyPolicy": "Forbid",
        "successfulRunHistoryLimit": 3,
        "failedRunHistoryLimit": 3,
        "template": _application(manifests),
    }
    return _manifest("ScheduledSparkApplication", manifests, schedule)


def write_manifests(folder: Path, manifests: Manifests) -> list[Path]:
    """Write both into a folder and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _write(folder / "spark-application.yaml", spark_application(manifests)),
        _write(folder / "scheduled-spark-application.yaml", scheduled_application(manifests)),
    ]


def _manifest(kind: str, manifests: Manifests, spec: Mapping[str, Any]) -> Document:
    metadata = {"name": manifests.name, "namespace": manifests.namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _application(manifests: Manifests) -> Document:
    application: Document = {
        "type": "Python",
        "pythonVersion": "3",
        "mode": "cluster",
        "sparkVersion": SPARK_VERSION,
        "image": manifests.image,
        "imagePullPolicy": "IfNotPresent",
        "mainApplicationFile": MAIN_FILE,
        "arguments": list(manifests.arguments),
        "restartPolicy": _restart(manifests),
        "driver": _pod(manifests, manifests.driver) | {"serviceAccount": manifests.service_account},
        "executor": {"instances": manifests.executor["instances"]} | _pod(manifests, manifests.executor),
    }
    if manifests.packages:
        application["deps"] = {"packages": list(manifests.packages)}
    if manifests.spark:
        application["sparkConf"] = dict(manifests.spark)
    if manifests.volumes:
        application["volumes"] = [
            {"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in manifests.volumes
        ]
    return application


def _restart(manifests: Manifests) -> Document:
    if not manifests.retries:
        return {"type": "Never"}
    return {
        "type": "OnFailure",
        "onFailureRetries": manifests.retries,
        "onFailureRetryInterval": manifests.retry_seconds,
        "onSubmissionFailureRetries": manifests.retries,
        "onSubmissionFailureRetryInterval": manifests.retry_seconds,
    }


def _pod(manifests: Manifests, sizes: Mapping[str, Any]) -> Document:
    pod: Document = {
        "cores": sizes["cores"],
        "memory": sizes["memory"],
        "memoryOverhead": sizes["overhead"],
        "podSecurityContext": {"runAsNonRoot": True, "runAsUser": USER_ID, "fsGroup": USER_ID},
    }
    if manifests.volumes:
        pod["volumeMounts"] = [{"name": claim, "mountPath": at} for claim, at in manifests.volumes.items()]
    if manifests.secrets:
        pod["env"] = [_secret(name, place) for name, place in manifests.secrets.items()]
    return pod


def _secret(variable: str, place: str) -> Document:
    secret, _, key = place.partition(":")
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _write(path: Path, document: Document) -> Path:
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
