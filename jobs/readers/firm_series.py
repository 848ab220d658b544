"""Series beside the survey: prices, back-cast growth of capital and known technology, as given by the user.

``deflators.csv``: series (output, input, investment), industry_code (empty = all), year, price_index (base year = 100).
``capital_growth.csv``: province2, industry_code, growth (a share, yearly; both codes empty = national rate).
``technology.csv``: industry_code, coef_labour, coef_capital, coef_inputs (empty for value added). A year a series lacks
is refused by name; a series that is not given at all leaves current prices, which the report of the run says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from conf.firms import load_investment_prices
from conf.productivity import Productivity
from jobs.core.errors import InputRefusedError
from jobs.core.frames import rows_to_spark
from jobs.core.user_tables import read_user_table
from jobs.readers.firm_files import series_path
from jobs.transforms.firm_capital import FIRST_PRICE_YEAR

SERIES = ("output", "input", "investment")
# two-digit industries of GB/T 4754-2002 with mining and utilities, which a user may keep
INDUSTRIES = tuple(f"{code:02d}" for code in range(6, 47))


@dataclass(frozen=True, slots=True)
class FirmSeries:
    """Series for the survey.

    Attributes
    ----------
    prices : tuple of tuple
        (series, industry_code or None, year, price_index) for output and input.
    investment_prices : dict
        Year to index, every year from 1978 to the last survey year.
    growth : tuple of tuple or None
        (province2, industry_code, growth), both codes None for the national rate; None: computed from the survey.
    technology : tuple of tuple
        (industry_code, coef_labour, coef_capital, coef_inputs or None).
    hashes : tuple of str
        Of the files read.
    notes : tuple of str
        What is left open because a series was not given.
    """

    prices: tuple[tuple[str, str | None, int, float], ...] = ()
    investment_prices: dict[int, float] = field(default_factory=dict)
    growth: tuple[tuple[str | None, str | None, float], ...] | None = None
    technology: tuple[tuple[str, float, float, float | None], ...] = ()
    hashes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def price_frame(self, spark: SparkSession, years: Iterable[int]) -> DataFrame:
        """Output and input prices of every industry and year: its own, else the common one, else none.

        A series that was not given at all is 100 throughout: current prices.
        """
        index = {(series, industry, year): value for series, industry, year, value in self.prices}
        given = {series for series, *_ in self.prices}

        def price(series: str, industry: str, year: int) -> float | None:
            if series not in given:
                return 100.0
            return index.get((series, industry, year), index.get((series, None, year)))

        rows = [
            (industry, year, price("output", industry, year), price("input", industry, year))
            for industry in INDUSTRIES
            for year in years
        ]
        return rows_to_spark(spark, rows, "industry_code string, year int, output_price double, input_price double")

    def growth_frame(self, spark: SparkSession) -> DataFrame | None:
        """Back-cast growth as a frame, None when the survey's own is to be used."""
        if self.growth is None:
            return None
        return rows_to_spark(spark, self.growth, "province2 string, industry_code string, growth double")


def load_series(raw: Path, choices: Productivity, *, last_year: int) -> FirmSeries:
    """Read the user's series and check that no year is missing.

    Raises
    ------
    InputRefusedError
        For an unknown series, a value that is not a positive price, or a missing year.
    """
    paths = {
        "deflators": series_path(raw, choices.deflators, "deflators.csv"),
        "growth": series_path(raw, choices.capital_growth, "capital_growth.csv"),
        "technology": series_path(raw, choices.technology, "technology.csv") if choices.method == "known" else None,
    }
    prices = _read_prices(paths["deflators"])
    investment = {year: value for series, _, year, value in prices if series == "investment"} or load_investment_prices()
    missing = [year for year in range(FIRST_PRICE_YEAR, last_year + 1) if year not in investment]
    if missing:
        raise InputRefusedError(
            f"investment prices: expected every year {FIRST_PRICE_YEAR}-{last_year}; missing {missing[:5]}. "
            "Add them to deflators.csv (series = investment)."
        )
    return FirmSeries(
        prices=tuple(row for row in prices if row[0] != "investment"),
        investment_prices=investment,
        growth=_read_growth(paths["growth"]),
        technology=_read_technology(paths["technology"]),
        notes=_notes(prices, growth_given=paths["growth"] is not None, choices=choices),
        hashes=tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values() if path is not None),
    )


def _notes(prices: Sequence[tuple], *, growth_given: bool, choices: Productivity) -> tuple[str, ...]:
    given = {series for series, *_ in prices}
    notes = [f"no {series} prices given: {series} at current prices" for series in ("output", "input") if series not in given]
    if choices.capital == "perpetual_inventory" and not growth_given:
        notes.append("no capital growth given: back-cast with the survey's own growth")
    return tuple(notes)


def _read_prices(path: Path | None) -> list[tuple[str, str | None, int, float]]:
    if path is None:
        return []
    rows = []
    for _, row in read_user_table(path, ("series", "industry_code", "year", "price_index")):
        value = _number(path, row, "price_index")
        if row["series"] not in SERIES or value <= 0:
            raise InputRefusedError(
                f"{path.name}: expected series {', '.join(SERIES)} and positive indices; found {row}. Correct the row."
            )
        rows.append((row["series"], row["industry_code"].strip() or None, int(_number(path, row, "year")), value))
    _require_no_gap(path, rows)
    return rows


def _require_no_gap(path: Path, rows: Sequence[tuple[str, str | None, int, float]]) -> None:
    years: dict[tuple[str, str | None], list[int]] = {}
    for series, industry, year, _ in rows:
        years.setdefault((series, industry), []).append(year)
    for (series, industry), found in years.items():
        if len(set(found)) != len(found):
            raise InputRefusedError(f"{path.name}: a year of {series} {industry or 'all industries'} comes twice.")
        gaps = sorted(set(range(min(found), max(found))) - set(found))
        if gaps:
            raise InputRefusedError(
                f"{path.name}: {series} {industry or 'all industries'} lacks {gaps[:5]} between its years. Add the rows."
            )


def _read_growth(path: Path | None) -> tuple[tuple[str | None, str | None, float], ...] | None:
    if path is None:
        return None
    rows = read_user_table(path, ("province2", "industry_code", "growth"))
    return tuple(
        (row["province2"].strip() or None, row["industry_code"].strip() or None, _number(path, row, "growth"))
        for _, row in rows
    )


def _read_technology(path: Path | None) -> tuple[tuple[str, float, float, float | None], ...]:
    if path is None:
        return ()
    rows = read_user_table(path, ("industry_code", "coef_labour", "coef_capital"))
    return tuple(
        (
            row["industry_code"], _number(path, row, "coef_labour"), _number(path, row, "coef_capital"),
            _number(path, row, "coef_inputs") if (row.get("coef_inputs") or "").strip() else None,
        )
        for _, row in rows
    )


def _number(path: Path, row: dict[str, str], name: str) -> float:
    try:
        return float(row[name])
    except (TypeError, ValueError) as error:
        raise InputRefusedError(f"{path.name}: {name} is not a number in {row}. Correct the row.") from error
