"""Fetch Delta's two JARs once, through Spark's own resolver, and keep them beside the checkout.

A session must not resolve anything: that costs tens of seconds and fails off-line. The two JARs are all Delta needs
to create, merge, optimise, clone, restore and vacuum; its optional dependencies (catalog, kernel, Hadoop) are left
out. 4.4.0 is pinned: the JARs of 4.4.1 are not published.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from jobs.runtime.java import JavaNotUsableError, require_java

DELTA_COORDINATES = ("io.delta:delta-spark_4.2_2.13:4.4.0", "io.delta:delta-storage:4.4.0")
JAR_NAMES = ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar")
#: Of the JARs as they are published; anything else under their names is not started.
JAR_SHA256 = {
    "delta-spark_4.2_2.13-4.4.0.jar": "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    "delta-storage-4.4.0.jar": "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
}
JARS_VARIABLE = "CUSTOMS_LAKE_JARS"
_NOT_NEEDED = (
    "io.unitycatalog:unitycatalog-client",
    "io.unitycatalog:unitycatalog-hadoop",
    "io.delta:delta-kernel-api",
    "io.delta:delta-kernel-defaults",
    "io.delta:delta-kernel-unitycatalog",
    "org.antlr:antlr4-runtime",
    "org.apache.hadoop:hadoop-aws",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
)


class JarsNotFoundError(RuntimeError):
    """Raised when Delta's JARs are not there, or are not those that were published; usually the set-up has not run."""


def jars_folder() -> Path:
    """Return where the JARs are kept: ``$CUSTOMS_LAKE_JARS``, else ``.cache/jars`` beside the packages."""
    given = os.environ.get(JARS_VARIABLE)
    return Path(given) if given else Path(__file__).resolve().parents[2] / ".cache" / "jars"


def jar_paths() -> list[str]:
    """Return the paths of the two JARs, whose bytes are verified: 10 MB, a hundredth of a second.

    Raises
    ------
    JarsNotFoundError
        If one is missing, or is not the one that was published.
    """
    paths = [jars_folder() / name for name in JAR_NAMES]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise JarsNotFoundError(
            f"Delta's JARs are missing: expected {', '.join(missing)} in {jars_folder()}. Run `make setup` (or"
            f" `python -m jobs.runtime.jars`), or set {JARS_VARIABLE} to a folder that holds them."
        )
    for path in paths:
        _refuse_other(path)
    return [str(path) for path in paths]


def fetch_jars() -> None:
    """Resolve the two JARs with Spark's resolver and copy them to :func:`jars_folder`; a second call does nothing.

    Raises
    ------
    JarsNotFoundError
        If the resolver could not get them.
    """
    target = jars_folder()
    if all((target / name).is_file() for name in JAR_NAMES):
        return
    with tempfile.TemporaryDirectory() as ivy:
        result = _resolve(ivy)
        for name, coordinate in zip(JAR_NAMES, DELTA_COORDINATES, strict=True):
            found = Path(ivy) / "jars" / f"{coordinate.split(':')[0]}_{name}"
            if not found.is_file():
                raise JarsNotFoundError(
                    f"Spark's resolver did not deliver {coordinate}. It said: {_last_problem(result)}\nIs the artifact"
                    " repository reachable from here? Behind a proxy or mirror give Spark's resolver a settings file"
                    " (SPARK_SUBMIT_OPTS=-Divy.settings=...), or copy the two JARs into"
                    f" {target} by hand; then run make again."
                )
            target.mkdir(parents=True, exist_ok=True)
            partial = target / f"{name}.partial"
            shutil.copyfile(found, partial)
            _refuse_other(partial, name)
            partial.replace(target / name)


def _refuse_other(path: Path, name: str = "") -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = JAR_SHA256[name or path.name]
    if found != expected:
        raise JarsNotFoundError(
            f"{path} is not the JAR that was published: expected SHA-256 {expected}, found {found}. It was cut on the way or"
            " exchanged; it is not started. Remove it and run `make setup`."
        )


def _resolve(ivy: str) -> subprocess.CompletedProcess[str]:
    program = (
        "from pyspark.sql import SparkSession;"
        "SparkSession.builder.master('local[1]').config('spark.ui.enabled', 'false')"
        f".config('spark.jars.ivy', {ivy!r}).config('spark.jars.packages', {','.join(DELTA_COORDINATES)!r})"
        f".config('spark.jars.excludes', {','.join(_NOT_NEEDED)!r}).getOrCreate().stop()"
    )
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )


def _last_problem(result: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (result.stdout + result.stderr).splitlines()]
    problems = [line for line in lines if "unresolved" in line or "not found" in line or "Exception" in line]
    return (problems or lines or ["nothing"])[-1]


def main() -> int:
    """Fetch the JARs and say where they are."""
    try:
        require_java()
        fetch_jars()
    except (JavaNotUsableError, JarsNotFoundError) as error:
        print(f"\ncustoms-lake set-up stopped: {error}", file=sys.stderr)
        return 1
    print(f"Delta JARs in {jars_folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
