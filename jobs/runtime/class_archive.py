"""Spark's classes as the JVM has them in memory, kept on disk after the first session: later ones start in half the time.

The first session of a Java, a Spark and a Delta records at its end which classes it loaded (class data sharing, with
``-XX:ArchiveClassesAtExit``, Java 13 and later); that takes some seconds, which nobody waits for. The others map the
archive. The JVM itself refuses one that is not of its classes and goes on without. The archive holds program text: it is
taken only from a file that is this user's alone to write.

References
----------
JEP 350, "Dynamic CDS Archives", https://openjdk.org/jeps/350
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

#: First bytes of a whole archive of this kind; they are written last.
MAGIC = (0xF00BABA8).to_bytes(4, "little"), (0xF00BABA8).to_bytes(4, "big")
# JVM options are one line that is split at spaces and quotes
_PLAIN = re.compile(r"[A-Za-z0-9_./+=@-]+")
#: Writing takes no longer, on a busy machine either.
WRITING_SECONDS = 600.0
# what the JVM says of an archive it cannot use or cannot write concerns nobody: it goes on without
_SILENT = "-Xshare:auto -Xlog:disable -Xlog:all=error:stderr"


def archive_options(java: str, jars: Iterable[str], folder: Path) -> str:
    """JVM options that use the archive, or record it when there is none yet; empty where it cannot be kept.

    Parameters
    ----------
    java : str
        The program.
    jars : iterable of str
        On the class path beside Spark's own.
    folder : Path
        Where archives are kept; made when it is not there.
    """
    archive = folder / f"{_key(java, jars)}.jsa"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_ours(folder) or not _PLAIN.fullmatch(str(archive)):
            return ""
        if not archive.exists() or _is_given_up(archive):
            return f"{_SILENT} -XX:ArchiveClassesAtExit={archive}"
        return f"{_SILENT} -XX:SharedArchiveFile={archive}" if _is_ours(archive) and _is_whole(archive) else ""
    except OSError:
        return ""


def _key(java: str, jars: Iterable[str]) -> str:
    """Of everything an archive depends on: another Java, Spark or Delta gets another one."""
    import pyspark

    program = Path(java).resolve()
    spark_jars = Path(pyspark.__file__).parent / "jars"
    parts = [str(program), program.stat().st_mtime_ns, pyspark.__version__, str(spark_jars), spark_jars.stat().st_mtime_ns]
    return hashlib.sha256(repr([*parts, *jars]).encode()).hexdigest()[:16]


def _is_ours(path: Path) -> bool:
    """Tell whether only this user can write it."""
    found = path.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _is_whole(archive: Path) -> bool:
    """Tell whether an archive was written to its end; one that another session is just writing is left alone."""
    with open(archive, "rb") as stream:
        return stream.read(4) in MAGIC


def _is_given_up(archive: Path) -> bool:
    """Tell whether the session that wrote it ended before it was whole."""
    return not _is_whole(archive) and time.time() - archive.stat().st_mtime > WRITING_SECONDS
