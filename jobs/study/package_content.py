"""What a replication package holds, collected from a lake without Java: data, columns, numbers, and where they come from.

In: ``gold.estimate`` and the version of the panel it was estimated on (that of a pin of the study's name, if there is one).
Out: a :class:`StudyPackage`. The decision worth knowing: cells of too few firms are taken out of the panel before anything
leaves the lake, and the columns are then estimated on what is left, so that the numbers in the package are those of its data;
the lake's own stand beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from estimation.replication import StudyData, study_data
from estimation.tables import PrintedTable, ResultTable, StudyPanel, estimate_tables, print_table
from jobs.core.errors import InputRefusedError
from jobs.core.lake import Lake
from jobs.core.ledger import years_text
from jobs.runtime.context import JobContext
from jobs.study.handoff import (
    HandOff,
    city_classes,
    collect_panel,
    measured_panel,
    named_measures,
    origin_of,
    paper_numbers,
    result_tables,
)
from jobs.study.recorded import recorded_estimates, recorded_tables
from jobs.study.result_tables import own_panel
from schemas import ops
from schemas.gold import CITY_EXPORTS
from schemas.panel import OUTCOMES, scaled_name

LONGEST_NAME = 60
#: Names that Windows keeps for devices.
_DEVICES = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)$", re.IGNORECASE)
GENERATED_BANNER = (
    "GENERATED DATA: made by customs-lake, not China's customs records; the numbers say nothing about the world."
)

MIXED_BANNER = (
    "PARTLY GENERATED DATA: generated and delivered records lie in one lake; the numbers say nothing about the world."
)


@dataclass(frozen=True, slots=True)
class StudyPackage:
    """What is handed over.

    Attributes
    ----------
    name : str
    data : StudyData
    printed : list of PrintedTable
        With the numbers of the package's data.
    recorded : DataFrame
        Rows of gold.estimate of the same tables: the lake's numbers.
    handed : HandOff
        The panel as collected.
    origin : str
        generated, delivered, mixed or unknown.
    n_suppressed : int
        City-years whose exports were left out.
    fewest_firms : int
    without : tuple of str
        What is missing although it belongs to the study, a sentence each.
    table_files : Path or None
        Folder of the user's own tables.
    """

    name: str
    data: StudyData
    printed: list[PrintedTable]
    recorded: pd.DataFrame
    handed: HandOff
    origin: str
    n_suppressed: int
    fewest_firms: int
    without: tuple[str, ...] = ()
    table_files: Path | None = None

    @property
    def banner(self) -> str:
        """What must stand on top of everything made of generated data; empty for delivered records."""
        return {"generated": GENERATED_BANNER, "mixed": MIXED_BANNER}.get(self.origin, "")

    @property
    def frame(self) -> pd.DataFrame:
        """The data."""
        return self.data.frame


def collect_package(
    context: JobContext, name: str, *, tables: str = "all", profiles: Sequence[str], at: int | None = None,
    table_files: Path | None = None, accept_incomplete: bool = False,
) -> StudyPackage:
    """Collect a study from the lake.

    Parameters
    ----------
    name : str
        Of the study and its files; versions pinned under it (``customs-lake maintain pin --name``) are used.
    tables : str
        ``all`` or names or numbers, ``1,4``.
    profiles : sequence of str
        Profiles of the estimation options.
    at : int, optional
        Version of the panel.
    table_files : Path, optional
        Folder with the user's own tables.
    accept_incomplete : bool
        Hand over a study of which years or columns are missing.

    Raises
    ------
    InputRefusedError
        For a name that is no name of a file, a study that is not estimated or not whole, or another configuration.
    """
    require_name(name)
    version = at if at is not None else pinned_version(context.lake, name)
    estimates = recorded_estimates(context.lake, panel_version=version)
    # tables of another version of the panel are not of this study
    estimates = estimates[estimates["panel_version"] == estimates["panel_version"].max()]
    handed = collect_panel(context, at=int(estimates["panel_version"].iloc[0]))
    chosen = [table for profile in profiles for table in result_tables(tables, profile, table_files)]
    wanted = {(table.profile, table.name) for table in chosen}
    rows = list(zip(estimates["study_profile"], estimates["result_table"], strict=True))
    recorded = estimates[[key in wanted for key in rows]]
    _require_configuration(context, recorded)
    printed = recorded_tables(chosen, estimates, paper=paper_numbers(), notes={}, generated=False)
    without = [*_missing_years(context, handed), *_failed_columns(printed)]
    if without and not accept_incomplete:
        raise InputRefusedError("\n".join([
            f"{name}: the study is not whole:", *(f"  {sentence}" for sentence in without),
            "Mend it, or hand over what there is with --accept-incomplete; the README then says what is missing.",
        ]))
    origin = origin_of(context)
    # no firm stands behind a generated record
    fewest = 0 if origin == "generated" else context.settings.privacy.fewest_firms
    behind = firms_behind(context.lake, handed)
    if fewest > 1 and behind is None:
        raise InputRefusedError(
            f"{name}: {CITY_EXPORTS.name} of the panel is not there any more, and with it how many firms stand behind each"
            " city-year. Build the panel and estimate again; --set privacy.fewest_firms=0 hands every cell over."
        )
    panel, n_suppressed = suppressed_panel(handed.panel, behind, fewest)
    panels = [own_panel(_with_measures(context, handed, panel, table), table.extra)[0] for table in chosen]
    printed = _on_the_package(context, chosen, panels, origin, printed, estimate=n_suppressed > 0)
    data = study_data(list(zip(printed, panels, strict=True)), panel, city_classes(context.settings.places))
    return StudyPackage(
        name, data, printed, recorded, handed, origin, n_suppressed, fewest, tuple(without), table_files
    )


def _with_measures(context: JobContext, handed: HandOff, panel: StudyPanel, table: ResultTable) -> StudyPanel:
    """The package's panel with the indicators that a table names, empty where the panel's own exports are suppressed."""
    names = named_measures(table)
    if not names:
        return panel
    full = measured_panel(context.lake, replace(handed, panel=panel), table)
    is_suppressed = panel.natural["lnvalue"].isna() & handed.panel.natural["lnvalue"].notna()
    emptied = {name: full.natural[name].where(~is_suppressed) for name in names}
    return replace(full, natural=full.natural.assign(**emptied))


def require_name(name: str) -> None:
    """Refuse a name that cannot be the name of a file everywhere.

    Raises
    ------
    InputRefusedError
    """
    if re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{LONGEST_NAME - 1}}}", name) and not _DEVICES.match(name):
        return
    proposed = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:LONGEST_NAME]
    hint = f" Try --study {proposed}." if proposed and not _DEVICES.match(proposed) else ""
    raise InputRefusedError(
        f"--study: the name becomes the name of files: letters a-z, digits, _ and -, {LONGEST_NAME} at most, and no name of a"
        f" device; found {name!r}.{hint}"
    )


def pinned_version(lake: Lake, name: str) -> int | None:
    """Version of the panel that is pinned under a study's name; None when none is."""
    rows = [row for row in lake.rows(ops.PIN) if row["pin_name"] == name and row["table_name"] == "gold.city_panel"]
    latest = max(rows, key=lambda row: row["pinned_at"], default=None)
    return int(latest["table_version"]) if latest is not None and latest["pin_status"] == "pinned" else None


def firms_behind(lake: Lake, handed: HandOff) -> pd.Series | None:
    """Number of firms behind each row of the panel; None where the exports are not there any more."""
    version = handed.lineage.get(CITY_EXPORTS.name)
    if version is None or not lake.exists(CITY_EXPORTS):
        return None
    exports = lake.arrow(CITY_EXPORTS, version=version, columns=("city_id", "year", "n_firms")).to_pandas()
    keys = handed.panel.natural[["city_id", "year"]]
    # a number that was not counted cannot be enough
    exports["n_firms"] = exports["n_firms"].fillna(0)
    found = keys.merge(exports.astype({"year": keys["year"].dtype}), on=["city_id", "year"], how="left", validate="1:1")
    return found["n_firms"]


def suppressed_panel(panel: StudyPanel, n_firms: pd.Series | None, fewest: int) -> tuple[StudyPanel, int]:
    """Return the panel without the exports of city-years of too few firms, and how many these are.

    Parameters
    ----------
    n_firms : Series of float, shape (n_rows,)
        Firms behind each row, missing where nothing was exported.
    fewest : int
        Rows with fewer lose every number made of their exports; 0 or 1 suppresses nothing.
    """
    if n_firms is None or fewest <= 1:
        return panel, 0
    few = (n_firms < fewest).to_numpy()
    if not few.any():
        return panel, 0
    names = {outcome.name for outcome in OUTCOMES}
    exported = [
        *(outcome.source for outcome in OUTCOMES), *names, *map(scaled_name, names), *panel.counts.values(),
    ]
    natural = panel.natural.copy()
    for column in exported:
        if column in natural:
            natural[column] = natural[column].where(~few)
    if "is_complete" in natural:
        natural["is_complete"] = natural["is_complete"].astype(bool) & ~few
    return replace(panel, natural=natural), int(few.sum())


def _require_configuration(context: JobContext, recorded: pd.DataFrame) -> None:
    """The configuration that is frozen must be the one the numbers were estimated under."""
    found = set(recorded["config_sha256"]) - {context.settings.sha256()}
    if found:
        raise InputRefusedError(
            f"the study was estimated under configuration {', '.join(sorted(item[:12] for item in found))}, the settings given"
            f" here are {context.settings.sha256()[:12]}. Give the same --profile, --config and --set as `customs-lake"
            " estimate` had, or estimate again."
        )


def _missing_years(context: JobContext, handed: HandOff) -> list[str]:
    """Say which years of the study have no exports in the panel."""
    natural = handed.panel.natural
    has_exports = natural["lnvalue"].notna().groupby(natural["year"]).any()
    missing = [year for year in context.settings.study.years if not has_exports.get(year, False)]
    if not missing:
        return []
    there = [int(year) for year, found in has_exports.items() if found]
    return [
        f"years: no exports of {years_text(missing)}; the lake has {years_text(there) or 'none'} of"
        f" {context.settings.study.first_year}-{context.settings.study.last_year}"
    ]


def _failed_columns(printed: Sequence[PrintedTable]) -> list[str]:
    return [
        f"{table.table.name} ({table.table.profile}) {column.heading}: not estimated: {column.fit.failure}"
        for table in printed for column in table.columns if not column.ours
    ]


def _on_the_package(
    context: JobContext, tables: Sequence[ResultTable], panels: Sequence[StudyPanel], origin: str,
    recorded: Sequence[PrintedTable], *, estimate: bool,
) -> list[PrintedTable]:
    """The tables with the numbers of the package's data: as recorded, or estimated where cells were suppressed."""
    generated = origin in ("generated", "mixed")
    if not estimate:
        return [replace(table, generated=generated) for table in recorded]
    classes, paper = city_classes(context.settings.places), paper_numbers()
    found = []
    for table, panel, former in zip(tables, panels, recorded, strict=True):
        fits = estimate_tables([table], panel, classes)[table.name]
        again = print_table(table, fits, paper=paper, generated=generated)
        # what the lake has no estimate of stays without one
        columns = tuple(new if old.ours else old for new, old in zip(again.columns, former.columns, strict=True))
        found.append(replace(again, columns=columns))
    return found


def numbers_frame(package: StudyPackage) -> pd.DataFrame:
    """Every number of the package, a row a term and column of a table, the lake's own beside it.

    Columns: profile, result_table, result_column, term, name (in the data), coefficient, std_error, pvalue, lake_coefficient,
    lake_std_error.
    """
    cells = package.recorded.pivot_table(
        index=["study_profile", "result_table", "result_column", "variable"], columns="statistic", values="estimate"
    )
    lake: Mapping[Any, Any] = cells.to_dict("index")
    rows = []
    for block in package.data.blocks:
        for term, number in block.numbers.items():
            there = lake.get((block.profile, block.table, f"col{block.position}", term), {})
            rows.append({
                "profile": block.profile, "result_table": block.table, "result_column": f"col{block.position}", "term": term,
                "name": block.names[term], "coefficient": number.coefficient, "std_error": number.std_error,
                "pvalue": number.pvalue, "lake_coefficient": there.get("coefficient", np.nan),
                "lake_std_error": there.get("std_error", np.nan),
            })
    return pd.DataFrame(rows)
