"""Manifests of the Spark Operator: what its own models read is what was written, and an impossible file is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from kubeflow_spark_api import models

from conf.errors import SettingsError
from conf.manifests import load_manifests
from jobs.commands.main import run_command
from jobs.commands.manifests import MAIN_FILE, SPARK_VERSION, USER_ID, write_manifests
from jobs.core.errors import EXIT_REFUSED
from jobs.runtime.jars import DELTA_COORDINATES

ROOT = Path(__file__).resolve().parents[3]
# the package is generated from the operator's API; that a key is known shows in its coming back
MODELS = {
    "SparkApplication": models.SparkV1beta2SparkApplication,
    "ScheduledSparkApplication": models.SparkV1beta2ScheduledSparkApplication,
}
# fields with a closed list in the operator's API documentation (v1beta2), which the models take as any text
CLOSED = {
    "type": {"Java", "Python", "Scala", "R"}, "mode": {"cluster", "client"}, "pythonVersion": {"2", "3"},
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
}
OWN = """
name = "panel"
namespace = "trade"
image = "customs-lake:0.1.0@sha256:{digest}"
arguments = ["--raw", "s3a://bucket/raw", "--lake", "s3a://bucket/lake", "--profile", "cluster"]
packages = ["org.apache.hadoop:hadoop-aws:3.5.0"]
retries = 0
[schedule]
cron = "@daily"
[executor]
instances = 12
[volumes]
[secrets]
AWS_ACCESS_KEY_ID = "s3:id"
AWS_SECRET_ACCESS_KEY = "s3:key"
[spark]
"spark.hadoop.fs.s3a.path.style.access" = true
""".replace("{digest}", "a" * 64)


def _written(folder, config=None):
    paths = write_manifests(folder, load_manifests(config))
    documents = [yaml.safe_load(path.read_text("utf-8")) for path in paths]
    return {document["kind"]: document for document in documents}


def _own(tmp_path, text=OWN):
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("own", [False, True], ids=["shipped", "own"])
def test_the_operators_models_read_back_what_was_written(tmp_path, own):
    documents = _written(tmp_path / "out", _own(tmp_path) if own else None)
    assert set(documents) == set(MODELS)
    for kind, document in documents.items():
        model = MODELS[kind].from_dict(document)
        assert model.to_dict() == document, "a key that the operator does not know is dropped"
        spec = document["spec"].get("template", document["spec"])
        assert {key: spec[key] for key in CLOSED if spec[key] not in CLOSED[key]} == {}
        assert spec["restartPolicy"]["type"] in ("Never", "OnFailure", "Always")
    scheduled = documents["ScheduledSparkApplication"]["spec"]
    # one driver at a time writes to an object store
    assert scheduled["concurrencyPolicy"] == "Forbid"
    assert scheduled["template"] == documents["SparkApplication"]["spec"]


def test_a_key_the_operator_does_not_know_would_be_seen(tmp_path):
    document = _written(tmp_path)["SparkApplication"]
    document["spec"]["driver"]["memories"] = "4g"
    assert models.SparkV1beta2SparkApplication.from_dict(document).to_dict() != document
    document["spec"]["driver"]["cores"] = "one"
    with pytest.raises(ValueError, match="cores"):
        models.SparkV1beta2SparkApplication.from_dict(document)


def test_a_file_of_ones_own_changes_what_it_names_and_keeps_the_rest(tmp_path):
    spec = _written(tmp_path / "out", _own(tmp_path))["SparkApplication"]["spec"]
    shipped = _written(tmp_path / "shipped")["SparkApplication"]["spec"]
    assert spec["executor"]["instances"] == 12 and spec["executor"]["memory"] == shipped["executor"]["memory"]
    assert spec["deps"] == {"packages": ["org.apache.hadoop:hadoop-aws:3.5.0"]}
    assert spec["sparkConf"] == {"spark.hadoop.fs.s3a.path.style.access": "true"}
    assert spec["restartPolicy"] == {"type": "Never"}
    assert "volumes" not in spec and "volumeMounts" not in spec["driver"]
    for part in ("driver", "executor"):
        assert spec[part]["env"] == [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": "s3", "key": key}}}
            for name, key in (("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key"))
        ]
    mounted = {item["persistentVolumeClaim"]["claimName"] for item in shipped["volumes"]}
    for part in ("driver", "executor"):
        assert {item["name"] for item in shipped[part]["volumeMounts"]} == mounted == {"raw", "lake"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('nickname = "x"', "unknown keys nickname; expected some of name, namespace, image"),
        ('image = 3', "image: expected a str; found 3"),
        ('name = "Customs Lake"', "name 'Customs Lake': expected lower-case letters, digits and hyphens"),
        ('arguments = ["--raw", "/mnt/raw"]', "arguments: --lake is missing"),
        ('packages = ["hadoop-aws"]', "package 'hadoop-aws': expected group:artifact:version"),
        ('[schedule]\ncron = "at night"', "schedule.cron 'at night': expected five fields"),
        ("[driver]\ncores = 0", "driver.cores: expected a whole number from 1"),
        ('[executor]\nmemory = "8 GB"', "executor.memory '8 GB': expected megabytes or gigabytes, such as 8g"),
        ("[executor]\nnumber = 8", "executor.number: unknown key"),
        ('[volumes]\nraw = "mnt/raw"', "volume raw: expected an absolute folder; found 'mnt/raw'"),
        ('[spark]\n"spark.executor.memory" = "1g"', "sizes and pods have keys of their own here"),
        ("retries = -1", "retries, retry_seconds: expected 0 or more"),
        ("name = ", "cannot be read as TOML"),
    ],
)
def test_what_no_cluster_takes_is_refused(tmp_path, text, message):
    with pytest.raises(SettingsError, match=re.escape(message)):
        load_manifests(_own(tmp_path, text))


def test_all_faults_are_named_at_once_and_a_secret_is_not_shown(tmp_path):
    text = 'name = "X"\nretries = -1\n[secrets]\nAWS_SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG"\n'
    with pytest.raises(SettingsError) as refused:
        load_manifests(_own(tmp_path, text))
    assert "name 'X'" in str(refused.value) and "retries" in str(refused.value)
    assert "value of secret AWS_SECRET_ACCESS_KEY: expected SECRET:KEY" in str(refused.value)
    assert "wJalr" not in str(refused.value)


def test_the_file_on_the_page_is_one(tmp_path):
    page = (ROOT / "docs" / "operations" / "image_and_schedulers.md").read_text("utf-8")
    lines = page.partition("For a lake on `s3a://`:")[2].partition("\n\n")[2].partition("\n\n")[0].splitlines()
    manifests = load_manifests(_own(tmp_path, "\n".join(line.removeprefix("    ") for line in lines)))
    assert manifests.packages and not manifests.volumes and len(manifests.secrets) == 2
    # what its sentences say of the rest
    assert (manifests.retries, manifests.retry_seconds) == (2, 600)
    assert "tried again twice, ten\nminutes apart" in page


def test_manifests_and_image_agree():
    image = (ROOT / "Containerfile").read_text("utf-8")
    assert f"USER {USER_ID}\n" in image and f"--uid {USER_ID} " in image
    linked = MAIN_FILE.removeprefix("local://").rpartition("/")[0]
    assert f"/site-packages/jobs {linked}\n" in image and (ROOT / "jobs" / "pipeline.py").is_file()
    lock = (ROOT / "conf" / "kubernetes" / "requirements.lock").read_text("utf-8")
    assert f"pyspark=={SPARK_VERSION} " in lock
    assert DELTA_COORDINATES[0].split("_")[0] == "io.delta:delta-spark" and SPARK_VERSION.startswith(
        DELTA_COORDINATES[0].split("_")[1]
    )


def test_command_writes_both_and_refuses_a_wrong_file_before_it_writes(tmp_path, capsys):
    assert run_command(["manifests", "--out", str(tmp_path / "out"), "--manifests", str(_own(tmp_path))]) == 0
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        "scheduled-spark-application.yaml", "spark-application.yaml",
    ]
    bad = _own(tmp_path, "image = 3")
    assert run_command(["manifests", "--out", str(tmp_path / "no"), "--manifests", str(bad)]) == EXIT_REFUSED
    assert "image: expected a str; found 3" in capsys.readouterr().err and not (tmp_path / "no").exists()
