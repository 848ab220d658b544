"""What estimate, report and explain share: the panel handed over, the classes, the paper, the truth, the tables.

The hand-off from Spark to the estimator is here: ``gold.city_panel`` and ``gold.panel_constants`` are collected at named
versions, and everything after is numpy. The truth of a generated world is looked for beside the raw folder and is absent
for real data.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from conf.settings import Places, Settings
from conf.tables import EXAMPLES, STUDY_PROFILES, TableFileError, read_table_files
from estimation.report.study_report import Origin
from estimation.stata.conditions import named_columns
from estimation.tables import (
    CityClasses,
    Constant,
    ResultTable,
    StudyPanel,
    TableSpecError,
    paper_columns,
    parse_tables,
    select_tables,
    table_faults,
)
from estimation.tables.printed import PaperColumn
from jobs.core.errors import InputRefusedError
from jobs.core.lake import Lake
from jobs.reference.place_book import load_region_classes
from jobs.runtime.context import JobContext, is_generated_folder
from jobs.runtime.preflight import no_folder
from jobs.study.city_measures import MEASURED, city_measures
from schemas.catalog import TABLES
from schemas.gold import CITY_EXPORTS
from schemas.indicators import measure_names
from schemas.panel import CITY_PANEL, MODEL_VARIABLES, PANEL_CONSTANTS, PRODUCTS, product_name, scaled_name
from schemas.reference.shipped import read_shipped
from schemas.table import Table

#: Layers whose tables stand behind a number; ops tables are what was done, not what it was made from.
LINEAGE_LAYERS = ("bronze", "silver", "gold", "ref")


@dataclass(frozen=True, slots=True)
class HandOff:
    """The panel as collected, and where it came from.

    Attributes
    ----------
    panel : StudyPanel
    panel_version, constants_version : int
    lineage : dict
        Table to version, all tables behind the panel.
    sha256 : str
        Hash of the collected numbers.
    measured : dict
        Table of indicators to the version that a result table's measures are read from.
    """

    panel: StudyPanel
    panel_version: int
    constants_version: int
    lineage: dict[str, int]
    sha256: str
    measured: Mapping[str, int | None] = field(default_factory=dict)


def collect_panel(context: JobContext, *, at: int | None = None) -> HandOff:
    """Collect the city panel and its constants, the latest or those of an older version of the panel.

    Raises
    ------
    InputRefusedError
        If there is no panel yet, or no such version.
    """
    lake = context.lake
    latest = lake.version(CITY_PANEL)
    if latest < 0:
        raise InputRefusedError(f"{CITY_PANEL.name}: not built yet in {lake.root}. Run `customs-lake run` first.")
    version = latest if at is None else at
    if not 0 <= version <= latest:
        raise InputRefusedError(f"--at: {CITY_PANEL.name} has versions 0 to {latest}; found {version}.")
    constants_version = _constants_of(lake, version)
    columns = [name for name in CITY_PANEL.columns if name != "missing_variables"]
    frame = lake.arrow(CITY_PANEL, version=version, columns=columns).to_pandas()
    if frame.empty:
        raise InputRefusedError(f"{CITY_PANEL.name}: version {version} has no rows. Run `customs-lake panel` first.")
    constants = lake.arrow(PANEL_CONSTANTS, version=constants_version).to_pylist()
    rows = [row for row in constants if row["statistic"] in ("mean", "sd")]
    panel = study_panel(frame, rows)
    return HandOff(
        _with_counts(lake, panel, version), version, constants_version, lineage_of(lake, version, constants_version),
        _hash_of(panel.natural), _versions_behind(lake, None if at is None else version),
    )


def _with_counts(lake: Lake, panel: StudyPanel, panel_version: int) -> StudyPanel:
    """Add destinations as economies and as partner codes, from the exports this version of the panel was made of."""
    exports_version = _written_before(lake, CITY_EXPORTS, panel_version)
    if exports_version is None:
        return panel
    columns = {"economies": "n_destinations", "codes": "n_partner_codes"}
    exports = lake.arrow(CITY_EXPORTS, version=exports_version, columns=("city_id", "year", *columns.values())).to_pandas()
    keys = panel.natural[["city_id", "year"]]
    found = keys.merge(exports.astype({"year": keys["year"].dtype}), on=["city_id", "year"], how="left", validate="1:1")
    counted = {f"lnnumcou_{way}": np.log(found[name].where(found[name] > 0).astype(float)) for way, name in columns.items()}
    return replace(
        panel,
        natural=panel.natural.assign(**{name: values.to_numpy() for name, values in counted.items()}),
        counts={("lnnumcou", way): f"lnnumcou_{way}" for way in columns},
    )


def _versions_behind(lake: Lake, panel_version: int | None) -> dict[str, int | None]:
    """Version of each table of indicators: the latest, or the one that was there when a version of the panel was written."""
    known = [table for table in MEASURED if lake.exists(table)]
    if panel_version is None:
        return {table.name: lake.version(table) for table in known}
    return {table.name: _written_before(lake, table, panel_version) for table in known}


def named_measures(table: ResultTable) -> list[str]:
    """Indicators that a result table names, in its columns or in a condition."""
    named = {factor for column in table.columns for name in column.variables for factor in name.split("*")}
    named |= {name for column in table.columns for name in named_columns(column.sample.where)}
    named |= {column.sample.by for column in table.columns}
    return sorted(named & set(measure_names()))


def measured_panel(lake: Lake, handed: HandOff, table: ResultTable) -> StudyPanel:
    """The panel with the indicators that a table names; the panel itself where it names none.

    Raises
    ------
    InputRefusedError
        If it names some and they were not computed yet.
    """
    names, panel = named_measures(table), handed.panel
    if not names:
        return panel
    if not handed.measured:
        raise InputRefusedError(
            f"{table.name}: {', '.join(names[:3])} come from tables that are not in {lake.root} yet. Run `customs-lake"
            " indicators` first, or `customs-lake run` for all steps."
        )
    measures = city_measures(lake, panel.natural[[panel.entity, panel.time]], handed.measured)[names]
    return replace(panel, natural=pd.concat([panel.natural, measures], axis=1))


def measures_hash(lake: Lake, handed: HandOff, table: ResultTable) -> str:
    """Hash of the indicators that a table names; empty where it names none."""
    names = named_measures(table)
    return _hash_of(measured_panel(lake, handed, table).natural[["city_id", "year", *names]]) if names else ""


def study_panel(frame: pd.DataFrame, constants: Iterable[Mapping[str, Any]]) -> StudyPanel:
    """Return what the estimator takes: the panel's rows, with rows of ``variable, statistic, constant_value``."""
    return StudyPanel.from_natural(frame, constants=_constants(constants), scaled=_scaled_columns(frame))


def lineage_of(lake: Lake, panel_version: int, constants_version: int) -> dict[str, int]:
    """Versions of every table that stands behind the panel; tables not yet built are left out."""
    versions = {
        name: lake.version(table)
        for name, table in sorted(TABLES.items())
        if table.layer in LINEAGE_LAYERS and name not in ("gold.estimate", CITY_PANEL.name, PANEL_CONSTANTS.name)
    }
    versions |= {CITY_PANEL.name: panel_version, PANEL_CONSTANTS.name: constants_version}
    return {name: version for name, version in versions.items() if version >= 0}


def city_classes(places: Places) -> CityClasses:
    """Region classes, a user's split among them, and size classes as shipped."""
    return CityClasses.from_frames(load_region_classes(places.user_regions), read_shipped("city_size_thresholds"))


def paper_numbers() -> dict[tuple[int, int], PaperColumn]:
    """The paper's printed tables."""
    return paper_columns(read_shipped("paper_tables"), read_shipped("paper_table_stats"))


def truth_of(context: JobContext, panel: StudyPanel) -> dict[tuple[str, str], Mapping[str, float]]:
    """Return (outcome, resilience) to the true coefficients per standard deviation of this panel; empty for real data."""
    path = None if context.raw is None else Path(context.raw).resolve().parent / "truth" / "model.json"
    if path is None or not path.is_file():
        return {}
    from jobs.world.equation import PanelConstant, ProductOrder, read_model, standardised_truth

    order: ProductOrder = "centre_then_scale" if context.settings.panel.products == "centred" else "scale_then_multiply"
    return {
        (outcome, equation.resilience): standardised_truth(
            equation,
            {name: PanelConstant(one.mean, one.sd) for name in equation.variables for one in [panel.constant(name)]},
            product_order=order,
        )
        for outcome, equation in read_model(path).items()
    }


def origin_of(context: JobContext) -> Origin:
    """Whether the lake's records are generated, delivered or mixed; a lake from before it was recorded may be unknown."""
    origin = context.lake.origin()
    if origin == "unknown" and context.raw is not None and is_generated_folder(context.raw):
        return "generated"
    return cast(Origin, origin)


def result_tables(wanted: str, profile: str, user_folder: Path | None = None) -> tuple[ResultTable, ...]:
    """Return the result tables asked for under one profile.

    Raises
    ------
    InputRefusedError
        With every fault of the files, a sentence each: of their form, of variables no panel has, of columns of their own.
    """
    try:
        shared, files = read_table_files(user_folder)
        tables = select_tables(parse_tables(shared, files, profile=profile), wanted)
    except (TableFileError, TableSpecError) as error:
        raise InputRefusedError(str(error)) from error
    faults = [fault for table in tables for fault in table_faults(table, panel_columns())]
    if faults:
        raise InputRefusedError("\n".join(dict.fromkeys(faults)))
    return tables


def check_tables(arguments: argparse.Namespace, settings: Settings) -> None:
    """Look at the result tables that a command line names, before anything starts.

    Raises
    ------
    InputRefusedError
        With every fault of every table.
    """
    folder, wanted = arguments.table_files, getattr(arguments, "tables", "all")
    profiles = [name for name in arguments.study_profile.split(",") if name]
    unknown = sorted(set(profiles) - set(STUDY_PROFILES))
    if unknown or not profiles:
        raise InputRefusedError(f"--study-profile: expected some of {', '.join(STUDY_PROFILES)}; found {', '.join(unknown)}.")
    if folder is not None and not folder.is_dir() and str(folder) != EXAMPLES:
        raise InputRefusedError(no_folder("--table-files", folder))
    for profile in profiles:
        result_tables(wanted, profile, folder)


def panel_columns() -> tuple[str, ...]:
    """Columns that every panel has: those of its table, the ways to count destinations, and the indicators."""
    counts = ("lnnumcou_economies", "lnnumcou_codes")
    return (*(name for name in CITY_PANEL.columns if name != "missing_variables"), *counts, *measure_names())


def spec_hash(table: ResultTable) -> str:
    """Hash of a table's specification under its profile, and of the file with columns of its own."""
    text = json.dumps(table.as_dict(), sort_keys=True, default=list).encode()
    return hashlib.sha256(text + (Path(table.extra).read_bytes() if table.extra else b"")).hexdigest()


def results_folder(lake: Lake, out: Path | None) -> Path | None:
    """Folder for files made for people: the one asked for, else beside a local lake; None for object stores."""
    if out is not None:
        return Path(out)
    if "://" in lake.root and not lake.root.startswith("file:"):
        return None
    root = Path(lake.root.removeprefix("file://"))
    return root.with_name(f"{root.name}-results")


def _constants_of(lake: Lake, panel_version: int) -> int:
    """Version of the constants that a version of the panel was scaled with: the job writes them just before the panel."""
    found = _written_before(lake, PANEL_CONSTANTS, panel_version)
    if found is None:
        raise InputRefusedError(
            f"{PANEL_CONSTANTS.name}: no version was written before version {panel_version} of {CITY_PANEL.name}."
            " Run `customs-lake panel` again."
        )
    return found


def _written_before(lake: Lake, table: Table, panel_version: int) -> int | None:
    """Latest version of a table that was there when a version of the panel was written; None if there was none."""
    written = [one.timestamp_ms for one in lake.commits(CITY_PANEL) if one.version <= panel_version and one.changes_rows]
    if not written:
        raise InputRefusedError(
            f"--at {panel_version}: the log of {CITY_PANEL.name} no longer reaches back so far. Use a later version."
        )
    if not lake.exists(table):
        return None
    earlier = [one.version for one in lake.commits(table) if one.changes_rows and one.timestamp_ms <= max(written)]
    return max(earlier, default=None)


def _hash_of(frame: pd.DataFrame) -> str:
    """Hash of the keys and every number of the panel."""
    columns = ["city_id", *frame.select_dtypes("number").columns]
    return hashlib.sha256(pd.util.hash_pandas_object(frame[columns], index=False).to_numpy().tobytes()).hexdigest()


def _constants(rows: Iterable[Mapping[str, Any]]) -> dict[str, Constant]:
    values: dict[str, dict[str, float]] = {}
    for row in rows:
        values.setdefault(row["variable"], {})[row["statistic"]] = row["constant_value"]
    products = {product_name(*pair): "*".join(pair) for pair in PRODUCTS}
    return {
        products.get(name, name): Constant(float(found["mean"]), float(found["sd"]))
        for name, found in values.items()
        if found.get("mean") is not None and found.get("sd") is not None
    }


def _scaled_columns(frame: pd.DataFrame) -> dict[str, str]:
    """Variables and products to their standardised columns, where the panel has values in them."""
    names = {name: scaled_name(name) for name in MODEL_VARIABLES}
    names |= {"*".join(pair): scaled_name(product_name(*pair)) for pair in PRODUCTS}
    return {name: column for name, column in names.items() if column in frame and frame[column].notna().any()}
