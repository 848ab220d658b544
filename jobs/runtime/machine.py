"""What surrounds a run on a machine: locale, open files, temporary folder, terminal. The same rows, or one sentence.

Java takes the encoding of file names and the rules of upper and lower case from the locale: under POSIX it cannot open a
Chinese path, under Turkish rules an I is no i. So the JVM is started under C.UTF-8 whatever the terminal's locale is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jobs.core.errors import SurroundingsError

#: Files that Spark and Delta hold open at a time: JARs, sockets, shuffle and data files.
OPEN_FILES_NEEDED = 1024
LOCALE_VARIABLES = ("LC_ALL", "LANG", "LC_CTYPE", "LANGUAGE")
JVM_LOCALE = "C.UTF-8"
_REMEDIES = {
    errno.EMFILE: "raise the limit of open files (`ulimit -n 4096`)",
    errno.ENFILE: "the machine's limit of open files is met; end other programs or raise fs.file-max",
    errno.ENOSPC: "free some space, or name another folder",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is mounted read-only; name another folder",
    errno.EACCES: "give the user who runs this the right to it",
    errno.EPERM: "give the user who runs this the right to it",
    errno.ENAMETOOLONG: "a file system takes names of 255 bytes and paths of 4,096; choose shorter ones",
    errno.ENOMEM: "not enough memory; set spark.driver_memory lower or end other programs",
}


@contextlib.contextmanager
def jvm_locale() -> Iterator[None]:
    """Start what is started inside under a locale that knows every file name and English rules of case."""
    before = {name: os.environ.get(name) for name in LOCALE_VARIABLES}
    for name in LOCALE_VARIABLES:
        os.environ.pop(name, None)
    os.environ["LC_ALL"] = JVM_LOCALE
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def require_open_files() -> None:
    """Raise this process's limit of open files as far as it is allowed to.

    Raises
    ------
    SurroundingsError
        If that is fewer than Spark needs.
    """
    try:
        import resource
    except ImportError:
        # a system without such limits
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_NEEDED:
        return
    allowed = OPEN_FILES_NEEDED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_NEEDED)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < OPEN_FILES_NEEDED:
        raise SurroundingsError(
            f"at most {hard:,} files may be open at a time here; Spark and Delta need {OPEN_FILES_NEEDED:,}. Raise the limit"
            " (`ulimit -n 4096`, or nofile in /etc/security/limits.conf) and run again; nothing was changed."
        )


def require_temporary_folder() -> None:
    """Refuse to start without a place for temporary files.

    Raises
    ------
    SurroundingsError
    """
    named = os.environ.get("TMPDIR", "")
    if named and not _is_writable(Path(named)):
        raise SurroundingsError(
            f"TMPDIR={named}: no file can be written there. Name a folder that this user may write to, or unset TMPDIR."
        )
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise SurroundingsError(
            f"no folder for temporary files can be written ({error.strerror}). Set TMPDIR to one that can."
        ) from error


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def print_anything() -> None:
    """Let a terminal that cannot show a character show its number instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text stream that can


def explained_os_error(error: OSError) -> str | None:
    """The sentence for a failure of the operating system whose remedy is known; None for any other."""
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}: {remedy}. Then run again."
