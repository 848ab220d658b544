"""Judge what was found on a cluster's nodes: each failure in words, with what to do about it. Pure: facts in, findings out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.runtime.java import SUPPORTED_JAVA

DELTA_VERSION = "4.4.0"
#: Receipts and manifests of one load bear the times of several machines; Kerberos and S3 refuse at 5 and 15 minutes.
CLOCK_SECONDS = 60.0
ENVIRONMENT = (
    "Give executors the driver's environment: --conf spark.pyspark.python=PYTHON, a path that exists on every node, or"
    " --archives environment.tar.gz#environment (docs/operations/running.md)."
)
ZIP = "Give --py-files customs-lake.zip, made by `make zip` from the code that the driver runs."
JARS = "Give both Delta JARs with --jars, of the versions that this product names; remove others from the nodes' Spark."
#: What is noted when no executor came, to be filled with the seconds.
NO_EXECUTOR = "no executor within {seconds:.0f} s"
OTHERS = "The other checks need executors and were not made."
EARLY_END = (
    "Their own log has the reason (stderr below the workers' work folder; `yarn logs`): mostly a Java there that is not 17 or"
    " 21 (JAVA_HOME of the workers), another Spark than the driver's, or an option that their Java does not take"
    " (spark.executor.extraJavaOptions)."
)
# the whole application is at its end: nothing else can be asked
_ENDS = (
    (r"no executor within (\d+ s)", "the cluster gave no executor within {0}",
     "Either it has not the cores or the memory that are asked for, or others have them: its own page lists what is taken. Ask"
     " for less (--executor-memory, --executor-cores), or wait longer (--wait SECONDS). Or executors end as soon as they"
     f" start, and new ones are started for ever: the page lists them as ended. {EARLY_END} {OTHERS}"),
    (r"(?:was shut down|stopped SparkContext|Master removed our application|Max number of executor failures"
     r"|Application (?:has been|was) killed|application has already ended)", "the cluster has ended the application",
     f"Executors end as soon as they start. {EARLY_END} {OTHERS}"),
)  # fmt: skip
#: What Spark says when a Python worker cannot start, and what it means.
_FAILURES = (
    *_ENDS,
    (r"Cannot run program \"([^\"]+)\"", "an executor has no {0}", ENVIRONMENT),
    (r"PYTHON_VERSION_MISMATCH[^\n]*", "an executor's Python is of another version than the driver's", ENVIRONMENT),
    (r"No module named '(pyspark|py4j)[^']*'", "Python on an executor does not find {0}", ENVIRONMENT),
    (r"NoClassDefFoundError: ([\w./$]+)|ClassNotFoundException: ([\w.$]+)", "an executor lacks the class {0}", JARS),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    Attributes
    ----------
    name : str
    is_fine : bool
    found : str
        What was found.
    remedy : str
        What to do when it is not fine.
    """

    name: str
    is_fine: bool
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class LakeProbe:
    """A file written by executors and looked at by the driver.

    Attributes
    ----------
    written, seen : int
        Rows that executors wrote, and that were read again.
    seen_by_driver : bool
        Whether the driver sees the file without Spark.
    failure : str
        What went wrong, in words.
    left : str
        The file when it could not be removed.
    """

    written: int = 0
    seen: int = 0
    seen_by_driver: bool = True
    failure: str = ""
    left: str = ""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was found.

    Attributes
    ----------
    master : str
    driver : dict
        ``python``, ``packages`` (name to version), ``code``, ``spark``, ``samples`` (file to hash of its first bytes),
        ``raw_reason``.
    nodes : sequence of dict
        Of each Python worker that answered: ``host``, ``executable``, ``python``, ``packages``, ``code``, ``ahead`` (seconds
        that its clock is ahead of the driver's, at least), ``samples``, ``raw_reason``.
    machines : sequence of dict
        Of each Java virtual machine that answered: ``java``, ``spark``, ``hadoop``, ``delta``.
    failure, java_failure : str
        What Spark said when Python, or Java, could not be asked.
    lake : LakeProbe or None
        None when no lake was given.
    raw, root : str
        Where raw folder and lake are; empty when not given.
    """

    master: str
    driver: Mapping[str, Any]
    nodes: Sequence[Mapping[str, Any]] = ()
    machines: Sequence[Mapping[str, str]] = ()
    failure: str = ""
    java_failure: str = ""
    lake: LakeProbe | None = None
    raw: str = ""
    root: str = ""


def ends_everything(failure: str) -> bool:
    """Tell whether after this failure of the first question no other can be asked."""
    return any(re.search(pattern, failure) for pattern, _, _ in _ENDS)


def judge(facts: ClusterFacts) -> list[Finding]:
    """Judge all facts; what could not be asked is a finding too."""
    return [*_answers(facts), *_python(facts), *_java(facts), *_clock(facts), *_raw(facts), *_lake(facts)]


def _answers(facts: ClusterFacts) -> Iterator[Finding]:
    hosts = sorted({node["host"] for node in facts.nodes})
    found = f"{facts.master}: {len(facts.nodes)} Python workers on {', '.join(hosts[:5])}{' ...' if len(hosts) > 5 else ''}"
    if facts.failure:
        yield Finding("Executors", False, *_explained(facts.failure))
    else:
        yield Finding("Executors", bool(facts.nodes), found, "No executor answered: has the cluster free cores and memory?")


def _explained(failure: str) -> tuple[str, str]:
    for pattern, words, remedy in _FAILURES:
        if found := re.search(pattern, failure):
            return words.format(next((group for group in found.groups() if group), "")), remedy
    lines = [line.strip() for line in failure.splitlines() if line.strip()]
    cause = next((line for line in lines if "Error" in line or "Exception" in line), lines[0] if lines else "nothing")
    return cause[:300], "See the executors' own log (Spark's page of the application, or `yarn logs`)."


def _python(facts: ClusterFacts) -> Iterator[Finding]:
    if not facts.nodes:
        return
    wanted = facts.driver["python"]
    yield _same("Python", wanted, facts.nodes, lambda node: f"{node['python']} at {node['executable']}", "python", ENVIRONMENT)
    for name, version in facts.driver["packages"].items():
        others = _others(facts.nodes, lambda node, name=name: node["packages"].get(name, ""), version)
        shown = ", ".join(f"{found or 'not installed'} on {where}" for found, where in others)
        yield Finding(f"{name}", not others, shown or version, f"The driver has {version}. {ENVIRONMENT}")
    others = _others(facts.nodes, lambda node: node["code"], facts.driver["code"])
    shown = ", ".join(f"{found or 'not found'} on {where}" for found, where in others)
    code = facts.driver["code"]
    yield Finding("This product's code", not others, shown or code, f"The driver has {code}. {ZIP}")


def _same(name: str, wanted: str, nodes: Sequence[Mapping[str, Any]], shown: Any, key: str, remedy: str) -> Finding:
    odd = [node for node in nodes if node[key] != wanted]
    text = ", ".join(f"{shown(node)} on {node['host']}" for node in odd[:3])
    return Finding(name, not odd, text or wanted, f"The driver has {wanted}. {remedy}")


def _others(nodes: Sequence[Mapping[str, Any]], value: Any, wanted: str) -> list[tuple[str, str]]:
    return sorted({(value(node), node["host"]) for node in nodes if value(node) != wanted})[:3]


def _java(facts: ClusterFacts) -> Iterator[Finding]:
    if ends_everything(facts.failure):
        return
    if facts.java_failure:
        yield Finding("Java", False, *_explained(facts.java_failure))
        return
    seen = {name: sorted({machine[name] for machine in facts.machines}) for name in ("java", "spark", "hadoop", "delta")}
    majors = {int(version.split(".")[0]) for version in seen["java"] if version.split(".")[0].isdigit()}
    yield Finding(
        "Java", len(majors) == 1 and majors <= set(SUPPORTED_JAVA), ", ".join(seen["java"]),
        f"Every node needs the same Java, {' or '.join(map(str, SUPPORTED_JAVA))}: set JAVA_HOME there"
        " (on YARN --conf spark.executorEnv.JAVA_HOME=...).",
    )
    yield Finding(
        "Spark", seen["spark"] == [facts.driver["spark"]], ", ".join(seen["spark"]),
        f"The driver's pyspark is {facts.driver['spark']}: submit with the cluster's own spark-submit, or install that"
        " version on every node.",
    )
    one_build = "The nodes' Spark must be one build: see spark.yarn.jars."
    yield Finding("Hadoop", len(seen["hadoop"]) == 1, ", ".join(seen["hadoop"]), one_build)
    found = ", ".join(seen["delta"]) or "not found"
    yield Finding("Delta", seen["delta"] == [DELTA_VERSION], found, f"{DELTA_VERSION} is needed. {JARS}")


def _clock(facts: ClusterFacts) -> Iterator[Finding]:
    if not facts.nodes:
        return
    worst = max(facts.nodes, key=lambda node: abs(node["ahead"]))
    found = f"at most {abs(worst['ahead']):.1f} s from the driver's"
    if abs(worst["ahead"]) > CLOCK_SECONDS:
        found = f"{worst['host']} is {abs(worst['ahead']):,.0f} s {'ahead of' if worst['ahead'] > 0 else 'behind'} the driver"
    yield Finding(
        "Clocks", abs(worst["ahead"]) <= CLOCK_SECONDS, found,
        "Set the clocks by one time server (chrony, ntpd): Kerberos and S3 reject requests of another time.",
    )


def _raw(facts: ClusterFacts) -> Iterator[Finding]:
    if not facts.raw:
        return
    samples = facts.driver["samples"]
    if facts.driver["raw_reason"] or not samples:
        found = facts.driver["raw_reason"] or f"{facts.raw}: the driver finds no file there"
        yield Finding("Raw folder, driver", False, found, "Check --raw, and the rights or keys of whoever runs the driver.")
        return
    yield Finding("Raw folder, driver", True, f"{len(samples)} files read of {facts.raw}")
    if not facts.nodes:
        return
    remedy = (
        "Executors open --raw themselves: mount a folder under the same path on every node, readable there, or give an"
        " address (hdfs://, s3a://) with the nodes' own keys."
    )
    failed = [(node["host"], node["raw_reason"]) for node in facts.nodes if node["raw_reason"]]
    other = [(node["host"], "other files than the driver's") for node in facts.nodes
             if not node["raw_reason"] and node["samples"] != samples]
    shown = "; ".join(f"{host}: {reason}" for host, reason in sorted({*failed, *other})[:3])
    yield Finding("Raw folder, executors", not shown, shown or "the same bytes as on the driver", remedy)


def _lake(facts: ClusterFacts) -> Iterator[Finding]:
    probe = facts.lake
    if probe is None:
        return
    rights = "Give the user of driver and executors the right to write below --lake, or the nodes keys that may."
    shared = "Give --lake as a place that all see: a folder mounted under one path, or an address such as hdfs://."
    if probe.failure:
        yield Finding("Lake, write", False, probe.failure, rights)
    elif probe.seen != probe.written or not probe.seen_by_driver:
        who = "the driver" if not probe.seen_by_driver else "executors"
        found = f"executors wrote {probe.written} rows below {facts.root}, of which {who} found {probe.seen}"
        yield Finding("Lake, write", False, found, f"Each machine wrote into a folder of its own. {shared}")
    else:
        yield Finding("Lake, write", True, f"written by executors, read again and removed, below {facts.root}")
    if probe.left:
        yield Finding("Lake, delete", False, f"{probe.left} could not be removed", f"Remove it. {rights}")
