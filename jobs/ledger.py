"""What the jobs remember between runs: files in force, builds complete, runs ended."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata, resources

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from conf.settings import Settings
from jobs.lake import Lake, Written
from schemas import ops
from schemas.table import Table

# part of every fingerprint: raise it when a transform changes its results
BUILD_REVISION = 1


def utc_now() -> dt.datetime:
    """Current UTC time without zone, as Spark stores it under the session's UTC."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def new_run_id() -> str:
    """Return a sortable run identifier."""
    return f"{utc_now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


def code_version() -> str:
    """Version of the installed product and its build revision."""
    try:
        version = metadata.version("customs-lake")
    except metadata.PackageNotFoundError:
        version = "unpackaged"
    return f"{version}+build{BUILD_REVISION}"


def package_hash(*names: str) -> str:
    """Hash of packaged text files (``conf/rules/declaration.toml``), for fingerprints."""
    digest = hashlib.sha256()
    for name in names:
        package, _, rest = name.partition("/")
        digest.update((resources.files(package) / rest).read_bytes())
    return digest.hexdigest()


def fingerprint(**parts: object) -> str:
    """Hash of everything a build depends on."""
    content = json.dumps(parts | {"build_revision": BUILD_REVISION}, sort_keys=True, default=list)
    return hashlib.sha256(content.encode()).hexdigest()


def files_in_force(lake: Lake) -> DataFrame:
    """Receipts in force: the latest row of each source file, unless it is withdrawn."""
    latest = Window.partitionBy("source_file").orderBy(F.col("received_at").desc())
    return (
        lake.read(ops.FILE_RECEIPT)
        .withColumn("rank", F.row_number().over(latest))
        .where((F.col("rank") == 1) & (F.col("receipt_status") == "received"))
        .drop("rank")
    )


@dataclass(frozen=True, slots=True)
class Builds:
    """Latest complete build of each year of one table.

    Attributes
    ----------
    fingerprints, versions : dict
        Year to fingerprint and to table version.
    """

    fingerprints: dict[int, str] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)

    def stale(self, wanted: Mapping[int, str]) -> list[int]:
        """Years whose wanted fingerprint is not the one built, and years built that are wanted no more."""
        changed = [year for year, value in wanted.items() if self.fingerprints.get(year) != value]
        return sorted(changed)


def builds_of(lake: Lake, table: Table) -> Builds:
    """Return the latest complete build of each year of a table."""
    rows = lake.read(ops.BUILD).where(F.col("table_name") == table.name).orderBy("built_at").collect()
    return Builds({row["year"]: row["fingerprint"] for row in rows}, {row["year"]: row["table_version"] for row in rows})


def record_builds(
    lake: Lake, run_id: str, table: Table, written: Written, fingerprints: Mapping[int, str], rows: Mapping[int, int]
) -> None:
    """Mark years of a table complete; the last thing a build does."""
    now = utc_now()
    lake.append_rows(
        ops.BUILD,
        [
            {
                "table_name": table.name, "year": year, "fingerprint": value, "table_version": written.version,
                "n_rows": rows.get(year, 0), "built_at": now, "run_id": run_id,
            }
            for year, value in sorted(fingerprints.items())
        ],
    )


def record_run(
    lake: Lake, settings: Settings, *, run_id: str, job: str, arguments: Mapping[str, object],
    started_at: dt.datetime, status: str, message: str,
) -> None:
    """Append one row to ops.run."""
    lake.append_rows(
        ops.RUN,
        [
            {
                "run_id": run_id, "job": job, "arguments": json.dumps(arguments, sort_keys=True, default=str),
                "code_version": code_version(), "config_sha256": settings.sha256(), "started_at": started_at,
                "ended_at": utc_now(), "run_status": status, "message": message,
            }
        ],
    )


def years_text(years: Iterable[int]) -> str:
    """Write years as ranges: ``2003-2005, 2007``."""
    runs: list[list[int]] = []
    for year in sorted(set(years)):
        if runs and year == runs[-1][1] + 1:
            runs[-1][1] = year
        else:
            runs.append([year, year])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
