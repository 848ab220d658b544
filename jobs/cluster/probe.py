"""Doctor for a cluster: what its executors have, what they see of raw folder and lake, and what to do about the rest.

Asked for by the very line that is to run the pipeline, with ``--check-cluster`` behind it; or by
``customs-lake doctor --cluster --set spark.master=spark://HOST:7077``. Writes a probe file below the lake and removes it.
What runs on an executor is a plain Python function that travels by value, so that a node without this product's packages,
or without pyarrow, can still say so; what the facts mean is judged in :mod:`jobs.cluster.checks`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from conf.settings import load_settings
from jobs.cluster.checks import NO_EXECUTOR, ClusterFacts, Finding, LakeProbe, ends_everything, judge
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED, CustomsLakeError
from jobs.core.printing import printable
from jobs.core.progress import is_submitted, moving
from jobs.core.storage import open_store
from jobs.kernels.raw_folder import RawFolder, raw_folder
from jobs.kernels.reasons import reason_of
from jobs.runtime.package import code_hash
from jobs.runtime.session import build_session
from jobs.runtime.starting import in_time
from jobs.runtime.watching import executors_in_time

#: What executors import.
PACKAGES = ("polars", "pyarrow", "numpy", "pandas", "scipy")
#: Static methods that every Java virtual machine of the cluster answers, by what they tell.
JAVA_FACTS = {
    "java": ("java.lang.System", "getProperty", "java.version"),
    "spark": ("org.apache.spark.package", "SPARK_VERSION"),
    "hadoop": ("org.apache.hadoop.util.VersionInfo", "getVersion"),
    "delta": ("io.delta.package", "VERSION"),
}
SAMPLE_FILES, SAMPLE_BYTES = 3, 1024
# tasks that wait a little each, so that every executor gets some
N_TASKS, TASK_SECONDS = 32, 0.2
SPARK_ERRORS = (PySparkException, Py4JError)
WIDTH = 100


def examine_cluster(arguments: argparse.Namespace) -> int:
    """Ask the cluster, print every check, and return the exit code."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    where = "the cluster of the submit line" if is_submitted() else settings.spark.master
    with moving("doctor", note="asks the cluster"):
        spark = in_time(lambda: build_session(settings, app="customs-lake doctor"), arguments.wait, where)
        try:
            findings = judge(probe_cluster(spark, raw=arguments.raw, root=arguments.lake, seconds=arguments.wait))
        finally:
            # a context that the cluster has ended cannot be stopped once more
            with contextlib.suppress(*SPARK_ERRORS):
                spark.stop()
    if getattr(arguments, "json", False):
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=1))
    else:
        print(printable(rendered(findings)))
    return EXIT_DONE if all(finding.is_fine for finding in findings) else EXIT_REFUSED


def rendered(findings: Sequence[Finding]) -> str:
    """The checks as lines: name, verdict, what was found; below a failure what to do."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.name:<24}{'ok' if finding.is_fine else 'FAILS':<7}{finding.found}")
        if not finding.is_fine:
            indent = " " * 31
            # an option is for copying
            lines += textwrap.wrap(
                finding.remedy, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False,
                break_long_words=False,
            )
    n_failed = sum(not finding.is_fine for finding in findings)
    n_checks = f"{len(findings)} check{'s' * (len(findings) != 1)}"
    return "\n".join([*lines, f"{n_checks}, {n_failed or 'none'} failed"])


def probe_cluster(
    spark: SparkSession, *, raw: str | os.PathLike[str] | None, root: str | None, seconds: float = 120.0
) -> ClusterFacts:
    """Ask driver and executors; nothing raises, what fails is a fact.

    Parameters
    ----------
    spark : SparkSession
    raw : str or path, optional
        Raw folder.
    root : str, optional
        Of the lake, which need not be there yet. A file is written below it and removed.
    seconds : float
        How long to wait for the first executor.
    """
    master = spark.conf.get("spark.master", "") or ""
    samples, reason = _sample(raw) if raw is not None else ({}, "")
    packages = [*PACKAGES, *(["hdfs-native"] if str(raw).startswith("hdfs:") else [])]
    driver = {
        "python": platform.python_version(), "spark": spark.version, "code": code_hash(), "samples": samples,
        "raw_reason": reason, "packages": {name: version for name in packages if (version := _version(name))},
    }
    nodes, failure = _nodes(spark, raw, driver, seconds)
    facts = ClusterFacts(master, driver, nodes, failure=failure, raw="" if raw is None else os.fspath(raw), root=root or "")
    if ends_everything(failure):
        return facts
    machines, java_failure = _machines(spark)
    return replace(
        facts, machines=machines, java_failure=java_failure, lake=None if root is None else _probe_lake(spark, root)
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _sample(raw: str | os.PathLike[str]) -> tuple[dict[str, str], str]:
    """Some files of the raw folder with the hash of their first bytes; or why it cannot be read."""
    try:
        folder = raw_folder(raw)
        names = _some_names(folder)
        return {name: _first_bytes(folder, name) for name in names}, ""
    except CustomsLakeError as error:
        return {}, str(error)
    except OSError as error:
        return {}, f"{os.fspath(raw)}: {reason_of(error)}"


def _some_names(folder: RawFolder) -> list[str]:
    if not folder.is_local:
        return [name for name, _ in folder.list_remote()[:SAMPLE_FILES]]
    found: list[str] = []
    for place, folders, names in os.walk(folder.path):
        folders.sort()
        found += [(Path(place) / name).relative_to(folder.path).as_posix() for name in sorted(names)]
        if len(found) >= SAMPLE_FILES:
            break
    return found[:SAMPLE_FILES]


def _first_bytes(folder: RawFolder, name: str) -> str:
    with folder.file(name).open() as stream:
        return hashlib.sha256(stream.read(SAMPLE_BYTES)).hexdigest()


def _nodes(
    spark: SparkSession, raw: str | os.PathLike[str] | None, driver: Mapping[str, Any], seconds: float
) -> tuple[list[dict[str, Any]], str]:
    """What Python on the executors answers, one dictionary for each worker's parent; or what Spark said instead."""
    question = {
        "raw": None if raw is None else os.fspath(raw), "samples": sorted(driver["samples"]),
        "packages": sorted(driver["packages"]), "root": str(Path(__file__).resolve().parents[2]), "seconds": TASK_SECONDS,
        "n_bytes": SAMPLE_BYTES,
    }
    # pickled by value, and without Arrow: pyarrow is one of the things asked for
    ask = F.udf(_asking(question), "string", useArrow=False)
    before = time.time()
    try:
        with executors_in_time(spark, seconds) as is_over:
            rows = spark.range(0, N_TASKS, 1, N_TASKS).select(ask("id").alias("answer")).collect()
    except SPARK_ERRORS as error:
        return [], NO_EXECUTOR.format(seconds=seconds) if is_over.is_set() else str(error)
    after = time.time()
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for answer in (json.loads(row["answer"]) for row in rows):
        # its clock was read between the two: what lies outside is a difference for sure
        ahead = max(0.0, answer["clock"] - after) or min(0.0, answer["clock"] - before)
        found.setdefault((answer["host"], answer["parent"]), answer | {"ahead": ahead})
    return list(found.values()), ""


def _asking(question: Mapping[str, Any]) -> Callable[[int], str]:
    """The function that travels: standard library only until it has said what it is."""

    def answer(number: int) -> str:
        import hashlib
        import json
        import os
        import platform
        import socket
        import time
        from importlib import metadata

        time.sleep(question["seconds"])
        facts: dict[str, Any] = {
            "host": socket.gethostname(), "parent": os.getppid(), "executable": sys.executable, "clock": time.time(),
            "python": platform.python_version(), "packages": {}, "code": "", "samples": {}, "raw_reason": "",
        }
        for name in question["packages"]:
            try:
                facts["packages"][name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        if question["root"] not in sys.path:
            sys.path.append(question["root"])
        try:
            from jobs.runtime.package import code_hash

            facts["code"] = code_hash()
            if question["raw"] is not None:
                from jobs.kernels.raw_folder import raw_folder

                folder = raw_folder(question["raw"])
                for name in question["samples"]:
                    with folder.file(name).open() as stream:
                        facts["samples"][name] = hashlib.sha256(stream.read(question["n_bytes"])).hexdigest()
        except Exception as error:
            facts["raw_reason"] = f"{type(error).__name__}: {error}"[:300] if question["raw"] is not None else ""
        return json.dumps(facts)

    return answer


def _machines(spark: SparkSession) -> tuple[list[dict[str, str]], str]:
    """What Java on the executors answers, each different answer once; or what Spark said instead."""

    def fact(words: tuple[str, ...]) -> Column:
        return F.java_method(*(F.lit(word) for word in words))

    wanted = [fact(words).alias(name) for name, words in JAVA_FACTS.items()]
    try:
        rows = spark.range(0, N_TASKS, 1, N_TASKS).select(*wanted).collect()
    except SPARK_ERRORS as error:
        return [], str(error)
    return [dict(items) for items in sorted({tuple(row.asDict().items()) for row in rows})], ""


def _probe_lake(spark: SparkSession, root: str) -> LakeProbe:
    """Write a small file below the lake through executors, read it again, see it from the driver, and remove it."""
    name = f"_probe-{uuid.uuid4().hex[:12]}"
    path = f"{root.rstrip('/')}/{name}"
    store = open_store(spark, root)
    is_new = False
    try:
        is_new = not store.exists("")
        spark.range(0, N_TASKS, 1, 4).write.parquet(path)
        is_seen = any(item.endswith(".parquet") for item in store.names(name))
        found = LakeProbe(N_TASKS, spark.read.schema("id bigint").parquet(path).count(), is_seen)
    except (*SPARK_ERRORS, OSError, CustomsLakeError) as error:
        found = LakeProbe(failure=_innermost(str(error)))
    try:
        store.delete(name)
        if is_new and not store.names(""):
            store.delete("")
    except (*SPARK_ERRORS, OSError, CustomsLakeError):
        return replace(found, left=path)
    return found


def _innermost(text: str) -> str:
    """What a stack of Java errors is about: its last cause, on one line."""
    causes = [line.strip().removeprefix("Caused by: ") for line in text.splitlines() if line.strip().startswith("Caused by:")]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (causes[-1] if causes else lines[0] if lines else "nothing was said")[:300]

