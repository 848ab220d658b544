"""What the jobs remember between runs: files in force, builds complete, runs ended."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import pyspark
from pyspark.sql import Row

from conf.settings import Settings
from jobs.core.commits import PRODUCT, Commit, Written
from jobs.core.delta_log import LoggedCommit
from jobs.core.errors import LakeError
from jobs.core.lake import Lake
from jobs.core.version import BUILD_REVISION, code_version
from jobs.core.waiting import needs_no_session
from schemas import ops
from schemas.table import Table


def utc_now() -> dt.datetime:
    """Current UTC time without zone, as Spark stores it under the session's UTC."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def new_run_id() -> str:
    """Return a sortable run identifier."""
    return f"{utc_now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


def package_hash(*names: str) -> str:
    """Hash of packaged text files (``conf/rules/declaration.toml``), for fingerprints."""
    digest = hashlib.sha256()
    for name in names:
        package, _, rest = name.partition("/")
        digest.update((resources.files(package) / rest).read_bytes())
    return digest.hexdigest()


class Fingerprint(str):
    """Hash of everything a build depends on, with the hash of each part so that a difference can be named."""

    parts: dict[str, str]


def fingerprint(**parts: object) -> Fingerprint:
    """Hash of everything a build depends on."""
    complete = parts | {"build_revision": BUILD_REVISION}
    content = json.dumps(complete, sort_keys=True, default=list)
    value = Fingerprint(hashlib.sha256(content.encode()).hexdigest())
    value.parts = {name: _short_hash(part) for name, part in complete.items()}
    return value


def _short_hash(part: object) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, default=list).encode()).hexdigest()[:16]


def latest_receipts(lake: Lake) -> list[Row]:
    """The latest receipts of each source file, received or withdrawn, by name: one for each year of its records."""
    return latest_of(lake.rows(ops.FILE_RECEIPT))


def latest_of(receipts: Iterable[Row]) -> list[Row]:
    """The latest of some receipts of each source file, as :func:`latest_receipts`."""
    latest: dict[str, list[Row]] = {}
    for row in sorted(receipts, key=lambda row: row["received_at"]):
        former = latest.get(row["source_file"], [])
        same_look = former and former[0]["received_at"] == row["received_at"]
        latest[row["source_file"]] = [*former, row] if same_look else [row]
    return [row for _, rows in sorted(latest.items()) for row in sorted(rows, key=lambda row: row["source_year"])]


def files_in_force(lake: Lake) -> list[Row]:
    """Receipts in force: the latest of each source file, one for each year of its records, unless it is withdrawn."""
    return [row for row in latest_receipts(lake) if row["receipt_status"] == "received"]


def left_out_files(lake: Lake) -> list[Row]:
    """Files of the latest delivery that were not taken, by name."""
    rows = lake.rows(ops.LEFT_OUT)
    latest = max((row["looked_at"] for row in rows), default=None)
    named = [row for row in rows if row["looked_at"] == latest and row["left_out_kind"] != "nothing"]
    return sorted(named, key=lambda row: row["source_file"])


def blocked_years(lake: Lake) -> dict[int, list[str]]:
    """Years of which a file is missing because it could not be taken, with the names of such files."""
    blocked: dict[int, list[str]] = {}
    for row in left_out_files(lake):
        for year in () if row["is_accepted"] else row["blocked_years"] or ():
            blocked.setdefault(year, []).append(row["source_file"])
    return dict(sorted(blocked.items()))


@dataclass(frozen=True, slots=True)
class Builds:
    """Latest complete build of each year of one table.

    Attributes
    ----------
    fingerprints, versions, n_rows : dict
        Year to fingerprint, to table version and to rows.
    inputs : dict
        Year to the parts of its fingerprint; empty for builds of lake format 1.
    """

    fingerprints: dict[int, str] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    n_rows: dict[int, int] = field(default_factory=dict)
    inputs: dict[int, dict[str, str]] = field(default_factory=dict)

    @property
    def oldest_version(self) -> int:
        """Version since which every year was built again: a foreign change before it is gone, one after it may stand."""
        return min(self.versions.values(), default=-1)

    def stale(self, wanted: Mapping[int, str]) -> list[int]:
        """Years whose wanted fingerprint is not the one built; a year without files is wanted as the fingerprint of none."""
        return sorted(year for year, value in wanted.items() if self.fingerprints.get(year) != value)


def builds_of(lake: Lake, table: Table) -> Builds:
    """Return the latest complete build of each year of a table.

    Raises
    ------
    LakeError
        If someone else changed the table's rows since, or the table is older than the manifest says: what is recorded
        of its rows holds no more.
    """
    builds = recorded_builds(lake, table)
    if not lake.replaces_foreign:
        _refuse_older_table(lake, table, recorded=max(builds.versions.values(), default=-1))
        refuse_foreign_changes(lake, table, after=builds.oldest_version)
    return builds


def recorded_builds(lake: Lake, table: Table) -> Builds:
    """Return what the manifest says of each year of a table, without a look at the table."""
    # oldest first: the latest row of a year wins
    rows = sorted((row for row in lake.rows(ops.BUILD) if row["table_name"] == table.name), key=lambda row: row["built_at"])
    return Builds(
        {row["year"]: row["fingerprint"] for row in rows},
        {row["year"]: row["table_version"] for row in rows},
        {row["year"]: row["n_rows"] for row in rows},
        {row["year"]: row["inputs"] or {} for row in rows},
    )


def _refuse_older_table(lake: Lake, table: Table, *, recorded: int) -> None:
    version = lake.version(table)
    if version < recorded:
        found = f"is at version {version}" if version >= 0 else "is not there"
        raise LakeError(
            f"{table.name} in {lake.root}: the manifest (ops.build) knows version {recorded}, the table {found}. Files were"
            " removed or copied back from outside. Put them back, or build the table again: `customs-lake run --rebuild`."
        )


def foreign_changes(lake: Lake, table: Table, *, after: int) -> list[Commit]:
    """Commits after a version that changed rows, are not ours, and were not taken back by a restore of ours."""
    foreign: list[Commit] = []
    for commit in lake.commits(table, after=after):
        if commit.is_ours and "restore_to" in commit.metadata:
            foreign = [item for item in foreign if item.version <= commit.metadata["restore_to"]]
        elif commit.changes_rows and not commit.is_ours:
            foreign.append(commit)
    return foreign


def refuse_foreign_changes(lake: Lake, table: Table, *, after: int) -> None:
    """Refuse a table whose rows were changed after a version by a commit that is not ours.

    Raises
    ------
    LakeError
        With the commit, and the two ways to repair it.
    """
    foreign = foreign_changes(lake, table, after=after)
    if foreign:
        first = foreign[0]
        raise LakeError(
            f"{table.name} in {lake.root} was changed by someone else: version {first.version} is a {first.operation} that"
            f" this product did not make ({len(foreign)} such commits since version {after}). Take it back with"
            f" `customs-lake restore --lake {lake.root} --table {table.name} --version {first.version - 1}`, or accept"
            f" nothing of it and rebuild: `customs-lake run --rebuild`. `customs-lake fsck` lists all of them."
        )


def build_rows(
    run_id: str, table: Table, written: Written, fingerprints: Mapping[int, str], rows: Mapping[int, int]
) -> list[dict[str, object]]:
    """Rows of ops.build that mark years of a table complete."""
    now = utc_now()
    return [
        {
            "table_name": table.name, "year": year, "fingerprint": str(value), "table_version": written.version,
            "n_rows": rows.get(year, 0), "built_at": now, "run_id": run_id, "inputs": getattr(value, "parts", None),
        }
        for year, value in sorted(fingerprints.items())
    ]


def build_metadata(run_id: str, fingerprints: Mapping[int, str]) -> dict[str, object]:
    """What a commit says of itself: its run, its years, and all that the manifest is told of them afterwards.

    The manifest can be written anew from these when it is lost (:func:`rows_of_commits`).
    """
    builds = {
        str(year): {"fingerprint": str(value), "inputs": getattr(value, "parts", None)}
        for year, value in sorted(fingerprints.items())
    }
    return {"run": run_id, "years": sorted(fingerprints), "builds": builds}


def rows_of_commits(table_name: str, commits: Iterable[LoggedCommit], partition: str) -> list[dict[str, Any]]:
    """Rows of ops.build as the commits of a table tell them: the latest build of each year that still stands.

    Parameters
    ----------
    table_name : str
    commits : iterable of LoggedCommit
        Ascending; those behind a checkpoint may be missing, and with them the builds of their years.
    partition : str
        Column of the year.
    """
    built: dict[int, dict[int, dict[str, Any]]] = {}
    now: dict[int, dict[str, Any]] = {}
    for commit in commits:
        stated = commit.metadata if commit.metadata.get("product") == PRODUCT else {}
        if "restore_to" in stated:
            now = dict(built.get(int(stated["restore_to"]), {}))
        rows: dict[int, int] = {}
        for item in commit.added:
            value = item.partition.get(partition)
            if value is not None:
                rows[int(value)] = rows.get(int(value), 0) + max(item.n_rows, 0)
        for year, build in (stated.get("builds") or {}).items():
            moment = dt.datetime.fromtimestamp(commit.info.get("timestamp", 0) / 1000, dt.UTC).replace(tzinfo=None)
            now[int(year)] = {
                "table_name": table_name, "year": int(year), "fingerprint": build["fingerprint"],
                "table_version": commit.version, "n_rows": rows.get(int(year), 0), "built_at": moment,
                "run_id": str(stated.get("run", "")), "inputs": build["inputs"],
            }
        built[commit.version] = dict(now)
    return [row for _, row in sorted(now.items())]


def record_builds(
    lake: Lake, run_id: str, table: Table, written: Written, fingerprints: Mapping[int, str], rows: Mapping[int, int]
) -> None:
    """Mark years of a table complete; the last thing a build does."""
    lake.append_rows(ops.BUILD, build_rows(run_id, table, written, fingerprints, rows))


def forget_builds(lake: Lake, run_id: str, table: Table, years: Iterable[int]) -> None:
    """Make the next run build the years again, whatever was recorded of them and whoever changed the table since."""
    present = Written(lake.version(table), 0)
    forgotten = {year: fingerprint(forgotten=run_id) for year in years}
    record_builds(lake, run_id, table, present, forgotten, {})


def record_run(
    lake: Lake, settings: Settings, *, run_id: str, job: str, arguments: Mapping[str, object],
    started_at: dt.datetime, status: str, message: str, read: Mapping[str, int] | None = None,
    wrote: Mapping[str, Written] | None = None, seconds: float | None = None,
) -> None:
    """Append one row to ops.run, the run manifest."""
    wrote = wrote or {}
    lake.append_rows(
        ops.RUN,
        [
            {
                "run_id": run_id, "job": job, "arguments": json.dumps(arguments, sort_keys=True, default=str),
                "code_version": code_version(), "config_sha256": settings.sha256(), "started_at": started_at,
                "ended_at": utc_now(), "run_status": status, "message": message, "versions_read": dict(read or {}),
                "versions_written": {name: item.version for name, item in wrote.items()},
                "rows_written": {name: item.n_rows for name, item in wrote.items()}, "run_seconds": seconds,
                **_application(lake),
            }
        ],
    )


def _application(lake: Lake) -> dict[str, str]:
    """Spark's version and its name for the application; no name where no session was needed."""
    if needs_no_session(lake.spark):
        return {"spark_version": pyspark.__version__, "application_id": ""}
    return {"spark_version": lake.spark.version, "application_id": lake.spark.conf.get("spark.app.id", "") or ""}


def years_text(years: Iterable[int]) -> str:
    """Write years as ranges: ``2003-2005, 2007``."""
    runs: list[list[int]] = []
    for year in sorted(set(years)):
        if runs and year == runs[-1][1] + 1:
            runs[-1][1] = year
        else:
            runs.append([year, year])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
