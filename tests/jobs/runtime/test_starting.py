"""A session that does not start is one sentence with a remedy, whatever stack trace Spark makes of it."""

from __future__ import annotations

import socket
import time

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkRuntimeError

from jobs.core.errors import EXIT_REFUSED, SessionError
from jobs.runtime import starting
from jobs.runtime.starting import addresses_of, explained_start, in_time, listens, require_master, start_failure


@pytest.fixture
def silent():
    """A port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def listening():
    """A port of this machine where somebody does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def configure(monkeypatch, tmp_path):
    """A function that writes a yarn-site.xml."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))

    def write(**values):
        rows = "".join(
            f"<property><name>yarn.resourcemanager.{name.replace('_', '.')}</name><value>{value}</value></property>"
            for name, value in values.items()
        )
        (tmp_path / "yarn-site.xml").write_text(f"<configuration>{rows}</configuration>")

    return write


@pytest.mark.parametrize(("master", "addresses"), [
    ("local[*]", []), ("local-cluster[2,1,640]", []), ("", []), ("spark://n1:7077", [("n1", 7077)]),
    ("spark://n1:7077,n2:7078", [("n1", 7077), ("n2", 7078)]), ("spark://[::1]:7077", [("::1", 7077)]),
    ("k8s://https://api.x.org:6443", [("api.x.org", 6443)]), ("k8s://https://api.x.org", [("api.x.org", 443)]),
    ("k8s://http://127.0.0.1/rancher/k8s", [("127.0.0.1", 80)]), ("k8s://api:6443", [("api", 6443)]),
])  # fmt: skip
def test_addresses_that_a_master_names(master, addresses):
    assert addresses_of(master) == addresses


def test_resource_managers_are_those_of_the_configuration(configure, monkeypatch):
    configure(address="rm:8032", webapp_address="rm:8088", scheduler_address="rm:8030")
    assert addresses_of("yarn") == [("rm", 8032)]
    configure(hostname_rm1="a", hostname_rm2="b", address_rm2="b:9032")
    assert addresses_of("yarn") == [("a", 8032), ("b", 9032)]
    configure(address="${somewhere}:8032", hostname="${env.RM}")
    assert addresses_of("yarn") == []
    monkeypatch.setenv("HADOOP_CONF_DIR", "/nowhere")
    assert addresses_of("yarn") == []


def test_a_master_at_whose_address_nobody_listens_is_refused_within_seconds(silent, listening, configure, monkeypatch):
    monkeypatch.setattr(starting, "PAUSE_SECONDS", 0.01)
    with pytest.raises(SessionError, match=rf"^spark://127.0.0.1:{silent}: nobody answers at 127.0.0.1:{silent}") as told:
        require_master(f"spark://127.0.0.1:{silent}")
    assert told.value.exit_code == EXIT_REFUSED
    require_master(f"spark://127.0.0.1:{silent},127.0.0.1:{listening}")
    require_master("local[2]")
    configure(address=f"127.0.0.1:{silent}")
    with pytest.raises(SessionError, match="yarn: nobody answers at .*HADOOP_CONF_DIR"):
        require_master("yarn")
    configure(address=f"127.0.0.1:{listening}")
    require_master("yarn")
    # that may be reached by way of a proxy only
    require_master(f"k8s://https://127.0.0.1:{silent}")


def test_a_master_that_is_just_started_again_is_waited_for(silent, monkeypatch):
    answers = iter([False, False, True])
    monkeypatch.setattr(starting, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(starting, "listens", lambda host, port: next(answers))
    require_master(f"spark://127.0.0.1:{silent}")
    assert next(answers, None) is None


TEXTS = {
    "no place of YARN": (
        "When running with master 'yarn' either HADOOP_CONF_DIR or YARN_CONF_DIR must be set in the environment.",
        "yarn", "nothing says where YARN is. Set HADOOP_CONF_DIR",
    ),
    "no address": (
        "Exception: Master must either be yarn or start with spark, k8s, or local", "sprk://x:1", "no address of a master",
    ),
    "old Java": (
        "java.lang.UnsupportedClassVersionError: X has been compiled by a more recent version (class file version 61.0)",
        "local[2]", "JAVA_HOME at Java 17 or 21",
    ),
    "no class": (
        "java.lang.ClassNotFoundException: org.apache.hadoop.fs.s3a.S3AFileSystem", "local[2]",
        "the class org.apache.hadoop.fs.s3a.S3AFileSystem is missing. Give both Delta JARs with --jars",
    ),
    "no class, as Java names it": (
        "java.lang.NoClassDefFoundError: io/delta/storage/LogStore", "local[2]",
        "the class io.delta.storage.LogStore is missing",
    ),
    "no file": (
        "java.io.FileNotFoundException: File file:/nowhere/delta.jar does not exist", "local[2]",
        "file:/nowhere/delta.jar is not there. Correct the path in --jars",
    ),
    "too large": (
        "java.lang.IllegalArgumentException: Required executor memory (65536 MB), offHeap memory (0) MB is above the max"
        " threshold (8192 MB) of this cluster!", "local[2]", "allows no container as large as asked for: Required executor",
    ),
    "YARN's end": (
        "org.apache.spark.SparkException: Yarn application has already ended! It might have been killed", "yarn",
        "yarn logs -applicationId",
    ),
    "forbidden": (
        "org.apache.hadoop.security.AccessControlException: User anna does not have permission to submit", "yarn",
        "refuses this user: AccessControlException: User anna",
    ),
    "another version": (
        "java.lang.IllegalStateException: Cannot call methods on a stopped SparkContext.", "local[2]", "its Spark 4.2.0",
    ),
    "memory": ("Invalid maximum heap size: -Xmx1x", "local[2]", "--set spark.driver_memory=4g"),
    "anything else": ("x.OddException: boom\n  at a.b(C.java:1)", "local[2]", "It said: x.OddException: boom"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "master", "words"), TEXTS.values(), ids=TEXTS)
def test_each_cause_is_a_sentence_with_its_remedy(text, master, words, monkeypatch):
    for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(starting, "listens", lambda host, port: True)
    said = start_failure(text, master)
    assert words in said and "\n" not in said and f"master {master}" in said


def test_whatever_is_thrown_a_silent_address_is_the_cause(silent):
    said = start_failure("stopped SparkContext", f"k8s://https://127.0.0.1:{silent}")
    assert said.startswith(f"k8s://https://127.0.0.1:{silent}: nobody answers at 127.0.0.1:{silent}")
    assert not listens("127.0.0.1", silent)


@pytest.mark.parametrize("error", [PySparkRuntimeError("JAVA_GATEWAY_EXITED"), Py4JError("the JVM is gone")])
def test_what_spark_throws_at_a_start_is_explained_and_a_defect_is_not(error):
    with pytest.raises(SessionError, match="Correct the path in --jars") as told, \
            explained_start("local[2]", lambda: "FileNotFoundException: JAR /x.jar"):
        raise error
    assert told.value.__cause__ is error and "/x.jar is not there" in str(told.value)
    with pytest.raises(ZeroDivisionError), explained_start("local[2]"):
        raise ZeroDivisionError


def test_a_start_that_waits_for_ever_is_ended_by_a_sentence():
    before = time.monotonic()
    with pytest.raises(SessionError, match="yarn: no session within 0 s. .* --wait SECONDS"):
        in_time(lambda: time.sleep(3), 0.05, "yarn")
    assert time.monotonic() - before < 2
    assert in_time(lambda: 7, 5, "yarn") == 7
    with pytest.raises(KeyError):
        in_time(lambda: {}["x"], 5, "yarn")
