"""Find the Java that Spark will start, and say in one sentence what is wrong with it.

Standard library only: the set-up runs this file before anything is installed. Spark 4.2 runs on Java 17 and 21
(Apache Spark 4.2 documentation, "Overview", Downloading).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED_JAVA = (17, 21)
REMEDY = (
    "Install Java 17 or 21 (Debian/Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17)"
    " or point JAVA_HOME at one."
)


class JavaNotUsableError(RuntimeError):
    """Raised when there is no Java, or one that Spark does not take; usually JAVA_HOME or the PATH is wrong."""


def find_java() -> str:
    """Return the java executable Spark's launcher will use: ``$JAVA_HOME/bin/java``, else the first on the PATH."""
    home = os.environ.get("JAVA_HOME")
    if home:
        candidate = Path(home) / "bin" / "java"
        if not candidate.is_file():
            raise JavaNotUsableError(
                f"JAVA_HOME is {home!r}, but there is no bin/java in it. Unset JAVA_HOME or correct it. {REMEDY}"
            )
        return str(candidate)
    found = shutil.which("java")
    if found is None:
        raise JavaNotUsableError(f"No Java found: 'java' is not on the PATH and JAVA_HOME is not set. {REMEDY}")
    return found


def java_major(executable: str) -> int:
    """Return the major version that ``java -version`` prints (17 for 17.0.15, 8 for 1.8.0).

    Raises
    ------
    JavaNotUsableError
        If the program does not run or prints no version.
    """
    try:
        out = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        raise JavaNotUsableError(f"{executable} could not be started ({error}). {REMEDY}") from error
    match = re.search(r'version "(\d+)(?:\.(\d+))?', out.stderr + out.stdout)
    if match is None:
        raise JavaNotUsableError(f"{executable} -version printed no version. {REMEDY}")
    first, second = int(match.group(1)), int(match.group(2) or 0)
    return second if first == 1 else first


def require_java() -> tuple[str, int]:
    """Return (executable, major version) of a Java that Spark takes.

    Raises
    ------
    JavaNotUsableError
        If there is none.
    """
    executable = find_java()
    major = java_major(executable)
    if major not in SUPPORTED_JAVA:
        raise JavaNotUsableError(f"Java {major} found at {executable}; Spark 4.2 runs on Java 17 or 21. {REMEDY}")
    return executable, major


if __name__ == "__main__":
    try:
        require_java()
    except JavaNotUsableError as error:
        sys.exit(f"\ncustoms-lake set-up stopped: {error}")
