"""Judge the numbers of the yearbook: corrections applied, contradictions and typing errors taken out, each with its cell.

In: rows of the sheets (``jobs/readers/yearbook_sheets.py``) and a correction file. Out: accepted rows, refused rows,
counts. The order is fixed: corrections first (they settle the rest), then two values for one cell,
then the plausible range, then the comparison with neighbouring years.

The decision worth knowing: a typing error is a value that is ``max_ratio`` times (or that fraction of) the nearest value
on both sides, or of the two nearest years at the end of a series, and that also lies off the middle of its series. A
sound value is not refused as long as most values of its series are sound; two slips in neighbouring years pass unseen.
A known case: road passengers of Lhasa in 2009, 0.68 printed for about 68 (10,000 persons). Zeros are not judged:
nothing received and a missing entry look alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from conf.yearbook import AREAS, YearbookConfig, squeeze
from jobs.core.errors import InputRefusedError, NotBalancedError
from jobs.core.user_tables import read_user_table
from jobs.readers.yearbook_sheets import REFUSED_COLUMNS, VALUE_COLUMNS, SheetRows, read_number
from jobs.reference.city_names import CityNames

KEY = ["city_id", "year", "indicator", "area"]
CORRECTION_COLUMNS = ("city_id", "year", "indicator", "area", "value", "unit", "source")
# the same quantity printed in 10,000 persons with two decimals and in persons differs by rounding: 1 in 2,000 at 10.00
REPEAT_TOLERANCE = 5e-4
# a step of a whole indicator between two editions that no city average makes: a unit changed without its heading
LEVEL_BREAK_RATIO = 8.0


@dataclass(frozen=True, slots=True)
class CheckedYearbook:
    """Accepted and refused rows.

    Attributes
    ----------
    values : DataFrame
        VALUE_COLUMNS, is_corrected, correction_source; unique by city, year, indicator and area.
    refused : DataFrame
        REFUSED_COLUMNS.
    counts : Counter
        Rows by what happened to them.
    level_breaks : tuple of str
        Indicators whose median jumps between two years in all cities: a unit that changed without its heading.
    """

    values: pd.DataFrame
    refused: pd.DataFrame
    counts: Counter[str]
    level_breaks: tuple[str, ...]


def check_values(
    rows: SheetRows, config: YearbookConfig, cities: CityNames, *, corrections: Path | None = None
) -> CheckedYearbook:
    """Apply corrections and take out what cannot be trusted.

    Parameters
    ----------
    rows : SheetRows
        Everything read from the sheets.
    config : YearbookConfig
        Ranges, ratios, units.
    cities : CityNames
        For city codes in the correction file.
    corrections : Path, optional
        CSV with city_id, year, indicator, area, value, unit, source; an empty value withdraws the printed one.
    """
    values = pd.DataFrame(rows.values, columns=list(VALUE_COLUMNS))
    values["is_corrected"], values["correction_source"] = False, None
    refused = [pd.DataFrame(rows.refused, columns=list(REFUSED_COLUMNS))]
    counts: Counter[str] = Counter(read=len(rows.values) + len(rows.refused))
    if corrections is not None:
        values, taken_out = _apply_corrections(values, corrections, config, cities, counts)
        refused.append(taken_out)
    for rule in (_two_values, _out_of_range, _typing_errors):
        n_before = len(values)
        values, taken_out = rule(values, config)
        refused.append(taken_out)
        # the same number printed twice is neither lost nor refused
        counts["repeated"] += n_before - len(values) - len(taken_out)
    out = pd.concat([part for part in refused if len(part)], ignore_index=True) if any(map(len, refused)) else refused[0]
    counts["accepted"], counts["refused"] = len(values), len(out)
    _assert_balanced(counts)
    counts.update(out["primary_reason"].tolist())
    return CheckedYearbook(
        values=values.sort_values(KEY, ignore_index=True),
        refused=out[list(REFUSED_COLUMNS)],
        counts=counts,
        level_breaks=find_level_breaks(values),
    )


def _assert_balanced(counts: Counter[str]) -> None:
    came = counts["read"] + counts["added"] + counts["corrections_refused"]
    went = counts["accepted"] + counts["refused"] + counts["repeated"]
    if came != went:
        raise NotBalancedError(f"yearbook: {came:,} cells came in, {went:,} were accepted, refused or repeated: {counts}.")


def find_level_breaks(values: pd.DataFrame) -> tuple[str, ...]:
    """Indicators whose median growth factor over all cities between two years is beyond LEVEL_BREAK_RATIO."""
    positive = values[values["indicator_value"] > 0]
    if positive.empty:
        return ()
    logs = positive.assign(log=np.log(positive["indicator_value"])).pivot_table(
        index=["indicator", "area", "city_id"], columns="year", values="log", aggfunc="first"
    )
    steps = logs.diff(axis=1).groupby(level=["indicator", "area"]).median()
    found = []
    for (indicator, area), row in steps.iterrows():
        for year, step in row.items():
            if abs(step) > math.log(LEVEL_BREAK_RATIO):
                found.append(f"{indicator} ({area}) {year}: median city x {math.exp(step):.3g}")
    return tuple(found)


def _apply_corrections(
    values: pd.DataFrame, path: Path, config: YearbookConfig, cities: CityNames, counts: Counter[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    refused = SheetRows()
    accepted: dict[tuple, dict] = {}
    for number, row in enumerate(_read_corrections(path), start=2):
        source = f"{path.name}!{number}"
        problem = _correction_problem(row, config, cities)
        if problem:
            refused.refuse(
                problem[0], problem[1], source, city_id=row["city_id"] or None, indicator=row["indicator"],
                area=row["area"], value_printed=row["value"], unit_printed=row["unit"],
                year=int(row["year"]) if row["year"].isdigit() else None,
            )  # fmt: skip
            continue
        key = (row["city_id"], int(row["year"]), row["indicator"], row["area"])
        if key in accepted:
            raise InputRefusedError(f"{path}: line {number} corrects {key} a second time. Keep one line per cell.")
        accepted[key] = row | {"source_cell": source}
    index = pd.MultiIndex.from_frame(values[KEY])
    hit = index.isin(list(accepted)) if accepted else np.zeros(len(values), dtype=bool)
    printed = set(index[hit])
    counts["corrected"] = sum(key in printed and row["value"] != "" for key, row in accepted.items())
    counts["added"] = sum(key not in printed and row["value"] != "" for key, row in accepted.items())
    before = values[hit].drop_duplicates(KEY).set_index(KEY)
    new = [_corrected_row(key, row, before, config, cities) for key, row in accepted.items() if row["value"] != ""]
    withdrawn = [key for key, row in accepted.items() if row["value"] == ""]
    is_withdrawn = index.isin(withdrawn) if withdrawn else np.zeros(len(values), dtype=bool)
    out = _refuse(values[is_withdrawn], "withdrawn", lambda row: accepted[tuple(row[name] for name in KEY)]["source"])
    counts["repeated"] += int(hit.sum()) - counts["corrected"] - len(out)
    counts["corrections_refused"] = len(refused.refused)
    kept = values[~hit]
    if new:
        kept = pd.concat([kept, pd.DataFrame(new, columns=list(values.columns))], ignore_index=True)
    return kept, pd.concat([out, pd.DataFrame(refused.refused, columns=list(REFUSED_COLUMNS))], ignore_index=True)


def _read_corrections(path: Path) -> list[dict[str, str]]:
    return [{name: row[name] for name in CORRECTION_COLUMNS} for _, row in read_user_table(path, CORRECTION_COLUMNS)]


def _correction_problem(row: dict[str, str], config: YearbookConfig, cities: CityNames) -> tuple[str, str] | None:
    indicator = config.indicators.get(row["indicator"])
    if not row["source"]:
        return "correction_without_source", "every correction names where its number comes from"
    if indicator is None or row["area"] not in AREAS:
        return "correction_unknown", f"unknown indicator {row['indicator']!r} or area {row['area']!r}"
    if not row["year"].isdigit() or not cities.exists(row["city_id"], int(row["year"])):
        return "not_a_city", f"{row['city_id']!r} is not a prefecture-level city of {row['year']!r}"
    if squeeze(row["unit"]) not in indicator.units:
        return "unit_not_declared", f"expected one of {', '.join(indicator.units)}; found {row['unit'] or 'none'!r}"
    if row["value"] != "" and read_number(row["value"]) is None:
        return "unreadable_number", f"{row['value']!r} is not a number"
    return None


def _corrected_row(
    key: tuple, row: dict[str, str], before: pd.DataFrame, config: YearbookConfig, cities: CityNames
) -> tuple:
    city_id, year, name, area = key
    indicator = config.indicators[name]
    number = read_number(row["value"])
    assert number is not None  # the file of corrections was checked when it was read
    value = float(number * indicator.units[squeeze(row["unit"])])
    printed = before.loc[[key]].iloc[0] if key in before.index else None
    return (
        city_id, year, name, area, value, indicator.unit,
        None if printed is None else printed["value_printed"],
        squeeze(row["unit"]) if printed is None else printed["unit_printed"],
        cities.name(city_id) if printed is None else printed["city_printed"],
        year + config.edition_lag,
        row["source_cell"] if printed is None else printed["source_cell"],
        True, row["source"],
    )  # fmt: skip


def _two_values(values: pd.DataFrame, config: YearbookConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the first of repeated equal values; refuse all of a cell whose values differ."""
    if not values.duplicated(KEY).any():
        return values, values.iloc[:0].reindex(columns=list(REFUSED_COLUMNS))
    groups = values.groupby(KEY)["indicator_value"]
    spread = groups.transform("max") - groups.transform("min")
    scale = groups.transform(lambda column: column.abs().max())
    differs = spread > REPEAT_TOLERANCE * scale
    cells = values[differs].groupby(KEY)["source_cell"].transform(", ".join)
    taken_out = _refuse(values[differs], "two_values", lambda row: f"printed differently in {cells[row.name]}")
    return values[~differs].drop_duplicates(KEY), taken_out


def _out_of_range(values: pd.DataFrame, config: YearbookConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    low = values["indicator"].map({name: one.low for name, one in config.indicators.items()}).astype(float)
    high = values["indicator"].map({name: one.high for name, one in config.indicators.items()}).astype(float)
    low, high = low.fillna(-math.inf), high.fillna(math.inf)
    outside = (values["indicator_value"] < low) | (values["indicator_value"] > high)
    return values[~outside], _refuse(
        values[outside],
        "out_of_range",
        lambda row: f"expected {low[row.name]:g} to {high[row.name]:g}; found {row['indicator_value']:g}",
    )


def _typing_errors(values: pd.DataFrame, config: YearbookConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    limits = {one.name: math.log(one.max_ratio) for one in config.indicators.values() if one.max_ratio is not None}
    judged = values[values["indicator"].isin(limits) & (values["indicator_value"] > 0)]
    if judged.empty:
        return values, values.iloc[:0].reindex(columns=list(REFUSED_COLUMNS))
    logs = judged.assign(log=np.log(judged["indicator_value"])).pivot(
        index=["city_id", "indicator", "area"], columns="year", values="log"
    )
    logs = logs.reindex(columns=range(int(logs.columns.min()), int(logs.columns.max()) + 1))
    limit = logs.index.get_level_values("indicator").map(limits).to_numpy(dtype=float)
    jump = jump_over_neighbours(logs.to_numpy(), reach=config.neighbour_years)
    # half the limit in logs: a slip pulls its neighbours' comparison over, not the middle of the series
    is_off = np.abs(deviation_from_others(logs.to_numpy())) > limit[:, None] / 2
    suspect = pd.DataFrame((np.abs(jump) > limit[:, None]) & is_off, index=logs.index, columns=logs.columns).stack()
    jumps = pd.DataFrame(jump, index=logs.index, columns=logs.columns).stack()
    keys = pd.MultiIndex.from_frame(values[["city_id", "indicator", "area", "year"]])
    # a corrected value has a source and is not judged again
    is_bad = keys.isin(suspect[suspect].index) & ~values["is_corrected"].to_numpy()
    ratios = pd.Series(np.exp(jumps.reindex(keys).to_numpy()), index=values.index)
    return values[~is_bad], _refuse(
        values[is_bad], "typing_error", lambda row: f"{ratios[row.name]:.3g} times the neighbouring years"
    )


def jump_over_neighbours(logs: np.ndarray, *, reach: int) -> np.ndarray:
    """Smallest jump of each value over its two neighbours, signed; 0 where they disagree or fewer than two exist.

    Parameters
    ----------
    logs : ndarray, shape (n_series, n_years)
        Log values, NaN where missing.
    reach : int
        Greatest distance of a neighbour in years. Inside a series the neighbours are the nearest earlier and the
        nearest later value, at its ends the two nearest values.

    Returns
    -------
    ndarray, shape (n_series, n_years)
    """
    n_years = logs.shape[1]
    result = np.zeros_like(logs)
    for year in range(n_years):
        earlier = [logs[:, other] for other in range(year - 1, max(year - reach, 0) - 1, -1)]
        later = [logs[:, other] for other in range(year + 1, min(year + reach, n_years - 1) + 1)]
        before, after = _first_two(earlier, len(logs)), _first_two(later, len(logs))
        first = np.where(np.isnan(before[0]), after[0], before[0])
        second = np.where(np.isnan(before[0]), after[1], np.where(np.isnan(after[0]), before[1], after[0]))
        over_first, over_second = logs[:, year] - first, logs[:, year] - second
        agrees = np.sign(over_first) == np.sign(over_second)
        smallest = np.where(np.abs(over_first) < np.abs(over_second), over_first, over_second)
        result[:, year] = np.where(agrees & ~np.isnan(smallest), smallest, 0.0)
    return result


def deviation_from_others(logs: np.ndarray) -> np.ndarray:
    """Log value minus the median of all other values of its series; 0 where there is no value or no other.

    Parameters
    ----------
    logs : ndarray, shape (n_series, n_years)
        Log values, NaN where missing.
    """
    result = np.zeros_like(logs)
    for year in range(logs.shape[1]):
        others = np.delete(logs, year, axis=1)
        has_other = ~np.isnan(others).all(axis=1) & ~np.isnan(logs[:, year])
        result[has_other, year] = logs[has_other, year] - np.nanmedian(others[has_other], axis=1)
    return result


def _first_two(columns: list[np.ndarray], n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """First and second value that is not missing, row by row."""
    first, second = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    for column in columns:
        second = np.where(np.isnan(second) & ~np.isnan(first), column, second)
        first = np.where(np.isnan(first), column, first)
    return first, second


def _refuse(rows: pd.DataFrame, reason: str, detail: Callable[[Any], str]) -> pd.DataFrame:
    out = rows.reindex(columns=list(REFUSED_COLUMNS)).astype(object)
    if len(rows):
        out["primary_reason"] = reason
        out["detail"] = [detail(row) for _, row in rows.iterrows()]
    return out
