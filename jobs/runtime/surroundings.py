"""What surrounds every command: a guarded terminal, files that only their owner can read, a scratch folder of its own."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from conf.privacy import Privacy
from conf.secrets import remember_environment
from conf.settings import SettingsError
from jobs.core.printing import guarded, print_defect


@contextlib.contextmanager
def guarded_command() -> Iterator[None]:
    """Guard a command: what it prints is printable, what it writes is its owner's until the settings say more."""
    sys.excepthook = print_defect
    remember_environment()
    before = os.umask(Privacy().umask)
    try:
        with contextlib.redirect_stdout(guarded(sys.stdout)), contextlib.redirect_stderr(guarded(sys.stderr)):
            yield
    finally:
        os.umask(before)


def apply_rights(privacy: Privacy) -> None:
    """Take from every file made from now on the rights that the settings take."""
    os.umask(privacy.umask)


def shut_folder(root: str | Path, privacy: Privacy) -> int:
    """Take from what lies in a lake of this machine the rights that the settings take; return how many files had them.

    A lake of an older product, or one copied without its rights. Only a folder that itself is open is walked through: below
    one that others cannot enter no right is of use to them.
    """
    folder = Path(str(root).removeprefix("file://").removeprefix("file:"))
    taken, n_shut = privacy.umask, 0
    if "://" in str(folder) or not folder.is_dir() or not folder.stat().st_mode & taken:
        return 0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            mode = path.lstat().st_mode
            if mode & taken and not path.is_symlink():
                path.chmod(mode & 0o777 & ~taken)
                n_shut += 1
    return n_shut


def cache_folder() -> Path:
    """What this user's runs keep for the next: ``$CUSTOMS_LAKE_CACHE``, else ``customs-lake`` in the user's cache folder."""
    if given := os.environ.get("CUSTOMS_LAKE_CACHE"):
        return Path(given)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "customs-lake"
    except RuntimeError:
        # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / f"customs-lake-{os.getuid()}"


@cache
def scratch_folder(parent: str) -> Path:
    """A folder for Spark's shuffles and the JVM's temporary files that only the owner can enter; gone with the process.

    Parameters
    ----------
    parent : str
        Where to make it; empty: the machine's temporary folder.

    Raises
    ------
    SettingsError
        If it cannot be made there.
    """
    try:
        if parent:
            Path(parent).expanduser().mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="customs-lake-spark-", dir=Path(parent).expanduser() if parent else None))
    except OSError as error:
        where = f"spark.local_dir {parent}" if parent else "the temporary folder (TMPDIR)"
        raise SettingsError(
            f"{where}: a scratch folder cannot be made there ({error.strerror or error}). Name another with"
            " --set spark.local_dir=FOLDER, or set TMPDIR."
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
