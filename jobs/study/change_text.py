"""The difference of two moments of a lake in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from jobs.core.ledger import years_text
from jobs.study.change_causes import Causes, cause_of
from jobs.study.changes import COUNTED, Changes
from jobs.study.moments import Moment

#: Rows of each list on the terminal; --json has all.
SHOWN = 12
_HEADS = {
    "value_usd": "US$", "n_records": "records", "n_products": "products", "n_destinations": "destinations", "n_firms": "firms",
}  # fmt: skip


def render(before: Moment, after: Moment, changes: Changes, causes: Causes, *, shown: int = SHOWN) -> str:
    """Return the difference as text for a terminal."""
    lines = [f"from {_named(before)}", f"to   {_named(after)}", ""]
    if changes.is_empty:
        return "\n".join([*lines, "Nothing differs: city-years, panel and estimates are the same.", *_causes(causes, shown)])
    lines += [_summary(changes), ""]
    lines += _city_years(changes, causes, shown)
    lines += _variables(changes)
    lines += _estimates(changes, shown)
    return "\n".join([*lines, *_causes(causes, shown)]).rstrip()


def as_json(before: Moment, after: Moment, changes: Changes, causes: Causes) -> str:
    """Return all of it as one JSON object."""
    city_years = _records(changes.city_years)
    for row in city_years:
        row["cause"] = cause_of(row, causes)
    content: dict[str, Any] = {
        "from": {"label": before.label, "lake": before.lake.root, "versions": before.versions},
        "to": {"label": after.label, "lake": after.lake.root, "versions": after.versions},
        "city_years": city_years, "panel": _records(changes.variables), "estimates": _records(changes.estimates),
        "causes": {
            "files": _records(causes.files), "builds": {str(year): parts for year, parts in causes.parts.items()},
            "settings": _records(causes.settings), "origins": causes.origins, "records_by_file": _records(causes.by_file),
            "refused": _records(causes.refused), "yearbook": _records(causes.yearbook), "tables": _records(causes.tables),
        },
    }
    return json.dumps(content, ensure_ascii=False, default=str)


def _named(moment: Moment) -> str:
    panel = moment.versions.get("gold.city_panel")
    return f"{moment.label}: {moment.lake.root}" + (f", gold.city_panel version {panel}" if panel is not None else "")


def _summary(changes: Changes) -> str:
    rows, counts = changes.city_years, changes.city_years["what"].value_counts()
    parts = [f"{counts[what]:,} {what}" for what in ("added", "gone", "changed") if what in counts]
    value = rows["value_usd_change"].sum()
    summary = f"{len(rows):,} city-years differ ({', '.join(parts)}), US$ {value:+,.0f} in all"
    summary = summary if len(rows) else "no city-year differs"
    cells = f"{len(changes.variables):,} values of the panel" if len(changes.variables) else "no value of the panel"
    return f"{summary}; {cells}; {len(changes.estimates):,} coefficients."


def _city_years(changes: Changes, causes: Causes, shown: int) -> list[str]:
    if changes.city_years.empty:
        return []
    lines = [f"City-years of {years_text(changes.years)}, the largest change of value first:"]
    for row in changes.city_years.head(shown).to_dict("records"):
        numbers = [
            f"{_HEADS[name]} {_plain(row[f'{name}_before'])} -> {_plain(row[f'{name}_after'])}"
            for name in COUNTED if row[f"{name}_change"] != 0
        ]
        name = row["city_name"] if isinstance(row["city_name"], str) else ""
        lines.append(f"  {row['city_id']} {name} {row['year']} {row['what']}: {', '.join(numbers)}")
        lines.append(f"      by {cause_of(row, causes)}")
    return [*lines, *_more(len(changes.city_years), shown), ""]


def _variables(changes: Changes) -> list[str]:
    if changes.variables.empty:
        return []
    lines = ["Variables of the panel: city-years that differ, largest change:"]
    for name, rows in changes.variables.groupby("variable", sort=False):
        known = rows["change"].abs()
        largest = f"{known.max():.4g}" if known.notna().any() else "-"
        missing = int(rows["after"].isna().sum() - rows["before"].isna().sum())
        lines.append(f"  {name:<18} {len(rows):>6,} {largest:>12}" + (f"  missing in {missing:+,}" if missing else ""))
    return [*lines, ""]


def _estimates(changes: Changes, shown: int) -> list[str]:
    if changes.estimates.empty:
        return []
    changed = changes.estimates[changes.estimates["what"] == "changed"]
    lines = ["Coefficients, the largest change in standard errors first:"]
    for row in changed.head(shown).to_dict("records"):
        name = f"{row['result_table']}.{row['result_column']}.{row['term']} ({row['study_profile']})"
        gap = "" if pd.isna(row["in_errors"]) else f"  {row['in_errors']:+.2f} SE"
        lines.append(f"  {name:<48} {_number(row['before']):>10} -> {_number(row['after']):>10}{gap}")
    lines += _more(len(changed), shown)
    others = changes.estimates[changes.estimates["what"] != "changed"]
    keys = ("what", "study_profile", "result_table", "result_column")
    columns = dict.fromkeys(zip(*(others[name] for name in keys), strict=True))
    for what in ("added", "gone"):
        named = [f"{table}.{column} ({profile})" for kind, profile, table, column in columns if kind == what]
        if named:
            lines.append(f"  columns {what}: {', '.join(named[:shown])}{' ...' if len(named) > shown else ''}")
    return [*lines, ""]


def _causes(causes: Causes, shown: int) -> list[str]:
    lines = _listed(
        "Delivered files:", causes.files, shown,
        lambda row: f"{row['source_file']} {row['what']}: {row['lines_before']:,} -> {row['lines_after']:,} lines of"
        f" {years_text(row['years'])}",
    )
    lines += _listed(
        "Refused records, by file and first reason:", causes.refused, shown,
        lambda row: f"{row['year']} {row['source_file']} {row['reason']}: {row['before']:,} -> {row['after']:,}",
    )
    lines += _listed(
        "Cells of the yearbook:", causes.yearbook, shown,
        lambda row: f"{row['source_cell']} ({row['city_id']} {row['year']} {row['indicator']}): {_cell(row['before'])} ->"
        f" {_cell(row['after'])}",
    )
    lines += _listed(
        "Settings:", causes.settings, shown, lambda row: f"{row['setting']}: {row['before']} -> {row['after']}"
    )
    by_part: dict[tuple[str, str], list[int]] = {}
    for year, tables in causes.parts.items():
        for table, differing in tables.items():
            by_part.setdefault((table, ", ".join(differing)), []).append(year)
    if by_part:
        lines += ["Builds differ in:", *(f"  {table} {years_text(years)}: {what}" for (table, what), years in by_part.items())]
    lines += [*([""] if by_part else []), *_listed("Tables written between:", causes.tables, shown, _written)]
    return [*lines, *causes.origins]


def _written(row: Mapping[str, Any]) -> str:
    by = f" by {', '.join(row['runs'])}" if row["runs"] else ""
    return f"{row['table']}: version {_cell(row['before'])} -> {_cell(row['after'])}{by}"


def _cell(value: float | None) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:.12g}"


def _listed(
    title: str, rows: pd.DataFrame, shown: int, write: Callable[[Mapping[str, Any]], str]
) -> list[str]:
    if rows.empty:
        return []
    return [title, *(f"  {write(row)}" for row in rows.head(shown).to_dict("records")), *_more(len(rows), shown), ""]


def _more(n: int, shown: int) -> list[str]:
    return [f"  ... {n - shown:,} more; --json has all, --limit N shows more"] if n > shown else []


def _plain(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:,.0f}"


def _number(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.4f}"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: Sequence[dict[str, Any]] = frame.to_dict("records")
    return [
        {name: None if isinstance(value, float) and value != value else value for name, value in row.items()} for row in rows
    ]
