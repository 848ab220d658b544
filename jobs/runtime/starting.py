"""Spark that does not start: what that means in words, with what to do about it.

What Spark throws then is a stack trace about a stopped context, whose cause stands in the JVM's log or nowhere. So the
master's address is tried first, and what is thrown is looked at for the causes that are known. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TypeVar

from jobs.core.errors import SessionError

T = TypeVar("T")

# a master that is started again, or another that takes its place, is there within these
TRIES, PAUSE_SECONDS, CONNECT_SECONDS = 3, 2.0, 5.0
#: Where a resource manager listens whose address is not configured (Hadoop's yarn-default.xml).
YARN_PORT = 8032
PAGE = "docs/operations/running.md has the whole line."
MASTERS = "local[*], spark://HOST:7077, yarn or k8s://https://HOST:PORT"
_HOST = r"(?:\[[\da-fA-F:]+\]|[^\s:/,${}\[\]]+)"
# what is said, what it means, what to do; the first that fits
_CAUSES = (
    (r"HADOOP_CONF_DIR or YARN_CONF_DIR must be set", "nothing says where YARN is",
     "Set HADOOP_CONF_DIR to the folder with the cluster's core-site.xml and yarn-site.xml."),
    (r"Master must either be|Could not parse Master URL|Invalid master URL", "this is no address of a master",
     f"Expected {MASTERS}."),
    (r"UnsupportedClassVersionError|class file version", "the Java that is started is too old for Spark 4.2",
     "Point JAVA_HOME at Java 17 or 21, on the driver and on every node."),
    (r"(?:ClassNotFoundException|NoClassDefFoundError|Failed to find class|Cannot load class):? ([\w./$]+)",
     "the class {0} is missing", "Give both Delta JARs with --jars; s3a:// needs hadoop-aws with its SDK as well."),
    (r"((?:file:|/)\S+) (?:does not exist|was not found)|(?:NoSuchFile|FileNotFound)Exception: (?:File |JAR )?(\S+)",
     "{0} is not there", "Correct the path in --jars, --py-files, --files or --archives."),
    (r"Required (?:executor|AM) memory[^\n]*", "the cluster allows no container as large as asked for: {all}",
     "Ask for less with --executor-memory, or have yarn.scheduler.maximum-allocation-mb raised."),
    (r"already ended|Application Master may not have been able to start|application_\d+_\d+ failed[^\n]*",
     "YARN ended the application before it had begun",
     "`yarn logs -applicationId ID` has the reason: mostly a Java that is not 17 or 21 on the nodes (--conf"
     " spark.yarn.appMasterEnv.JAVA_HOME=...), or a file of spark.yarn.jars that is not there."),
    (r"AccessControlException[^\n]*|Permission denied[^\n]*|Forbidden[^\n]*|Unauthorized[^\n]*|GSSException[^\n]*",
     "the cluster refuses this user: {all}", "Check queue, Kerberos ticket (kinit) or service account."),
    (r"All masters are unresponsive|java\.net\.\w+Exception: ([^\n]*)|stopped SparkContext", "the master does not take this"
     " application: it does not answer, or answers as another version of Spark", "Is it up, and its Spark 4.2.0?"),
    (r"Invalid (?:initial|maximum) heap size|Could not reserve enough space|Too small (?:initial|maximum) heap"
     r"|Size must be specified[^\n]*|Error parsing[^\n]*memory[^\n]*|NumberFormatException[^\n]*",
     "Java does not start with the memory that is asked for", "Expected a number and a unit, such as 4g:"
     " --set spark.driver_memory=4g."),
)  # fmt: skip


def require_master(master: str) -> None:
    """Refuse a standalone master or a resource manager of YARN at whose address nobody listens, in seconds.

    Raises
    ------
    SessionError
        With the address and the remedy.
    """
    addresses = addresses_of(master)
    if master.startswith("k8s://") or not addresses:
        # reached by way of a proxy, maybe
        return
    for number in range(TRIES):
        if any(listens(host, port) for host, port in addresses):
            return
        time.sleep(PAUSE_SECONDS if number < TRIES - 1 else 0)
    raise SessionError(_silence(master, addresses))


def addresses_of(master: str) -> list[tuple[str, int]]:
    """Hosts and ports that a master's address names; none where it names none, such as ``local[*]``."""
    if master == "yarn":
        return _resource_managers()
    scheme, _, rest = master.partition("://")
    if scheme not in ("spark", "k8s"):
        return []
    default = 80 if rest.startswith("http://") else 443
    found = [re.fullmatch(rf"({_HOST})(?::(\d+))?(?:/.*)?", part) for part in re.sub(r"^https?://", "", rest).split(",")]
    return [(item[1].strip("[]"), int(item[2] or default)) for item in found if item]


def _resource_managers() -> list[tuple[str, int]]:
    """Where YARN's resource managers listen by the configuration that Hadoop reads."""
    folder = os.environ.get("HADOOP_CONF_DIR") or os.environ.get("YARN_CONF_DIR") or ""
    try:
        properties = ET.parse(Path(folder) / "yarn-site.xml").getroot().iter("property")
    except (OSError, ET.ParseError):
        return []
    values = {item.findtext("name", "").strip(): item.findtext("value", "").strip() for item in properties}
    of_hosts = {name.replace(".hostname", ".address"): f"{value}:{YARN_PORT}" for name, value in values.items()
                if name.startswith("yarn.resourcemanager.hostname")}
    wanted = of_hosts | {name: value for name, value in values.items()
                         if re.fullmatch(r"yarn\.resourcemanager\.address(\.\w+)?", name)}
    found = [re.fullmatch(rf"({_HOST}):(\d+)", value) for value in wanted.values()]
    return [(item[1].strip("[]"), int(item[2])) for item in found if item]


def listens(host: str, port: int) -> bool:
    """Tell whether somebody takes connections there."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _silence(master: str, addresses: list[tuple[str, int]]) -> str:
    where = ", ".join(f"{host}:{port}" for host, port in addresses)
    return (
        f"{master}: nobody answers at {where}. Is the address right (--set spark.master=..., or --master of the submit"
        " line; on YARN yarn-site.xml in HADOOP_CONF_DIR), the master up, and may this machine reach it?"
    )


@contextlib.contextmanager
def explained_start(master: str, said: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Turn what Spark throws when it does not start into one sentence.

    Parameters
    ----------
    master : str
    said : callable
        Returns what the JVM said on its standard error, if that is known.

    Raises
    ------
    SessionError
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise SessionError(start_failure(f"{said()}\n{error}", master)) from error


def start_failure(text: str, master: str) -> str:
    """What the texts of a start that failed mean, with the remedy."""
    addresses = addresses_of(master)
    if addresses and not any(listens(host, port) for host, port in addresses):
        return _silence(master, addresses)
    for pattern, meaning, remedy in _CAUSES:
        if found := re.search(pattern, text):
            first = next((group for group in found.groups() if group), "").replace("/", "." if "Class" in found[0] else "/")
            return f"Spark does not start with master {master}: {meaning.format(first, all=found[0][:200])}. {remedy}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"Exception|Error|error", line) and "JAVA_GATEWAY" not in line]
    return f"Spark does not start with master {master}. It said: {(telling or lines or ['nothing'])[-1][:300]} {PAGE}"


def in_time(call: Callable[[], T], seconds: float, master: str) -> T:
    """Call something that may wait for a cluster for ever, such as a queue that is full.

    Raises
    ------
    SessionError
        When it is not through by then; what was called goes on, and ends with the process.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    # not of a pool, whose threads the end of the process would wait for
    threading.Thread(target=work, name="start of Spark", daemon=True).start()
    if not wait([future], seconds).done:
        raise SessionError(
            f"{master}: no session within {seconds:.0f} s. The cluster has not taken the application: its queue is full, no"
            " node has the memory that is asked for, or it does not answer. Its own page, or `yarn application -list`, lists"
            " what is at work. --wait SECONDS waits longer."
        )
    return future.result()
