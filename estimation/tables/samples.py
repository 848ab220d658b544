"""Which rows of the panel a column is about: size classes, regions, trimming, and where the cut falls relative to lags.

Every rule of the paper and its defensible twin is an option (conf/tables/model.toml). The decision worth knowing: a row is
in or out by itself, as with Stata's ``if`` (cut = "row"): its lags, its difference and its instruments come from the whole
panel, and no row is lost beyond those the rule names (1,871 = 2,337 - 2 x 233 in the paper). "both_periods" also asks that
the period a row is differenced against is inside; "before_lags" treats rows outside as if they did not exist. Trimming by
the first year keeps whole cities and spends that year on the choice, so it is always cut before lags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from estimation.errors import EmptySampleError, SpecificationError, UnknownColumnError
from estimation.stata.conditions import operated_names, rows_kept
from estimation.tables.spec import PANEL_WORDS, Options, SampleRule

# a hundredth of a person, in 10,000 persons; yearbooks print two decimals, a hundred persons
SIZE_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class CityClasses:
    """What the sample rules need to know beyond the panel.

    Attributes
    ----------
    regions : dict
        Region variant to (province code to class).
    size_bounds : dict
        Standard to a list of (class, at least, below or None), in 10,000 persons.
    province_names : dict
        Province code to the name a reader knows.
    """

    regions: dict[str, dict[str, str]] = field(default_factory=dict)
    size_bounds: dict[str, list[tuple[str, float, float | None]]] = field(default_factory=dict)
    province_names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_frames(cls, regions: pd.DataFrame, sizes: pd.DataFrame) -> CityClasses:
        """Read the shipped tables region_classes and city_size_thresholds (all columns as text)."""
        variants = [name for name in regions.columns if name.startswith("region_")]
        bounds: dict[str, list[tuple[str, float, float | None]]] = {}
        for row in sizes.to_dict("records"):
            top = str(row["max_10k_exclusive"] or "").strip()
            has_top = top not in ("", "nan")
            bounds.setdefault(str(row["standard"]), []).append(
                (row["class_en"], float(row["min_10k_inclusive"]), float(top) if has_top else None)
            )
        return cls(
            {name: dict(zip(regions["province_code"].astype(str), regions[name], strict=True)) for name in variants},
            bounds,
            dict(zip(regions["province_code"].astype(str), regions["province_name"], strict=True)),
        )


def in_sample(
    panel: pd.DataFrame, rule: SampleRule, options: Options, classes: CityClasses, *, entity: str, time: str,
    merged: np.ndarray | None = None,
) -> np.ndarray:
    """Return which rows belong to a sample, shape (n_rows,).

    Parameters
    ----------
    panel : DataFrame
        In natural units: sizes and percentiles are judged there.
    merged : ndarray of bool, optional, shape (n_rows,)
        Rows in which every variable of the column is present; trimming by rows counts them alone. All rows by default.

    Raises
    ------
    UnknownColumnError, EmptySampleError
    """
    if rule.rule == "size":
        mask = np.isin(size_class(panel, options, classes, entity=entity, time=time), rule.classes)
    elif rule.rule == "region":
        mask = np.isin(region_class(panel, options, classes), rule.classes)
    elif rule.rule == "trim":
        mask = _trimmed(panel, rule, options, entity=entity, time=time, merged=merged)
    elif rule.rule == "where":
        mask = _within(panel, rule)
    else:
        mask = np.ones(len(panel), dtype=bool)
    if rule.where:
        mask = mask & meets(panel, rule.where, entity=entity, time=time)
    if not mask.any():
        raise EmptySampleError(
            f"sample {rule.name}: no city-year of {len(panel)} is in it (rule {rule.rule}"
            f"{', classes ' + ', '.join(rule.classes) if rule.classes else ''}"
            f"{', where ' + rule.where if rule.where else ''})."
        )
    return mask


def meets(panel: pd.DataFrame, condition: str, *, entity: str, time: str) -> np.ndarray:
    """Return which rows meet a condition in Stata's words, shape (n_rows,).

    A missing value is larger than every number, as in Stata. ``city`` and ``province`` stand for the city's name and the
    province's code; ``L.x``, ``L2.x`` and ``F.x`` for the value of other years, and ``D.x`` for the change.

    Raises
    ------
    SpecificationError, UnknownColumnError
    """
    made = {word: panel[name] for word, name in PANEL_WORDS.items() if word not in panel and name in panel}
    for name in operated_names(condition):
        made[name] = _in_other_year(panel, name, entity=entity, time=time)
    kept = rows_kept(panel.assign(**made), condition)
    return np.ones(len(panel), dtype=bool) if kept is None else kept


def _in_other_year(panel: pd.DataFrame, name: str, *, entity: str, time: str) -> np.ndarray:
    """Return a column under one operator, by the calendar: a year that is not there is missing."""
    operator, _, column = name.partition(".")
    found = re.fullmatch(r"([LFD])(\d*)", operator.upper())
    if found is None or (found.group(1) == "D" and found.group(2) not in ("", "1")):
        raise SpecificationError(f"where: {name}: expected L.x, L2.x, F.x or D.x.")
    _need(panel, column, f"where {name}")
    steps = int(found.group(2) or 1) * (-1 if found.group(1) == "F" else 1)
    values = panel.set_index([entity, time])[column]
    keys = pd.MultiIndex.from_arrays([panel[entity], panel[time] - steps])
    other = values.reindex(keys).to_numpy()
    return panel[column].to_numpy() - other if found.group(1) == "D" else other


def size_class(
    panel: pd.DataFrame, options: Options, classes: CityClasses, *, entity: str, time: str
) -> np.ndarray:
    """Return the size class of every row: of the row itself (moving) or of the city's first year (base_year)."""
    _need(panel, options.size_measure, "size_measure")
    if options.size_standard not in classes.size_bounds:
        raise UnknownColumnError(
            f"size_standard: expected one of {', '.join(classes.size_bounds)}; found {options.size_standard!r}."
        )
    # the yearbook's figure again, in 10,000 persons: a city of exactly 20.00 is exp(ln(20)) = 19.99999999999999
    size = np.exp(panel[options.size_measure]).round(SIZE_DECIMALS)
    if options.size_classes == "base_year":
        first = panel.assign(_size=size).dropna(subset=["_size"]).sort_values(time).groupby(entity)["_size"].first()
        size = panel[entity].map(first)
    result = np.full(len(panel), "", dtype=object)
    for name, low, high in classes.size_bounds[options.size_standard]:
        result[(size >= low).to_numpy() & ((size < high).to_numpy() if high is not None else True)] = name
    return result


def region_class(panel: pd.DataFrame, options: Options, classes: CityClasses) -> np.ndarray:
    """Return the region class of every row from its province."""
    if options.region_classes not in classes.regions:
        raise UnknownColumnError(
            f"region_classes: expected one of {', '.join(classes.regions)}; found {options.region_classes!r}."
        )
    _need(panel, "province_code", "region")
    return panel["province_code"].astype(str).map(classes.regions[options.region_classes]).fillna("").to_numpy()


def _trimmed(
    panel: pd.DataFrame, rule: SampleRule, options: Options, *, entity: str, time: str, merged: np.ndarray | None
) -> np.ndarray:
    """Keep what lies between the percentiles: city-years by their own value, whole cities by their mean or first year."""
    _need(panel, rule.by, "trim by")
    value = panel[rule.by]
    if options.trim == "rows":
        # the paper's count: floor(10 % of N) of the merged rows go at either end, 2 x 233 of 2,337
        value = value if merged is None else value.where(merged)
        n = int(value.notna().sum())
        low, high = int(rule.below_percentile / 100 * n), int((100 - rule.above_percentile) / 100 * n)
        rank = value.rank(method="first")
        return ((rank > low) & (rank <= n - high)).to_numpy()
    if options.trim == "cities":
        judged = value.groupby(panel[entity]).mean()
        is_used_up = np.zeros(len(panel), dtype=bool)
    else:
        present = panel.loc[value.notna(), [entity, time, rule.by]].sort_values(time).drop_duplicates(entity)
        judged = present.set_index(entity)[rule.by]
        # the year that selects holds the shock that selected: it is in no equation and in no lag
        is_used_up = (panel[time] <= panel[entity].map(present.set_index(entity)[time])).to_numpy()
    bounds = np.percentile(judged.dropna(), [rule.below_percentile, rule.above_percentile])
    return panel[entity].map(judged).between(*bounds).to_numpy() & ~is_used_up


def _within(panel: pd.DataFrame, rule: SampleRule) -> np.ndarray:
    _need(panel, rule.by, "where by")
    value = pd.to_numeric(panel[rule.by])
    mask = value.notna()
    if rule.at_least is not None:
        mask &= value >= rule.at_least
    if rule.at_most is not None:
        mask &= value <= rule.at_most
    return mask.to_numpy()


def _need(panel: pd.DataFrame, column: str, what: str) -> None:
    if column not in panel.columns:
        raise UnknownColumnError(f"{what}: the panel has no column {column!r}; it has {', '.join(panel.columns)}.")
