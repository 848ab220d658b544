"""Build the zip that executors and drivers on a cluster need (``--py-files``): the four packages, nothing else.

A zip and never the wheel: a wheel works in local mode and fails on executors. The bytes depend on the content only
(fixed times, sorted names), so that the same code is the same file.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

PACKAGES = ("jobs", "estimation", "schemas", "conf")
DATA_SUFFIXES = (".py", ".toml", ".csv", ".conf", ".html", ".j2", ".properties")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_zip(target: Path, root: Path | None = None) -> Path:
    """Write the zip and return its path.

    Parameters
    ----------
    target : Path
        File to write; its folder is made.
    root : Path, optional
        Where the packages are; default: beside this one.
    """
    root = root or Path(__file__).resolve().parents[2]
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _packaged(root):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    partial.replace(target)
    return target


@cache
def code_hash() -> str:
    """What tells two copies of the code apart, be they folders or zips: sixteen digits over names and contents."""
    root = Path(__file__).resolve().parents[2]
    if root.is_file():
        with zipfile.ZipFile(root) as archive:
            sums = {item.filename: item.CRC for item in archive.infolist()}
    else:
        sums = {path.relative_to(root).as_posix(): zlib.crc32(path.read_bytes()) for path in _packaged(root)}
    return hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()[:16]


def _packaged(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and path.suffix in DATA_SUFFIXES and "__pycache__" not in path.parts:
                yield path


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point: write the zip to the path given, or to ``build/customs-lake.zip``."""
    given = list(sys.argv[1:] if argv is None else argv)
    built = build_zip(Path(given[0] if given else "build/customs-lake.zip"))
    print(f"{built} ({built.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
