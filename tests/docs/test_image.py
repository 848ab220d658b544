"""The image's Containerfile without a builder: pinned, without root, with all it needs; its own start script."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.containerfile import read_containerfile

ROOT = Path(__file__).resolve().parents[2]
ENTRYPOINT = ROOT / "conf" / "kubernetes" / "entrypoint.sh"
EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@driver:7078", "SPARK_EXECUTOR_ID": "3", "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "8g", "SPARK_APPLICATION_ID": "spark-1", "SPARK_EXECUTOR_POD_IP": "10.0.0.3",
    "SPARK_RESOURCE_PROFILE_ID": "0", "SPARK_EXECUTOR_POD_NAME": "panel-exec-3",
}


@pytest.fixture(scope="module")
def instructions():
    return read_containerfile(ROOT / "Containerfile")


def test_base_has_no_host_and_can_be_pinned(instructions):
    words = [item.word for item in instructions]
    assert words[:2] == ["ARG", "FROM"] and words.count("FROM") == 1
    assert instructions[0].rest == "BASE=debian:bookworm-slim" and instructions[1].rest == "${BASE}"
    # a name without a host, and nothing that is fetched past the package managers
    assert "ADD" not in words and not re.search(r"https?://|curl |wget ", (ROOT / "Containerfile").read_text("utf-8"))


def test_runs_without_root_and_starts_the_script(instructions):
    last = {item.word: item for item in instructions}
    assert last["USER"].rest.isdigit() and last["USER"].rest != "0"
    assert last["ENTRYPOINT"].arguments == ["/usr/bin/tini", "--", "/opt/customs-lake/entrypoint.sh"]
    assert [item.word for item in instructions][-2:] == ["USER", "ENTRYPOINT"], "no step after the user is set"
    assert any(f"--uid {last['USER'].rest} " in item.rest for item in instructions if item.word == "RUN")


def test_all_that_is_copied_is_there_and_no_package_of_ours_is_left_out(instructions):
    copied = [source for item in instructions if item.word == "COPY" for source in item.arguments[:-1]]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {"jobs", "estimation", "schemas", "conf"} <= set(copied)
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert not {source.partition("/")[0] for source in copied} & set(ignored)


def test_every_package_from_the_index_is_pinned_by_its_hash(instructions):
    installs = [part for item in instructions if item.word == "RUN" for part in item.rest.split("&&") if "pip install" in part]
    assert len(installs) == 3
    assert all("--no-deps" in part for part in installs)
    assert [part for part in installs if "--require-hashes" not in part] == [installs[-1]]
    assert installs[-1].split()[-1] == "/opt/build", "only what was copied goes without a hash"


def test_java_is_one_that_spark_takes_and_python_one_that_the_package_takes(instructions):
    from jobs.runtime.java import SUPPORTED_JAVA

    packages = next(item for item in instructions if "apt-get install" in item.rest).rest
    assert int(re.search(r"openjdk-(\d+)-jre-headless", packages)[1]) in SUPPORTED_JAVA
    assert "/opt/customs-lake/lib/python3.11/" in (ROOT / "Containerfile").read_text("utf-8")
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text("utf-8")
    # libarchive-c is a binding only
    assert "libarchive13" in packages.split()


def _started(tmp_path, *arguments, **environment):
    """What the script hands its place to: stand-ins print their name and their arguments, one a line."""
    for place in ("spark/bin/spark-submit", "java/bin/java", "bin/customs-lake"):
        program = tmp_path / place
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" {program.name} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    given = {
        "PATH": f"{tmp_path / 'bin'}:{os.defpath}", "SPARK_HOME": str(tmp_path / "spark"),
        "JAVA_HOME": str(tmp_path / "java"),
    }
    ended = subprocess.run(
        ["bash", str(ENTRYPOINT), *arguments], env=given | environment, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout.splitlines(), ended.stderr


def test_driver_submits_in_client_mode_with_the_pods_address(tmp_path):
    code, lines, _ = _started(
        tmp_path, "driver", "--properties-file", "/opt/spark/conf/spark.properties", "local:///pipeline.py", "--raw",
        "/mnt/raw data", SPARK_DRIVER_BIND_ADDRESS="10.0.0.2",
    )
    assert code == 0
    assert lines == [
        "spark-submit", "--deploy-mode", "client", "--conf", "spark.driver.bindAddress=10.0.0.2", "--properties-file",
        "/opt/spark/conf/spark.properties", "local:///pipeline.py", "--raw", "/mnt/raw data",
    ]


def test_executor_joins_the_driver_with_all_java_options_in_their_order(tmp_path):
    options = {f"SPARK_JAVA_OPT_{i}": f"-Dsome.option{i}=a b" for i in range(12)}
    code, lines, _ = _started(tmp_path, "executor", **EXECUTOR, **options, SPARK_CONF_DIR="/opt/spark/conf")
    assert code == 0
    memory = ["-Xms8g", "-Xmx8g"]
    classes = ["-cp", f"/opt/spark/conf:{tmp_path / 'spark'}/jars/*"]
    backend = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
    assert lines[: 1 + 12 + 2 + 2 + 1] == ["java", *options.values(), *memory, *classes, backend]
    rest = lines[18:]
    assert dict(zip(rest[::2], rest[1::2], strict=True)) == {
        "--driver-url": EXECUTOR["SPARK_DRIVER_URL"], "--executor-id": "3", "--cores": "2", "--app-id": "spark-1",
        "--hostname": "10.0.0.3", "--resourceProfileId": "0", "--podName": "panel-exec-3",
    }


def test_executor_without_its_environment_ends_with_the_name_that_is_missing(tmp_path):
    rest = {name: value for name, value in EXECUTOR.items() if name != "SPARK_DRIVER_URL"}
    code, lines, printed = _started(tmp_path, "executor", **rest)
    assert code != 0 and lines == [] and "SPARK_DRIVER_URL" in printed


def test_anything_else_runs_as_it_stands_and_nothing_shows_the_commands(tmp_path):
    assert _started(tmp_path)[1] == ["customs-lake", "--help"]
    assert _started(tmp_path, "customs-lake", "plan", "--raw", "a b")[1] == ["customs-lake", "plan", "--raw", "a b"]
    assert _started(tmp_path, sys.executable, "-c", "import sys; sys.exit(75)")[0] == 75
