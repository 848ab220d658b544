"""The panel of a generated world is held against its latent truth value by value."""

from __future__ import annotations

import numpy as np
import pandas as pd

from jobs.verify import PANEL_VARIABLES, compare_variables


def frame(**changes):
    rows = [("110000", 2003), ("110000", 2004)]
    table = pd.DataFrame(rows, columns=["city_id", "year"])
    for position, name in enumerate(PANEL_VARIABLES):
        table[name] = [float(position), position + 0.5]
    for name, values in changes.items():
        table[name] = values
    return table


def test_equal_values_pass_and_are_counted_without_missing_ones():
    result = compare_variables(frame(lnrd=[np.nan, 2.5]), frame(lnrd=[7.0, 2.5]))
    assert result.compared == 2 * len(PANEL_VARIABLES) - 1
    assert result.problems == []


def test_another_value_a_lost_variable_and_an_unknown_city_year_are_named():
    assert compare_variables(frame(lnfdi=[5.0, 5.5001]), frame(lnfdi=[5.0, 5.5])).problems == [
        "110000 2004: lnfdi is 5.5001, the truth is 5.5"
    ]
    lost = compare_variables(frame(ETDZ=[np.nan, np.nan]), frame()).problems
    assert lost == ["ETDZ: missing in every city-year of the panel"]
    unknown = compare_variables(frame(), frame().iloc[:1]).problems
    assert len(unknown) == len(PANEL_VARIABLES)
