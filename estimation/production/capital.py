"""Real capital by perpetual inventory, after Brandt, Van Biesebroeck and Zhang (2012, 2014).

The survey gives fixed assets at original purchase prices, summed over years of very different prices. The stock at the
first report is traced back to the firm's birth at the growth rate of its province and industry, then rebuilt year by
year: last year's real stock less depreciation plus this year's purchases at this year's prices. Inside the survey
purchases are the change of the reported value, which may not fall; years without a report are filled at constant
growth and carry no stock of their own. Source of the steps: the authors' published procedure; depreciation 9 per cent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from estimation.production.errors import FirmDataError, SeriesError

DEPRECIATION = 0.09
# before 1978 there is neither a price series nor a market for capital goods
FIRST_PRICE_YEAR = 1978
# nominal growth outside this range is a data error, not accumulation
GROWTH_RANGE = (0.0, 0.5)


def real_capital(
    frame: pd.DataFrame,
    prices: Mapping[int, float],
    *,
    original_value: str,
    birth_year: str,
    growth: str,
    entity: str,
    time: str,
    depreciation: float = DEPRECIATION,
) -> pd.Series:
    """Return the real capital stock of every firm-year, at the prices of the year whose index is 100.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per firm and year.
    prices : mapping of int to float
        Price index of investment by year, 100 in the base year.
    original_value : str
        Fixed assets at original purchase prices, current yuan; positive.
    birth_year, growth : str
        Year of foundation and yearly nominal growth of capital in the firm's province and industry (a share); the
        first report of the firm counts.
    depreciation : float
        Share of the stock lost each year.

    Raises
    ------
    SeriesError
        If a year between birth and last report has no price.
    FirmDataError
        If a value is missing or not positive.
    """
    is_bad = ~(frame[original_value].to_numpy(dtype=float) > 0)
    if is_bad.any() or frame[[birth_year, growth]].isna().any(axis=None):
        raise FirmDataError(
            f"Expected positive {original_value!r} and no missing {birth_year!r} or {growth!r}; "
            f"{int(is_bad.sum())} values are not positive. Filter them first."
        )
    ordered = frame.sort_values([entity, time])
    stocks = pd.Series(np.nan, index=ordered.index)
    for _, firm in ordered.groupby(entity, sort=False):
        stocks.loc[firm.index] = firm_stock(
            firm[time].to_numpy(),
            firm[original_value].to_numpy(dtype=float),
            birth_year=int(firm[birth_year].iloc[0]),
            growth=float(firm[growth].iloc[0]),
            prices=prices,
            depreciation=depreciation,
        )
    return stocks.reindex(frame.index).rename("real_capital")


def firm_stock(
    years: np.ndarray,
    original_values: np.ndarray,
    *,
    birth_year: int,
    growth: float,
    prices: Mapping[int, float],
    depreciation: float = DEPRECIATION,
) -> np.ndarray:
    """Return the real stock of one firm in its reported years.

    Parameters
    ----------
    years : ndarray of int, shape (n,)
        Ascending.
    original_values : ndarray, shape (n,)
        Nominal original value.

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> firm_stock(np.array([2000, 2001]), np.array([100.0, 150.0]), birth_year=2000, growth=0.1,
    ...            prices={2000: 100.0, 2001: 125.0}).round(6).tolist()
    [100.0, 131.0]
    """
    first = int(years[0])
    birth = min(max(birth_year, FIRST_PRICE_YEAR), first)
    _require_prices(prices, birth, int(years[-1]))
    rate = float(np.clip(growth, *GROWTH_RANGE))
    nominal = original_values[0] / (1 + rate) ** (first - birth)
    stock = nominal * 100 / prices[birth]
    for year in range(birth + 1, first + 1):
        stock = (1 - depreciation) * stock + rate * nominal * 100 / prices[year]
        nominal *= 1 + rate
    stocks = [stock]
    nominal = original_values[0]
    for index in range(1, len(years)):
        n_steps = int(years[index] - years[index - 1])
        target = max(original_values[index], nominal)
        step = (target / nominal) ** (1 / n_steps)
        for year in range(int(years[index - 1]) + 1, int(years[index]) + 1):
            stock = (1 - depreciation) * stock + nominal * (step - 1) * 100 / prices[year]
            nominal *= step
        nominal = target
        stocks.append(stock)
    return np.array(stocks)


def _require_prices(prices: Mapping[int, float], first: int, last: int) -> None:
    missing = [year for year in range(first, last + 1) if not prices.get(year, 0) > 0]
    if missing:
        raise SeriesError(
            f"Expected an investment price for every year {first}-{last}; none for {missing[:5]}. "
            "Add the years to the investment deflator."
        )
