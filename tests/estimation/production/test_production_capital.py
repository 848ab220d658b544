"""Perpetual inventory against the recursion written out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from estimation.production import FirmDataError, SeriesError, firm_stock, real_capital

FLAT = dict.fromkeys(range(1978, 2014), 100.0)
COLUMNS = {"original_value": "value", "birth_year": "born", "growth": "g", "entity": "firm", "time": "year"}
RISING = {year: 100.0 * 1.05 ** (year - 1998) for year in range(1978, 2014)}


def test_one_year_old_firm_buys_everything_at_this_years_price():
    stocks = firm_stock(np.array([2000]), np.array([500.0]), birth_year=2000, growth=0.2, prices=RISING)
    assert stocks[0] == pytest.approx(500 / 1.05**2)


def test_backcast_adds_each_years_purchases_at_its_price():
    # nominal 121 in 2000, growth 10%: 100 in 1998, bought 10 in 1999 and 11 in 2000
    stock = 100 / 1.0
    stock = 0.91 * stock + 10 / 1.05
    stock = 0.91 * stock + 11 / 1.05**2
    found = firm_stock(np.array([2000]), np.array([121.0]), birth_year=1998, growth=0.1, prices=RISING)
    assert found[0] == pytest.approx(stock)


def test_gap_is_filled_at_constant_growth_and_has_no_stock_of_its_own():
    found = firm_stock(np.array([2000, 2002]), np.array([100.0, 144.0]), birth_year=2000, growth=0.0, prices=FLAT)
    assert len(found) == 2
    assert found[1] == pytest.approx(0.91 * (0.91 * 100 + 20) + 24)


def test_stock_that_falls_in_the_books_only_depreciates():
    found = firm_stock(np.array([2000, 2001, 2002]), np.array([100.0, 60.0, 110.0]), birth_year=2000, growth=0.0,
                       prices=FLAT)
    assert found[1] == pytest.approx(91)
    # purchases count from the earlier high of 100, not from 60
    assert found[2] == pytest.approx(0.91 * 91 + 10)


def test_growth_is_clipped_and_birth_is_floored():
    def stock(birth_year: int, growth: float) -> float:
        return firm_stock(np.array([2000]), np.array([100.0]), birth_year=birth_year, growth=growth, prices=FLAT)[0]

    assert stock(1995, 3.0) == pytest.approx(stock(1995, 0.5))
    assert stock(1900, 0.1) == pytest.approx(stock(1978, 0.1))
    assert stock(1995, 0.1) != pytest.approx(stock(1996, 0.1))


def test_frame_keeps_its_index_and_uses_each_firms_first_report():
    frame = pd.DataFrame(
        {"firm": [2, 1, 1], "year": [2001, 2001, 2000], "value": [50.0, 120.0, 100.0], "born": 2000,
         "g": [0.1, 0.3, 0.0]},
        index=[9, 4, 5],
    )
    stocks = real_capital(frame, FLAT, **COLUMNS)
    assert stocks.index.tolist() == [9, 4, 5]
    assert stocks[5] == pytest.approx(100)
    assert stocks[4] == pytest.approx(0.91 * 100 + 20)
    assert stocks[9] == pytest.approx(0.91 * 50 / 1.1 + 50 / 1.1 * 0.1)


def test_missing_price_year_is_refused_and_named():
    with pytest.raises(SeriesError, match=r"none for \[2008, 2009\]"):
        firm_stock(np.array([2007, 2009]), np.array([1.0, 2.0]), birth_year=2007, growth=0.0,
                   prices=dict.fromkeys(range(1978, 2008), 100.0))


def test_zero_and_negative_capital_are_refused_with_a_count():
    frame = pd.DataFrame({"firm": [1, 2], "year": [2000, 2000], "value": [0.0, -5.0], "born": 1999, "g": 0.1})
    with pytest.raises(FirmDataError, match="2 values are not positive"):
        real_capital(frame, FLAT, **COLUMNS)
