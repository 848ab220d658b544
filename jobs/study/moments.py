"""A lake as it was: now, at a moment, after a run, at a version of the panel; or another lake. Read without Java."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import Row

from jobs.core.damage import MARKER, refuse_damage
from jobs.core.errors import InputRefusedError, LakeError
from jobs.core.ledger import latest_of
from jobs.core.reading import LakeReader, as_pandas
from schemas import ops
from schemas.catalog import TABLES
from schemas.panel import CITY_PANEL
from schemas.table import Table

NOW = ("now", "latest")
_RUN = re.compile(r"^\d{8}T\d{6}-[0-9a-f]{6}$")
FORMS = (
    "expected now, a moment such as 2024-05-01T12:00, a run such as 20240501T120000-ab12cd, a version of gold.city_panel such"
    " as 3, or another lake, FOLDER or FOLDER@MOMENT"
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A lake at a moment.

    Attributes
    ----------
    label : str
        As it was asked for.
    lake : LakeReader
    versions : dict
        Table to its version then; tables that were not there yet are left out.
    limit_ms : int or None
        Milliseconds since 1970, UTC; None for now.
    """

    label: str
    lake: LakeReader
    versions: dict[str, int] = field(default_factory=dict)
    limit_ms: int | None = None

    def frame(self, table: Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A table's rows then; none when it was not there.

        Raises
        ------
        LakeError
            If files of the version are there no more.
        """
        wanted = list(table.columns) if columns is None else list(columns)
        if table.name not in self.versions:
            return pd.DataFrame(columns=wanted)
        try:
            return as_pandas(self.lake.arrow(table, version=self.versions[table.name], columns=wanted))
        except (OSError, FileNotFoundError) as error:
            what = f"{table.name} at version {self.versions[table.name]} ({self.label})"
            raise LakeError(
                f"{what} cannot be read any more: its files were vacuumed ({str(error).splitlines()[0][:120]}). Choose a later"
                " moment; `customs-lake maintain pin` keeps one."
            ) from error

    def rows(self, table: Table) -> list[Row]:
        """A small table's rows then, as the ledger reads them."""
        named = Row(*table.columns)
        return [named(*row) for row in self.frame(table).astype(object).itertuples(index=False, name=None)]

    def files_in_force(self) -> dict[str, dict[str, Any]]:
        """Delivered files in force then: name to hash, years and lines."""
        found: dict[str, dict[str, Any]] = {}
        for row in latest_of(self.rows(ops.FILE_RECEIPT)):
            if row["receipt_status"] != "received":
                continue
            known = found.setdefault(row["source_file"], {"sha256": row["file_sha256"], "years": [], "n_lines": 0})
            known["years"].append(int(row["source_year"]))
            known["n_lines"] += int(row["n_lines"])
        return found


def moment_of(text: str, root: str) -> Moment:
    """Find a moment from its words.

    Parameters
    ----------
    text : str
        ``now``, a moment, a run, a version of the panel, or another lake (``FOLDER`` or ``FOLDER@MOMENT``).
    root : str
        The lake that is meant where none is named.

    Raises
    ------
    InputRefusedError, LakeError
    """
    place, _, when = text.rpartition("@")
    if place and _is_lake(place):
        return _moment(when, place, label=text)
    if _is_lake(text):
        return _moment("now", text, label=text)
    return _moment(text, root, label=text)


def _is_lake(text: str) -> bool:
    return "://" in text or (Path(text) / MARKER).is_file()


def _moment(text: str, root: str, *, label: str) -> Moment:
    refuse_damage(root)
    lake = LakeReader.look(root)
    limit = _limit_of(text, lake)
    if limit is None:
        there = {name: lake.version(table) for name, table in TABLES.items()}
        return Moment(label, lake, {name: version for name, version in there.items() if version >= 0})
    return Moment(label, lake, _versions(lake, limit, label), limit)


def _limit_of(text: str, lake: LakeReader) -> int | None:
    if text in NOW:
        return None
    if _RUN.match(text):
        return _end_of_run(text, lake)
    if text.isdigit() and len(text) < 8:
        commits = {commit.version: commit.timestamp_ms for commit in lake.commits(CITY_PANEL)}
        if int(text) not in commits:
            raise InputRefusedError(
                f"--between {text}: {CITY_PANEL.name} has versions {_span(commits)}; {FORMS}."
            )
        return commits[int(text)]
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise InputRefusedError(f"--between {text}: {FORMS}.") from error
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)


def _end_of_run(run_id: str, lake: LakeReader) -> int:
    """The state after a run: the last commit it made, or its end as recorded."""
    rows = lake.rows(ops.RUN)
    ends = [row["ended_at"] for row in rows if row["run_id"] == run_id and row["ended_at"]]
    if not ends:
        latest = sorted({row["run_id"] for row in rows}, reverse=True)[:5]
        raise InputRefusedError(
            f"--between {run_id}: not in the run manifest of {lake.root}; the latest are {', '.join(latest) or 'none'}."
        )
    return int(max(ends).replace(tzinfo=dt.UTC).timestamp() * 1000)


def _versions(lake: LakeReader, limit: int, label: str) -> dict[str, int]:
    found, too_early = {}, []
    for name, table in TABLES.items():
        commits = lake.commits(table)
        if not commits:
            continue
        before = [commit.version for commit in commits if commit.timestamp_ms <= limit]
        if before:
            found[name] = max(before)
        elif commits[0].version > 0:
            too_early.append(name)
    if too_early or not found:
        what = f"the log of {', '.join(too_early)} no longer reaches back so far" if too_early else "nothing was there yet"
        raise LakeError(f"--between {label}: {what} in {lake.root}. Choose a later moment.")
    return found


def _span(versions: Iterable[int]) -> str:
    known = sorted(versions)
    return f"{known[0]} to {known[-1]}" if known else "none"
