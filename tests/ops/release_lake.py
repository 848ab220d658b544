"""Pack a small lake written by a release, with the files it was made from: the fixture that every later version must migrate.

Run at a release, once, by the release's own code (CONTRIBUTING, Releases):

    python tests/ops/release_lake.py TREE tests/ops/data/release_VERSION.tar.xz

``TREE`` is a checkout of the release, whose environment runs this script; the longest reference tables are shortened in it, so
use a copy. ``content.json`` in the archive says how many rows each table has, and their hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable

WORLD = ("--preset", "small", "--years", "2006-2007", "--cities", "4", "--records", "1000", "--seed", "11")
YEARS = ("--years", "2006-2007", "--profile", "test")
#: Jobs read the shipped files, not the reference tables: these are written last, from files of at most so many rows.
JOBS = ("land", "ingest", "clean", "count", "yearbook", "productivity", "panel", "estimate", "references")
MAX_REFERENCE_ROWS = 200
#: Largest archive that is committed.
MAX_BYTES = 300_000


def content_of(table: pa.Table, names: list[str] | None = None) -> dict:
    """Return columns (all, or the named), rows, and a hash of the values that the order of rows and files does not change."""
    names = sorted(table.column_names) if names is None else names
    columns = [table.column(name).to_pylist() for name in names]
    rows = sorted(repr(row) for row in zip(*columns, strict=True))
    return {"columns": names, "rows": table.num_rows, "sha256": hashlib.sha256("\n".join(rows).encode()).hexdigest()}


def tables_of(lake: Path) -> dict[str, pa.Table]:
    """Return every table of a lake on this machine by name, read without Spark."""
    logs = sorted(lake.glob("*/*/_delta_log"))
    return {
        ".".join(log.parent.relative_to(lake).parts): DeltaTable(str(log.parent)).to_pyarrow_table() for log in logs
    }


def _run(tree: Path, *command: str) -> None:
    # a column that four cities cannot estimate ends the pipeline with 4 after everything is written
    # Delta's JARs are those of this checkout: the release's own has none
    jars = os.environ.get("CUSTOMS_LAKE_JARS", str(Path(__file__).resolve().parents[2] / ".cache" / "jars"))
    given = os.environ | {"PYTHONPATH": str(tree), "CUSTOMS_LAKE_JARS": jars}
    ended = subprocess.run([sys.executable, *command], cwd=tree, env=given, check=False)
    if ended.returncode not in (0, 4):
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}")


def main(tree: Path, out: Path) -> None:
    """Make the world, run the release on it, pack both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run(tree, "-m", "jobs.generate", "--out", str(folder / "world"), *WORLD)
        for job in JOBS:
            if job == "references":
                _shorten(tree / "schemas" / "reference")
            _run(tree, f"jobs/{job}.py", "--raw", str(folder / "world" / "raw"), "--lake", str(folder / "lake"), *YEARS)
        shutil.rmtree(folder / "lake" / "_locks", ignore_errors=True)
        content = {name: content_of(table) for name, table in tables_of(folder / "lake").items()}
        (folder / "content.json").write_text(json.dumps(content) + "\n")
        with tarfile.open(out, "w:xz", preset=9) as archive:
            for path in (folder / "lake", folder / "world" / "raw" / "customs", folder / "content.json"):
                inside = "raw/customs" if path.name == "customs" else path.name
                archive.add(path, inside, filter=_anonymous)
    if out.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{out} has {out.stat().st_size:,} bytes, more than {MAX_BYTES:,}")


def _shorten(reference: Path) -> None:
    for path in reference.glob("*.csv"):
        lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[: MAX_REFERENCE_ROWS + 1]), "utf-8")


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return None if entry.name.endswith(".crc") else entry


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
