"""What is found on a cluster's nodes is judged: each fault is one finding with its remedy, and sound nodes have none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.cluster.checks import NO_EXECUTOR, ClusterFacts, LakeProbe, judge
from jobs.cluster.probe import rendered

VERSIONS = {"polars": "2.1.0", "pyarrow": "26.0.1"}
SAMPLES = {"customs/a.csv": "12ab"}
NODE = {
    "host": "n1", "executable": "/opt/bin/python", "python": "3.11.9", "packages": VERSIONS, "code": "c0de", "ahead": 0.0,
    "samples": SAMPLES, "raw_reason": "",
}
MACHINE = {"java": "17.0.15", "spark": "4.2.0", "hadoop": "3.5.0", "delta": "4.4.0"}
DRIVER = {
    "python": "3.11.9", "packages": VERSIONS, "code": "c0de", "spark": "4.2.0", "samples": SAMPLES, "raw_reason": "",
}
SOUND = ClusterFacts(
    "yarn", DRIVER, [NODE, NODE | {"host": "n2"}], [MACHINE], lake=LakeProbe(32, 32), raw="hdfs://n/raw", root="hdfs://n/lake"
)
WORKER = "java.io.IOException: Cannot run program \"/opt/none/python\": error=2, No such file or directory"


def with_node(**changes):
    return replace(SOUND, nodes=[NODE, NODE | {"host": "n2"} | changes])


def test_sound_nodes_fail_no_check():
    findings = judge(SOUND)
    assert [finding.name for finding in findings if not finding.is_fine] == [] and len(findings) > 10
    assert rendered(findings).endswith("none failed") and "n1, n2" in rendered(findings)


FAULTS = {
    "other Python": (with_node(python="3.11.2"), "Python", "3.11.2 at /opt/bin/python on n2", "spark.pyspark.python"),
    "other package": (with_node(packages=VERSIONS | {"polars": "1.0"}), "polars", "1.0 on n2", "The driver has 2.1.0"),
    "package missing": (with_node(packages={"polars": "2.1.0"}), "pyarrow", "not installed on n2", "--archives"),
    "no zip": (with_node(code=""), "This product's code", "not found on n2", "--py-files"),
    "older zip": (with_node(code="01d"), "This product's code", "01d on n2", "make zip"),
    "clock": (with_node(ahead=-400.0), "Clocks", "n2 is 400 s behind the driver", "time server"),
    "raw unreadable": (
        with_node(samples={}, raw_reason="PermissionError: no"), "Raw folder, executors", "n2: PermissionError", "mount"
    ),
    "other raw": (with_node(samples={"customs/a.csv": "ffff"}), "Raw folder, executors", "n2: other files", "same path"),
    "no raw": (
        replace(SOUND, driver=DRIVER | {"samples": {}, "raw_reason": "x: no such folder"}), "Raw folder, driver",
        "no such folder", "--raw",
    ),
    "two Javas": (replace(SOUND, machines=[MACHINE, MACHINE | {"java": "21.0.2"}]), "Java", "17.0.15, 21.0.2", "JAVA_HOME"),
    "old Java": (replace(SOUND, machines=[MACHINE | {"java": "1.8.0_402"}]), "Java", "1.8.0_402", "17 or 21"),
    "other Spark": (replace(SOUND, machines=[MACHINE | {"spark": "4.1.0"}]), "Spark", "4.1.0", "4.2.0"),
    "other Delta": (replace(SOUND, machines=[MACHINE | {"delta": "4.3.0"}]), "Delta", "4.3.0", "--jars"),
    "no Delta": (replace(SOUND, machines=[], java_failure="ClassNotFoundException: io.delta.package"), "Java",
                 "lacks the class io.delta.package", "--jars"),
    "no interpreter": (replace(SOUND, nodes=[], failure=WORKER), "Executors", "no /opt/none/python", "every node"),
    "nobody": (replace(SOUND, nodes=[]), "Executors", "0 Python workers", "free cores"),
    "no room": (
        replace(SOUND, nodes=[], machines=[], failure=NO_EXECUTOR.format(seconds=120.0), lake=None), "Executors",
        "gave no executor within 120 s", "--executor-memory",
    ),
    "ended": (
        replace(SOUND, nodes=[], machines=[], failure="Job 0 cancelled because SparkContext was shut down", lake=None),
        "Executors", "has ended the application", "not 17 or 21",
    ),
    "stopped": (
        replace(SOUND, nodes=[], machines=[], failure="Cannot call methods on a stopped SparkContext.\nx", lake=None),
        "Executors", "has ended the application", "not made",
    ),
    "strange": (replace(SOUND, nodes=[], failure="org.x.OddException: boom\n at x"), "Executors", "boom", "yarn logs"),
    "lake forbidden": (replace(SOUND, lake=LakeProbe(failure="Permission denied")), "Lake, write", "denied", "right to write"),
    "lake elsewhere": (replace(SOUND, lake=LakeProbe(32, 8)), "Lake, write", "wrote 32 rows", "folder of its own"),
    "lake unseen": (replace(SOUND, lake=LakeProbe(32, 32, False)), "Lake, write", "the driver found", "folder of its own"),
    "lake kept": (replace(SOUND, lake=LakeProbe(32, 32, left="/l/_probe-1")), "Lake, delete", "/l/_probe-1", "Remove it"),
}


@pytest.mark.parametrize(("facts", "name", "found", "remedy"), FAULTS.values(), ids=FAULTS)
def test_each_fault_is_one_finding_with_its_remedy(facts, name, found, remedy):
    failed = [finding for finding in judge(facts) if not finding.is_fine]
    assert [finding.name for finding in failed] == [name]
    assert found in failed[0].found and remedy in failed[0].remedy
    assert failed[0].remedy.split()[0] in rendered(failed)


def test_what_is_to_be_copied_from_a_remedy_is_never_broken():
    texts = NO_EXECUTOR.format(seconds=9), "SparkContext was shut down"
    no_room, ended = (replace(SOUND, nodes=[], failure=text) for text in texts)
    shown = rendered([*judge(no_room), *judge(ended)])
    for word in ("--executor-memory,", "--executor-cores),", "(spark.executor.extraJavaOptions).", "`yarn"):
        assert word in shown
    assert rendered(judge(replace(no_room, lake=None, raw=""))).endswith("1 check, 1 failed")
