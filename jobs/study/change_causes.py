"""Why two moments of a lake differ: which delivered files, rules, references, settings or versions of the program.

What changed of the files is read from their receipts; what else a year was built from, from the parts of its builds'
fingerprints (``ops.build``); which record of which file made a city-year's change, from silver and quarantine by file. The
decision worth knowing: a city-year gets the files whose records of it changed, with how many and how much; where no file
changed, the rule that refused or kept other records of them, and else the part of the build that differs.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import polars as pl

from jobs.study.changes import Changes
from jobs.study.moments import Moment
from schemas import ops, silver
from schemas.catalog import TABLES
from schemas.results import ESTIMATE
from schemas.table import Table
from schemas.yearbook import YEARBOOK

#: Part of a build's fingerprint to what it is.
PARTS = {
    "files": "delivered files", "rules": "cleaning rules", "rules_off": "rules switched off (quality.rules_off)",
    "references": "reference tables", "places": "settings of places", "base_revision": "count.base_revision",
    "history": "files that firms' postcodes are borrowed from", "firms": "pseudonyms of firms", "silver": "declarations",
    "sources": "versions of the tables it is made from", "panel": "settings of the panel", "count": "settings of counts",
    "years": "years of the study", "packaged": "shipped tables of the yearbook and of places", "cities": "cities of your own",
    "build_revision": "version of the program",
}  # fmt: skip
SHOWN_FILES = 3


@dataclass(frozen=True, slots=True)
class Causes:
    """What made the change.

    Attributes
    ----------
    files : DataFrame
        source_file, what (added, gone, replaced), years, lines_before, lines_after.
    parts : dict
        Year to table to what its build differs in, in words.
    settings : DataFrame
        setting, before, after: values recorded of the latest runs.
    origins : list of str
        Further differences: configuration, program, what the estimates were made from.
    by_file : DataFrame
        year, city_id, source_file, records_change, value_change: kept records, for the years that changed.
    refused : DataFrame
        year, source_file, reason, before, after: refused records by first reason.
    yearbook : DataFrame
        source_cell (file, sheet and cell), city_id, year, indicator, area, before, after: cells of the yearbook that differ.
    tables : DataFrame
        table, before, after (versions), runs: tables whose rows were written between two moments of one lake.
    """

    files: pd.DataFrame
    parts: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    settings: pd.DataFrame = field(default_factory=pd.DataFrame)
    origins: list[str] = field(default_factory=list)
    by_file: pd.DataFrame = field(default_factory=pd.DataFrame)
    refused: pd.DataFrame = field(default_factory=pd.DataFrame)
    yearbook: pd.DataFrame = field(default_factory=pd.DataFrame)
    tables: pd.DataFrame = field(default_factory=pd.DataFrame)


def causes_between(before: Moment, after: Moment, changes: Changes) -> Causes:
    """Find the causes of changes."""
    years = changes.years
    names = _names_of_files(before) | _names_of_files(after)
    settings, origins = _settings(before, after)
    origins += _origins_of_estimates(before, after)
    return Causes(
        _files(before.files_in_force(), after.files_in_force()), _parts(before, after), settings, origins,
        _by_file(before, after, years, names), _refused(before, after, years, names), _yearbook(before, after),
        _tables(before, after),
    )


def cause_of(row: Mapping[str, Any], causes: Causes) -> str:
    """Say in words what made a city-year change."""
    year = int(row["year"])
    mine = causes.by_file
    if len(mine):
        mine = mine[(mine["year"] == year) & (mine["city_id"] == row["city_id"])]
    if len(mine):
        touched = dict(zip(causes.files["source_file"], causes.files["what"], strict=True))
        shown = [
            f"{name} ({touched.get(name) or _other(causes, year, name)}): {records:+,} records, US$ {value:+,.0f}"
            for name, records, value in mine[["source_file", "records_change", "value_change"]]
            .head(SHOWN_FILES).itertuples(index=False, name=None)
        ]
        rest = len(mine) - SHOWN_FILES
        return "; ".join([*shown, *([f"and {rest} more files"] if rest > 0 else [])])
    return ", ".join(_differing(causes, year)) or "not recorded"


def _other(causes: Causes, year: int, name: str) -> str:
    """What changed a file's records although the file is the same: rules by their reasons, else parts of the build."""
    refused = causes.refused
    if len(refused):
        refused = refused[(refused["year"] == year) & (refused["source_file"] == name)]
    reasons = [
        f"{reason} refuses {now - was:+,}" for reason, was, now in
        refused[["reason", "before", "after"]].head(SHOWN_FILES).itertuples(index=False, name=None)
    ] if len(refused) else []
    return ", ".join([*reasons, *(part for part in _differing(causes, year) if part != PARTS["files"])]) or "same file"


def _differing(causes: Causes, year: int) -> list[str]:
    found = [what for differing in causes.parts.get(year, {}).values() for what in differing]
    # what the declarations differ by is named by their own build
    return list(dict.fromkeys(what for what in found if what not in (PARTS["silver"], PARTS["sources"])))


def _files(before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    rows = []
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is not None and now is not None and was["sha256"] == now["sha256"]:
            continue
        rows.append({
            "source_file": name, "what": "added" if was is None else "gone" if now is None else "replaced",
            "years": sorted({*(was or {}).get("years", ()), *(now or {}).get("years", ())}),
            "lines_before": 0 if was is None else was["n_lines"], "lines_after": 0 if now is None else now["n_lines"],
        })
    return pd.DataFrame(rows, columns=["source_file", "what", "years", "lines_before", "lines_after"])


def _parts(before: Moment, after: Moment) -> dict[int, dict[str, list[str]]]:
    was, now = _inputs(before), _inputs(after)
    found: dict[int, dict[str, list[str]]] = {}
    for (table, year), parts in now.items():
        former = was.get((table, year))
        if former is None:
            continue
        differing = [PARTS.get(name, name) for name in sorted({*parts, *former}) if parts.get(name) != former.get(name)]
        if differing:
            found.setdefault(year, {})[table] = differing
    return dict(sorted(found.items()))


def _inputs(moment: Moment) -> dict[tuple[str, int], dict[str, str]]:
    latest: dict[tuple[str, int], dict[str, str]] = {}
    for row in sorted(moment.rows(ops.BUILD), key=lambda row: row["built_at"]):
        if row["inputs"] is not None:
            latest[row["table_name"], int(row["year"])] = dict(row["inputs"])
    return latest


def _settings(before: Moment, after: Moment) -> tuple[pd.DataFrame, list[str]]:
    """Settings in which the latest runs of two moments differ, and what is known only by its hash."""
    was, now = _latest_run(before), _latest_run(after)
    origins: list[str] = []
    if was is None or now is None:
        return pd.DataFrame(columns=["setting", "before", "after"]), origins
    if was["code_version"] != now["code_version"]:
        origins.append(f"program: {was['code_version']} -> {now['code_version']}")
    recorded = [json.loads(row["arguments"] or "{}").get("settings") for row in (was, now)]
    if was["config_sha256"] != now["config_sha256"] and None in recorded:
        origins.append(
            f"configuration: {was['config_sha256'][:12]} -> {now['config_sha256'][:12]}; an older run did not record which"
            " settings"
        )
    first, second = (given or {} for given in recorded)
    rows = [
        {"setting": name, "before": first.get(name, "default"), "after": second.get(name, "default")}
        for name in sorted({*first, *second}) if first.get(name) != second.get(name)
    ] if None not in recorded else []
    return pd.DataFrame(rows, columns=["setting", "before", "after"]), origins


def _origins_of_estimates(before: Moment, after: Moment) -> list[str]:
    """Say in what the estimates of tables that both have differ: version of the panel, specification, program."""
    columns = ["study_profile", "result_table", "panel_version", "spec_sha256", "code_version"]
    keys = columns[:2]
    frames = [one.frame(ESTIMATE, columns).drop_duplicates(keys) for one in (before, after)]
    both = frames[0].merge(frames[1], on=keys, suffixes=("_before", "_after"))
    found = []
    for name, words in (("panel_version", "version of the panel"), ("code_version", "program")):
        pairs = dict.fromkeys(zip(both[f"{name}_before"], both[f"{name}_after"], strict=True))
        found += [f"estimates, {words}: {was} -> {now}" for was, now in pairs if was != now]
    other = both[both["spec_sha256_before"] != both["spec_sha256_after"]]
    if len(other):
        named = [f"{table} ({profile})" for profile, table in zip(other["study_profile"], other["result_table"], strict=True)]
        found.append(f"estimates, another specification: {', '.join(named)}")
    return found


def _latest_run(moment: Moment) -> Any:
    # the row of a run is written when its work is done: it is looked for by its time, not in the table as it was then
    rows = [row for row in moment.lake.rows(ops.RUN) if row["run_status"] == "done" and row["ended_at"]]
    if moment.limit_ms is not None:
        rows = [row for row in rows if row["ended_at"].replace(tzinfo=dt.UTC).timestamp() * 1000 <= moment.limit_ms + 1]
    return max(rows, key=lambda row: row["ended_at"], default=None)


def _yearbook(before: Moment, after: Moment) -> pd.DataFrame:
    columns = [*YEARBOOK.key, "indicator_value", "source_cell"]
    both = before.frame(YEARBOOK, columns).merge(
        after.frame(YEARBOOK, columns), on=list(YEARBOOK.key), how="outer", suffixes=("_before", "_after")
    )
    was, now = (pd.to_numeric(both[f"indicator_value_{when}"]) for when in ("before", "after"))
    both = both.assign(before=was, after=now, source_cell=both["source_cell_after"].fillna(both["source_cell_before"]))
    differs = (was != now) & ~(was.isna() & now.isna())
    return both.loc[differs, ["source_cell", *YEARBOOK.key, "before", "after"]].reset_index(drop=True)


def _tables(before: Moment, after: Moment) -> pd.DataFrame:
    """Tables that were written between two moments of one lake, and by which runs."""
    rows = []
    names = sorted({*before.versions, *after.versions}) if before.lake.root == after.lake.root else []
    for name in names:
        if name.startswith("ops."):
            continue
        first, last = sorted((before.versions.get(name, -1), after.versions.get(name, -1)))
        commits = [one for one in after.lake.commits(TABLES[name], after=first) if one.version <= last and one.changes_rows]
        if commits:
            runs = list(dict.fromkeys(str(one.metadata["run"]) for one in commits if "run" in one.metadata))
            rows.append({
                "table": name, "before": before.versions.get(name), "after": after.versions.get(name), "runs": runs,
            })
    return pd.DataFrame(rows, columns=["table", "before", "after", "runs"])


def _names_of_files(moment: Moment) -> dict[str, str]:
    return {row["file_sha256"]: row["source_file"] for row in moment.rows(ops.FILE_RECEIPT)}


def _by_file(before: Moment, after: Moment, years: Sequence[int], names: Mapping[str, str]) -> pd.DataFrame:
    columns = ["year", "city_id", "source_file", "records_change", "value_change"]
    sums = [
        _scan(one, silver.DECLARATION, years, ("city_id",), [
            pl.len().cast(pl.Int64).alias("records"), pl.col("value_usd").cast(pl.Float64).sum().alias("value"),
        ]) for one in (before, after)
    ]
    both = _difference(sums, ("year", "city_id", "file_sha256"), ("records", "value"), names)
    changed = both[(both["records_change"] != 0) | (both["value_change"].abs() > 0.005)]
    order = changed["value_change"].abs().sort_values(ascending=False, kind="stable").index
    return changed.loc[order, columns].reset_index(drop=True)


def _refused(before: Moment, after: Moment, years: Sequence[int], names: Mapping[str, str]) -> pd.DataFrame:
    counts = [
        _scan(one, silver.QUARANTINE, years, ("primary_reason",), [pl.len().cast(pl.Int64).alias("records")])
        for one in (before, after)
    ]
    both = _difference(counts, ("year", "primary_reason", "file_sha256"), ("records",), names)
    both = both.rename(columns={"primary_reason": "reason", "records_before": "before", "records_after": "after"})
    changed = both[both["records_change"] != 0]
    order = changed["records_change"].abs().sort_values(ascending=False, kind="stable").index
    return changed.loc[order, ["year", "source_file", "reason", "before", "after"]].reset_index(drop=True)


def _scan(
    moment: Moment, table: Table, years: Iterable[int], keys: Sequence[str], sums: Sequence[pl.Expr]
) -> pd.DataFrame:
    """Sums of a large table by year, file and keys, of some years only."""
    names = ["year", "file_sha256", *keys]
    version = moment.versions.get(table.name)
    if version is None or not list(years):
        return pd.DataFrame(columns=[*names, *(one.meta.output_name() for one in sums)])
    frame = moment.lake.scan(table, version=version).filter(pl.col("year").is_in(list(years)))
    return frame.group_by(names).agg(*sums).collect().to_pandas()


def _difference(
    frames: Sequence[pd.DataFrame], keys: Sequence[str], values: Sequence[str], names: Mapping[str, str]
) -> pd.DataFrame:
    """Sums of two moments by the name of their file: a file delivered again under its name is the same file."""
    named = []
    for frame in frames:
        given = frame.assign(source_file=frame["file_sha256"].map(lambda one: names.get(one, str(one)[:12])))
        by = [*(key for key in keys if key != "file_sha256"), "source_file"]
        named.append(given.astype({"year": "int64"}).groupby(by, as_index=False)[list(values)].sum())
    by = [*(key for key in keys if key != "file_sha256"), "source_file"]
    both = named[0].merge(named[1], on=by, how="outer", suffixes=("_before", "_after"))
    for name in values:
        for when in ("before", "after"):
            both[f"{name}_{when}"] = pd.to_numeric(both[f"{name}_{when}"]).fillna(0)
        both[f"{name}_change"] = both[f"{name}_after"] - both[f"{name}_before"]
    whole = [f"records_{when}" for when in ("before", "after", "change")]
    return both.astype(dict.fromkeys(whole, "int64"))
