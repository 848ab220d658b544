"""What ``estimate`` recorded beside the tables, written to and read from ``gold.evidence``: frames as rows of cells.

The report reads everything from here and from ``gold.estimate``, so that nothing is estimated to show it. Evidence that
belongs to another version of the panel than the tables is left out: a report never mixes two panels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from estimation.tables import PrintedTable
from estimation.tables.printed import PaperColumn
from estimation.tables.records import from_records
from estimation.tables.spec import ResultTable
from jobs.core.direct import rows_to_arrow
from jobs.core.errors import InputRefusedError
from jobs.core.lake import Lake
from schemas.results import ESTIMATE, EVIDENCE


def cells_of(frames: Mapping[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    """Yield a row a cell: evidence, row_number, evidence_column, number, text; missing cells below the first are left out."""
    for name, frame in frames.items():
        for row_number, row in enumerate(frame.to_dict("records")):
            for column, value in row.items():
                head = {"evidence": name, "row_number": row_number, "evidence_column": str(column)}
                if isinstance(value, (bool, np.bool_)):
                    yield head | {"number": None, "text": str(bool(value))}
                elif value is None or (isinstance(value, float) and np.isnan(value)):
                    # the first row names every column, also those it has no value in
                    if row_number == 0:
                        yield head | {"number": None, "text": None}
                elif isinstance(value, (int, float, np.number)):
                    yield head | {"number": float(value), "text": None}
                else:
                    yield head | {"number": None, "text": str(value)}


def frames_of(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the frames of such rows; whole numbers come back as whole numbers, truth values as truth values."""
    frames = {}
    for name, rows in cells.groupby("evidence"):
        order = list(dict.fromkeys(rows.sort_values("row_number", kind="stable")["evidence_column"]))
        by_column = {}
        for column, values in rows.groupby("evidence_column"):
            by_column[column] = _column(values.set_index("row_number"))
        frames[str(name)] = pd.DataFrame(by_column)[order].sort_index().reset_index(drop=True)
    return frames


def _column(values: pd.DataFrame) -> pd.Series:
    if values["text"].isna().all():
        numbers = values["number"]
        finite = np.isfinite(numbers).all()
        return numbers.astype("Int64") if finite and (numbers == numbers.round()).all() else numbers
    texts = values["text"].where(values["text"].notna(), values["number"])
    return texts.map({"True": True, "False": False}) if texts.isin(["True", "False"]).all() else texts


def known_evidence(lake: Lake, profile: str) -> dict[str, str]:
    """Frame to the fingerprint it was recorded under, of one profile."""
    rows = lake.arrow(EVIDENCE, columns=("study_profile", "evidence", "fingerprint")).to_pylist()
    return {row["evidence"]: row["fingerprint"] for row in rows if row["study_profile"] == profile}


def record_evidence(lake: Lake, profile: str, cells: Sequence[Mapping[str, Any]], *, keep: str | None) -> None:
    """Replace the evidence of a profile; frames recorded under the fingerprint ``keep`` stay unless they are replaced.

    Parameters
    ----------
    cells : sequence of mapping
        Rows of the table but for ``study_profile``.
    """
    fresh = {cell["evidence"] for cell in cells}
    former = lake.arrow(EVIDENCE).to_pylist()
    kept = [
        row for row in former
        if row["study_profile"] != profile or (row["fingerprint"] == keep and row["evidence"] not in fresh)
    ]
    added = [{**cell, "study_profile": profile} for cell in cells]
    lake.overwrite(EVIDENCE, rows_to_arrow(EVIDENCE, (*kept, *added)))


def recorded_estimates(lake: Lake, *, panel_version: int | None = None) -> pd.DataFrame:
    """Return the rows of gold.estimate, the latest, or the latest that were estimated on one version of the panel.

    Raises
    ------
    InputRefusedError
        If nothing was estimated yet, or not on that version.
    """
    latest = lake.version(ESTIMATE)
    versions = range(latest, -1, -1) if panel_version is not None else range(latest, latest - 1, -1)
    for version in versions:
        if version < 0:
            break
        rows = lake.arrow(ESTIMATE, version=version).to_pandas()
        if panel_version is not None:
            rows = rows[rows["panel_version"] == panel_version]
        if len(rows):
            return rows.rename(columns={"term": "variable", "result_statistic": "statistic"})
    where = "" if panel_version is None else f" on version {panel_version} of gold.city_panel"
    raise InputRefusedError(
        f"{ESTIMATE.name}: nothing was estimated{where} in {lake.root}. Run `customs-lake estimate` first."
    )


def recorded_evidence(lake: Lake, profile: str, *, panel_version: int) -> dict[str, pd.DataFrame]:
    """Return the frames recorded for one profile on one version of the panel, by name; empty when there are none."""
    if not lake.exists(EVIDENCE):
        return {}
    for version in range(lake.version(EVIDENCE), -1, -1):
        rows = lake.arrow(EVIDENCE, version=version).to_pandas()
        rows = rows[(rows["study_profile"] == profile) & (rows["panel_version"] == panel_version)]
        if len(rows):
            return frames_of(rows)
    return {}


def recorded_tables(
    tables: Sequence[ResultTable], estimates: pd.DataFrame, *, paper: Mapping[tuple[int, int], PaperColumn],
    notes: Mapping[str, Mapping[int, Sequence[str]]], generated: bool,
) -> list[PrintedTable]:
    """Return tables in print from recorded numbers; a table that is not recorded says so in its columns."""
    return [
        from_records(
            table,
            estimates[(estimates["result_table"] == table.name) & (estimates["study_profile"] == table.profile)],
            paper=paper, notes=notes.get(table.name, {}), generated=generated,
        )
        for table in tables
    ]
