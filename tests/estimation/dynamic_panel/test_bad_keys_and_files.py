"""Keys that are not periods, exchanged keys, and files with values of the wrong type: each is refused with the remedy."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from estimation import EstimationError, GMMStyle, IVStyle, SystemGMM, read_case
from estimation.errors import (
    EmptySampleError,
    NonNumericError,
    SpecificationError,
    TimeColumnError,
    TimeColumnWarning,
    UnknownColumnError,
)

GROUPS = [GMMStyle(["y", "x"], (2, 3), True), IVStyle("w")]


def _model(data, **changes):
    options = {"entity": "city", "time": "year", "regressors": ["x", "w"], "instruments": GROUPS} | changes
    return SystemGMM(data, dependent="y", **options)


def _with_time(data, make):
    return data.assign(year=make(data["year"] - 2005))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n: (2005 + n // 4) * 10 + n % 4 + 1, "quarter codes"),
        (lambda n: (2005 + n // 4) * 100 + n % 4 + 1, "month codes"),
        (lambda n: (2005 + n // 2) * 100 + 6 * (n % 2) + 6, "month codes"),
        (lambda n: (2005 + n) * 10000 + 1231, r"dates \(year, month and day\)"),
        (lambda n: 1104537600 + 31556952 * n, "periods of 1. Seconds or days since 1970"),
        (lambda n: 12784 + 365 * n, "no periods|Set time_step|set time_step"),
        (lambda n: 2005 + n / 4, "expected integers such as years"),
        (lambda n: (2005 + n).astype(str) + "Q1", "expected integers such as years"),
        (lambda n: pd.to_datetime((2005 + n).astype(str) + "-12-31"), r"\.dt\.year"),
        (lambda n: (2005 + n).map({2005 + i: pd.Period(f"{2005 + i}", "Y") for i in range(9)}), r"\.dt\.year"),
    ],
    ids=["quarters", "quarters of two digits", "half years", "dates", "seconds", "days", "fractions", "text", "days as dates",
         "periods"],
)
def test_keys_that_are_no_periods_are_named(city_panel, make, message):
    with pytest.raises((TimeColumnError, EmptySampleError), match=message):
        _model(_with_time(city_panel, make)).fit()


def test_years_as_floats_or_text_are_years(city_panel):
    expected = _model(city_panel).fit().params
    for kind in (float, str, "Int64"):
        np.testing.assert_allclose(_model(city_panel.assign(year=city_panel["year"].astype(kind))).fit().params, expected)


def test_a_five_yearly_panel_without_time_step_is_told_which(city_panel):
    data = city_panel.assign(year=1960 + 5 * (city_panel["year"] - 2005))
    with pytest.raises(EmptySampleError, match="set time_step=5"):
        _model(data).fit()
    np.testing.assert_allclose(_model(data, time_step=5).fit().params, _model(city_panel).fit().params)


@pytest.mark.parametrize("codes", [lambda c: c + 1, lambda c: 330000 + 1000 * c], ids=["numbers", "codes"])
def test_exchanged_keys_are_named(city_panel, codes):
    data = city_panel.assign(city=codes(city_panel["city"]))
    with pytest.raises(TimeColumnError, match="exchanged. Set entity='city', time='year'"):
        _model(data, entity="year", time="city").fit()
    with pytest.raises(TimeColumnError, match="put the entity first in the index"):
        _model(data.set_index(["year", "city"]), entity=None, time=None).fit()


def test_fewer_entities_than_periods_is_a_warning(make_panel):
    data = make_panel(n=12, periods=20, seed=2).rename(columns={"id": "city"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _model(data, instruments=[GMMStyle("y", (2, 2), True), IVStyle(["x", "w"])]).fit()
    assert any(issubclass(item.category, TimeColumnWarning) and "exchanged?" in str(item.message) for item in caught)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instruments": IVStyle("w")}, r"found one IVStyle. Put it in brackets"),
        ({"instruments": "w"}, "instruments: expected a list"),
        ({"constant": "false"}, "constant: expected True or False, found 'false'"),
        ({"cluster": ["prov"]}, "cluster: expected the name of one column"),
        ({"regressors": 5}, "expected names of columns"),
        ({"exogenous": 5}, "expected names of columns"),
        ({"time_step": "5"}, "time_step: expected a positive whole number"),
        ({"time_step": 0}, "time_step: expected a positive whole number"),
        ({"sample_rule": "rows"}, "sample_rule: expected one of"),
        ({"entity": "town"}, "entity 'town' is not a column"),
    ],
)
def test_wrong_types_are_refused_by_the_model(city_panel, changes, message):
    with pytest.raises(EstimationError, match=message):
        _model(city_panel, **changes).fit()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GMMStyle("y", lags=2), r"lags must be a pair \(first, last\), found 2. Write lags=\(2, 2\)"),
        (lambda: GMMStyle("y", lags=(2, 3, 4)), "lags must be a pair"),
        (lambda: GMMStyle("y", lags=(True, 2)), "lags must be integers"),
        (lambda: GMMStyle("y", collapse="false"), "collapse: expected True or False, found 'false'"),
        (lambda: GMMStyle(5), "expected names of columns, found 5"),
        (lambda: IVStyle("w", equation="difference", passthrough="no"), "passthrough: expected True or False"),
    ],
)
def test_wrong_types_are_refused_by_an_instrument_group(make, message):
    with pytest.raises(SpecificationError, match=message):
        make()


@pytest.mark.parametrize(("option", "value"), [("small", "false"), ("max_iterations", 0), ("tolerance", "small"),
                                               ("steps", "2"), ("steps", True), ("inverse", "ridge")])
def test_wrong_types_are_refused_by_fit(city_panel, option, value):
    with pytest.raises(SpecificationError, match=f"fit.{option}"):
        _model(city_panel).fit(**{option: value})


def test_duplicate_columns_are_named(city_panel):
    for name in ("x", "city", "year"):
        twice = pd.concat([city_panel, city_panel[[name]]], axis=1)
        with pytest.raises(SpecificationError, match=f"the column names \\['{name}'\\] occur more than once"):
            _model(twice).fit()
    # one that no one asks for may be there twice
    _model(pd.concat([city_panel, city_panel[["z"]]], axis=1)).fit()


@pytest.mark.parametrize("data", [{"y": [1.0]}, [1, 2], None, "panel.csv"])
def test_what_is_no_data_frame_is_refused(data):
    with pytest.raises(SpecificationError, match="data: expected a pandas DataFrame"):
        _model(data)


def test_text_and_lists_are_no_numbers(city_panel):
    with pytest.raises(NonNumericError):
        _model(city_panel.assign(x=city_panel["x"].map(lambda v: [v]))).fit()
    with pytest.raises(UnknownColumnError):
        _model(city_panel, weights="weights").fit()


TOML = """
dependent = "y"
regressors = ["L.y", "x", "w"]
entity = "city"
time = "year"
[[gmm]]
variables = ["y", "x"]
lags = [2, 3]
collapse = true
[[iv]]
variables = ["w"]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("collapse = true", 'collapse = "false"', "collapse: expected true or false, found 'false'"),
        ('entity = "city"', 'entity = "city"\nsystem = "false"', "system: expected True or False, found 'false'"),
        ('entity = "city"', 'entity = "city"\nconstant = "no"', "constant: expected True or False"),
        ("lags = [2, 3]", 'lags = "2-3"', "lags must be"),
        ("lags = [2, 3]", 'lags = ["2", "3"]', "lags must be integers"),
        ("lags = [2, 3]", "lags = 2", r"lags must be \[first, last\]"),
        ("[[gmm]]", "[gmm]", r"Write \[\[gmm\]\], not \[gmm\]"),
        ('regressors = ["L.y", "x", "w"]', "regressors = 3", "regressors: expected a list of names"),
        ('regressors = ["L.y", "x", "w"]', "regressors = [1, 2]", "expected names of columns, found 1"),
        ('dependent = "y"', "dependent = 1", "dependent: expected the name of one column"),
        ('entity = "city"', "entity = 7", "entity: expected text, found 7"),
        ('entity = "city"', 'entity = "city"\ntime_step = "5"', "time_step: expected a whole number"),
        ('entity = "city"', 'entity = "city"\nsample = true', "sample: expected text"),
        ('entity = "city"', 'entity = "city"\nh = "3"', "h: expected one of"),
        ('entity = "city"', 'entity = "city"\ntime_effects = ["level"]', "time_effects: expected one of"),
        ('variables = ["w"]', 'variables = ["w"]\n[fit]\nsmall = "false"', "fit.small: expected True or False"),
        ('variables = ["w"]', 'variables = ["w"]\n[fit]\nsteps = "two"', "fit.steps: expected one of"),
        ('variables = ["w"]', 'variables = 4', "expected names of columns, found 4"),
    ],
)
def test_wrong_types_in_a_file_are_refused(tmp_path, old, new, message):
    path = tmp_path / "model.toml"
    assert old in TOML
    path.write_text(TOML.replace(old, new), encoding="utf-8")
    with pytest.raises(SpecificationError, match=message):
        read_case(path)


def test_a_file_may_name_one_regressor_and_the_sample(tmp_path, city_panel):
    path = tmp_path / "model.toml"
    path.write_text(TOML.replace('entity = "city"', 'entity = "city"\ntime_step = 1\nsample = "year >= 2008"'), "utf-8")
    case = read_case(path)
    found = SystemGMM.from_case(city_panel, case).fit()
    expected = _model(city_panel, sample="year >= 2008").fit()
    np.testing.assert_allclose(found.params, expected.params)
    path.write_text(TOML.replace('["L.y", "x", "w"]', '"L.y"'), "utf-8")
    assert read_case(path).spec.regressors == ("L.y",)
