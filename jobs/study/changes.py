"""What differs between two moments of a lake, or two lakes: city-years, variables of the panel, estimates, by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jobs.study.moments import Moment
from schemas.gold import CITY_EXPORTS
from schemas.panel import CITY_PANEL, MODEL_VARIABLES
from schemas.results import ESTIMATE

KEYS = ("city_id", "year")
COUNTED = ("value_usd", "n_records", "n_products", "n_destinations", "n_firms")
VARIABLES = tuple(MODEL_VARIABLES)
NUMBERS = ("coefficient", "std_error")
ESTIMATE_KEYS = ("study_profile", "result_table", "result_column", "term")


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs.

    Attributes
    ----------
    city_years : DataFrame
        city_id, year, city_name, what (added, gone, changed), and for each count its value before, after and the difference
        (``value_usd_before``, ``value_usd_after``, ``value_usd_change``).
    variables : DataFrame
        A row for each changed cell of the panel: city_id, year, variable, before, after, change.
    estimates : DataFrame
        A row for each changed coefficient: keys, before, after, change, std_error_before, std_error_after, in_errors (the
        change in standard errors of before), what (added, gone, changed).
    """

    city_years: pd.DataFrame
    variables: pd.DataFrame
    estimates: pd.DataFrame

    @property
    def years(self) -> list[int]:
        """Years with a city-year that changed."""
        return sorted(int(year) for year in self.city_years["year"].unique())

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return self.city_years.empty and self.variables.empty and self.estimates.empty


def changes_between(before: Moment, after: Moment) -> Changes:
    """Compare two moments."""
    return Changes(_city_years(before, after), _variables(before, after), _estimates(before, after))


def _city_years(before: Moment, after: Moment) -> pd.DataFrame:
    columns = (*KEYS, "city_name", *COUNTED)
    frames = [_numeric(one.frame(CITY_EXPORTS, columns), COUNTED) for one in (before, after)]
    both = _joined(frames, KEYS)
    for name in COUNTED:
        both[f"{name}_change"] = both[f"{name}_after"].fillna(0) - both[f"{name}_before"].fillna(0)
    differs = (both["what"] != "changed") | (both[[f"{name}_change" for name in COUNTED]] != 0).any(axis=1)
    both["city_name"] = both["city_name_after"].fillna(both["city_name_before"])
    shown = [*KEYS, "city_name", "what", *(f"{name}_{when}" for name in COUNTED for when in ("before", "after", "change"))]
    found = both.loc[differs, shown]
    order = found["value_usd_change"].abs().sort_values(ascending=False, kind="stable").index
    return found.loc[order].reset_index(drop=True)


def _variables(before: Moment, after: Moment) -> pd.DataFrame:
    frames = [_numeric(one.frame(CITY_PANEL, (*KEYS, *VARIABLES)), VARIABLES) for one in (before, after)]
    both, parts = _joined(frames, KEYS), []
    for name in VARIABLES:
        was, now = both[f"{name}_before"], both[f"{name}_after"]
        differs = (was != now) & ~(was.isna() & now.isna())
        parts.append(pd.DataFrame({
            "city_id": both["city_id"], "year": both["year"], "variable": name, "before": was, "after": now,
            "change": now - was,
        })[differs])
    return pd.concat(parts, ignore_index=True)


def _estimates(before: Moment, after: Moment) -> pd.DataFrame:
    frames = [_wide(one.frame(ESTIMATE, (*ESTIMATE_KEYS, "result_statistic", "estimate"))) for one in (before, after)]
    both = _joined(frames, ESTIMATE_KEYS)
    both["change"] = both["coefficient_after"] - both["coefficient_before"]
    both["in_errors"] = both["change"] / both["std_error_before"]
    same = (both["change"] == 0) & (both["std_error_after"] == both["std_error_before"])
    found = both[~same & ~(both["coefficient_before"].isna() & both["coefficient_after"].isna())]
    found = found.rename(columns={"coefficient_before": "before", "coefficient_after": "after"})
    order = found["in_errors"].abs().sort_values(ascending=False, kind="stable", na_position="last").index
    shown = [*ESTIMATE_KEYS, "what", "before", "after", "change", "std_error_before", "std_error_after", "in_errors"]
    return found.loc[order, shown].reset_index(drop=True)


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    wanted = rows[rows["result_statistic"].isin(NUMBERS)]
    if wanted.empty:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in ESTIMATE_KEYS} | {
            name: pd.Series(dtype=float) for name in NUMBERS
        })
    return wanted.pivot(index=list(ESTIMATE_KEYS), columns="result_statistic", values="estimate").reset_index()


def _numeric(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The frame with its numbers as doubles, exact decimals among them, and keys of one type."""
    converted = {name: pd.to_numeric(frame[name].astype(object).map(_float), errors="coerce") for name in names}
    return frame.assign(**converted, city_id=frame["city_id"].astype(str), year=frame["year"].astype("int64"))


def _float(value: object) -> float:
    return float("nan") if value is None or value is pd.NA else float(value)  # type: ignore[arg-type]  # a number of any kind


def _joined(frames: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    both = frames[0].merge(
        frames[1], on=list(keys), how="outer", suffixes=("_before", "_after"), validate="1:1", indicator=True
    )
    words = {"left_only": "gone", "right_only": "added", "both": "changed"}
    return both.assign(what=both["_merge"].astype(str).map(words)).drop(columns="_merge").replace({np.inf: np.nan})
