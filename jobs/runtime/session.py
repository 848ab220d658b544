"""The Spark session: every setting with its reason.

Started by the product itself, the session gets all settings. Under spark-submit, on Databricks or EMR a session or its
configuration exists already: only what is unset is set, and master, memory and JARs are left alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from conf.settings import Settings
from jobs.core.progress import is_submitted
from jobs.runtime.class_archive import archive_options
from jobs.runtime.jars import jar_paths
from jobs.runtime.java import require_java
from jobs.runtime.machine import require_open_files, require_temporary_folder
from jobs.runtime.starting import explained_start, require_master
from jobs.runtime.surroundings import apply_rights, cache_folder, scratch_folder

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

CLASS_PATH = "spark.driver.extraClassPath"
DELTA_CONFS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
ALWAYS_CONFS = {
    # GBK and GB18030 text: Spark 4 refuses any charset but UTF and Latin-1 otherwise (SPARK-48857)
    "spark.sql.legacy.javaCharsets": "true",
    # spark.sql("... :x", args) is broken while Delta's extension is on
    "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",
    # silent nulls from a bad cast would be silent losses
    "spark.sql.ansi.enabled": "true",
    # timestamps in the ledger must not depend on where the driver stands
    "spark.sql.session.timeZone": "UTC",
    # a new column must be a migration, never an accident
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
    # place reference and HS tables are a few MB: broadcast them
    "spark.sql.autoBroadcastJoinThreshold": "64m",
}
# taken when a session starts; what the submit line says of them stands
TUNING_CONFS = {
    # cleaning is some 130 generated classes: the default of 100 entries forgets each before the next year needs it
    "spark.sql.codegen.cache.maxEntries": "1000",
    # HotSpot interprets a method above 8,000 bytes for ever; above this limit Spark makes small ones instead
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # noting the Python line of each column expression takes longer than making it, and cleaning has some 800
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # as many Python workers as cores are at work: threads of each one's own would only take turns
    "spark.executorEnv.POLARS_MAX_THREADS": "1",
    # bronze is small when compressed: at the default of 128 MB nine years were three tasks
    "spark.sql.files.maxPartitionBytes": "16m",
    # a writer for each year that a task meets, instead of sorting its rows by year first
    "spark.sql.maxConcurrentOutputFileWriters": "20",
}
LOCAL_CONFS = {
    # log replay over the default 50 partitions costs seconds per write: its code is made anew for each of them
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # the machine's name may resolve to an address that is not up
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.legacy.setCommandRejectsSparkCoreConfs": "false",
}
INTERPRETED_CONFS = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


def is_local(settings: Settings) -> bool:
    """Tell whether the session to come works on this machine only; one that was submitted has its master already."""
    return not is_submitted() and settings.spark.master.startswith("local")


def n_cores(settings: Settings) -> int:
    """Cores of this machine that a local master names: ``local`` one, ``local[2]`` two, ``local[*]`` all."""
    found = re.fullmatch(r"local\[([0-9]+|\*).*\]", settings.spark.master)
    if found is None:
        return 1
    if found[1] != "*":
        return int(found[1])
    # of a container's cores those it may use; not every system tells
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def build_session(settings: Settings, *, app: str = "customs-lake") -> SparkSession:
    """Return the session, making it when none is active.

    Parameters
    ----------
    settings : Settings
        Section ``spark`` is used.
    app : str
        Application name.

    Raises
    ------
    JavaNotUsableError, JarsNotFoundError
        Before any JVM is started, with the remedy.
    SessionError
        If Spark does not start with this master, with the remedy.
    """
    _silence_expected_error_logs()
    from pyspark.sql import SparkSession

    from jobs.runtime.gateway import has_started, last_lines

    # before the JVM is started, which inherits them
    apply_rights(settings.privacy)
    active = SparkSession.getActiveSession()
    if active is not None:
        _set_runtime(active)
        return active
    builder = SparkSession.builder.appName(app)
    confs = ALWAYS_CONFS | DELTA_CONFS
    master = settings.spark.master
    if not is_submitted():
        java, _ = require_java()
        require_open_files()
        require_temporary_folder()
        # workers must run this very interpreter, else they take python3 from the PATH
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        builder = builder.master(master)
        confs = confs | TUNING_CONFS | LOCAL_CONFS | {
            "spark.driver.memory": settings.spark.driver_memory,
            "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
            "spark.driver.extraJavaOptions": _java_options(),
            **_delta_jars(master),
        }
        # several folders, or a cluster's own: as they are given
        if "," in settings.spark.local_dir or not master.startswith("local"):
            confs |= {"spark.local.dir": settings.spark.local_dir} if settings.spark.local_dir else {}
        else:
            scratch = scratch_folder(settings.spark.local_dir)
            confs["spark.local.dir"] = str(scratch)
            archive = archive_options(java, jar_paths(), cache_folder() / "java")
            confs["spark.driver.extraJavaOptions"] += f' "-Djava.io.tmpdir={scratch}" {archive}'
        # Hadoop sets the rights of files and folders itself, whatever the process says
        confs["spark.hadoop.fs.permissions.umask-mode"] = f"{settings.privacy.umask:03o}"
        extra = settings.spark.extra
        options = f"{confs['spark.driver.extraJavaOptions']} {extra.get('spark.driver.extraJavaOptions', '')}"
        paths = [path for path in (confs.get(CLASS_PATH), extra.get(CLASS_PATH)) if path]
        confs |= extra | {"spark.driver.extraJavaOptions": options.strip()}
        confs |= {CLASS_PATH: os.pathsep.join(paths)} if paths else {}
    else:
        given = _submitted_conf()
        master = given.get("spark.master", "local[*]") or "local[*]"
        local = LOCAL_CONFS if master.startswith("local") else {}
        rights = {"spark.hadoop.fs.permissions.umask-mode": f"{settings.privacy.umask:03o}"}
        confs = confs | _unset_only(given, TUNING_CONFS | local | rights)
    for key, value in confs.items():
        builder = builder.config(key, value)
    require_master(master)
    with explained_start(master, last_lines):
        if not is_submitted():
            _start_context(master, app, confs)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel(settings.spark.log_level)
    has_started()
    return session


def _start_context(master: str, app: str, confs: dict[str, str]) -> None:
    """Start JVM and context, which the builder would do in the same way but for the JVM's greetings."""
    from pyspark import SparkConf, SparkContext

    from jobs.runtime.gateway import start_gateway

    # a process has one JVM: it stays when a session ends
    if SparkContext._gateway is None:
        conf = SparkConf().setMaster(master).setAppName(app).setAll(list(confs.items()))
        SparkContext(conf=conf, gateway=start_gateway(conf))


def _delta_jars(master: str) -> dict[str, str]:
    """Where Delta's JARs come from: executors elsewhere are sent them; here the class path is enough, and can be archived."""
    if master.startswith("local"):
        return {CLASS_PATH: os.pathsep.join(jar_paths())}
    return {"spark.jars": ",".join(jar_paths())}


def _java_options() -> str:
    """Quiet log from the first line on: Spark's default profile warns before a session can set its level."""
    path = Path(__file__).resolve().parents[2] / "conf" / "spark" / "log4j2.properties"
    return f"-Dlog4j2.configurationFile={path.as_uri()}" if path.is_file() else ""


def _submitted_conf() -> SparkConf:
    from pyspark import SparkConf, SparkContext

    # before Python is connected to the JVM that spark-submit started, a SparkConf is empty: nothing would count as given
    SparkContext._ensure_initialized()
    return SparkConf()


def _unset_only(given: SparkConf, confs: dict[str, str]) -> dict[str, str]:
    # JVM options of a running driver cannot change any more
    return {key: value for key, value in confs.items() if not given.contains(key) and "JavaOptions" not in key}


@contextlib.contextmanager
def interpreted(spark: SparkSession) -> Iterator[None]:
    """Have queries on small frames interpreted: making and compiling code for them takes longer than their rows do."""
    before = {name: cast(str, spark.conf.get(name)) for name in INTERPRETED_CONFS}
    for name, value in INTERPRETED_CONFS.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def _set_runtime(session: SparkSession) -> None:
    for key, value in ALWAYS_CONFS.items():
        session.conf.set(key, value)


def _silence_expected_error_logs() -> None:
    # PySpark prints a JSON stack for every failed query, even one that is caught and explained
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
