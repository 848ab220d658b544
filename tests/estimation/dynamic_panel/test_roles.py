"""What a column is, is kept by the design: long-run effects, period dummies and lags never hang on how a name is spelled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from estimation import GMMStyle, IVStyle, SystemGMM
from estimation.dynamic_panel.postestimation import autoregressive_terms, fieller_set, long_run_effect, long_run_table
from estimation.dynamic_panel.terms import read_term
from estimation.errors import CollinearityError, SpecificationError, UnknownColumnError

# one model written in two ways: solved twice in double precision
SAME = 1e-9


def _fit(data, regressors=("x", "w"), *, gmm=("y", "x"), **changes):
    options = {"dependent": "y", "instruments": [GMMStyle(gmm, (2, 3), True), IVStyle("w")]} | changes
    return SystemGMM(data, entity="city", time="year", regressors=list(regressors), **options).fit()


def test_a_column_whose_name_ends_like_the_dependent_variable_is_no_lag(city_panel):
    data = city_panel.rename(columns={"y": "emp", "x": "Land.emp"})
    fit = _fit(data, ("Land.emp", "w"), gmm=("emp", "Land.emp"), dependent="emp")
    assert autoregressive_terms(fit) == ("L.emp",)
    assert long_run_effect(fit, "w").estimate == pytest.approx(fit.params["w"] / (1 - fit.params["L.emp"]), rel=SAME)
    assert list(long_run_table(fit).index) == ["Land.emp", "w"]


def test_lagged_changes_vanish_in_the_long_run(city_panel):
    """y on L.y and L.D.y is y on L.y and L2.y."""
    change, plain = _fit(city_panel, ("L.D.y", "x", "w")), _fit(city_panel, lags=2)
    assert autoregressive_terms(change) == ("L.y",)
    assert autoregressive_terms(plain) == ("L.y", "L2.y")
    found, expected = long_run_effect(change, "x"), long_run_effect(plain, "x")
    assert found.estimate == pytest.approx(expected.estimate, rel=SAME)
    assert found.std_error == pytest.approx(expected.std_error, rel=1e-6)
    assert list(long_run_table(change).index) == ["x", "w"]


def test_an_equation_for_the_change_has_the_same_long_run(city_panel):
    """D.y = (a - 1) L.y + b x is y = a L.y + b x."""
    change = _fit(city_panel, ("L.y", "x", "w"), dependent="D.y", lags=0, gmm=("L.y", "x"))
    level = _fit(city_panel, ("L.y", "x", "w"), lags=0, gmm=("L.y", "x"))
    found, expected = long_run_effect(change, "x"), long_run_effect(level, "x")
    assert change.params["L.y"] == pytest.approx(level.params["L.y"] - 1, rel=1e-6)
    assert found.estimate == pytest.approx(expected.estimate, rel=1e-6)
    sets = fieller_set(change, "x"), fieller_set(level, "x")
    assert (sets[0].lower, sets[0].upper) == pytest.approx((sets[1].lower, sets[1].upper), rel=1e-5)


def test_growth_on_its_own_lag_has_the_long_run_of_growth(city_panel):
    fit = _fit(city_panel, ("L.D.y", "x", "w"), dependent="D.y", lags=0, gmm=("x",))
    assert long_run_effect(fit, "x").estimate == pytest.approx(fit.params["x"] / (1 - fit.params["L.D.y"]), rel=SAME)


@pytest.mark.parametrize(("one", "other"), [("LD.x", "L.D.x"), ("l.x", "L.x"), ("L2D.x", "L2.D.x"), ("L.L.x", "L2.x")])
def test_operators_are_read_as_stata_reads_them(city_panel, one, other):
    first, second = _fit(city_panel, ("x", "w", one)), _fit(city_panel, ("x", "w", other))
    assert first.params[one] == pytest.approx(second.params[other], rel=SAME)


@pytest.mark.parametrize(
    ("regressors", "message"),
    [
        (("x", "L.x", "L1.x"), "'L.x' and 'L1.x' are the same variable"),
        (("x", "L0.y"), "'L0.y' is the dependent variable 'y' itself"),
        (("L(1/2).x",), "Write each lag by itself"),
        (("i.prov",), "a dummy for each value"),
        (("c.x#c.w",), "Write a product as x:z"),
        (("S.x",), "Seasonal"),
    ],
)
def test_a_notation_that_is_not_known_comes_with_the_remedy(city_panel, regressors, message):
    with pytest.raises((SpecificationError, UnknownColumnError), match=message.replace("(", r"\(")):
        _fit(city_panel, (*regressors, "w"))


def test_a_column_called_like_a_lag_of_another_column_is_refused(city_panel):
    data = city_panel.rename(columns={"x": "L.y"})
    with pytest.raises(SpecificationError, match="'L.y' is a column of the data and also the operator L"):
        _fit(data, ("w",), gmm=("y",))
    # without the other column there is nothing to confuse it with
    assert read_term("L.z", {"L.z", "x"}).operators == ()


def test_a_variable_with_the_name_of_a_period_dummy_is_refused(city_panel):
    with pytest.raises(SpecificationError, match="year=2008: a variable has the name of a period dummy"):
        _fit(city_panel.rename(columns={"x": "year=2008"}), ("year=2008", "w"), gmm=("y",), time_effects="level")


@pytest.mark.parametrize("name", ["rate", "post", "trend"])
def test_a_variable_constant_within_periods_is_refused_beside_period_dummies(city_panel, name):
    """Any multiple of one dummy can be added to it, and the coefficient changes while the fit does not."""
    national = dict(zip(range(2005, 2014), np.random.default_rng(3).normal(size=9), strict=True))
    data = city_panel.assign(
        rate=city_panel["year"].map(national), post=(city_panel["year"] >= 2009).astype(int), trend=city_panel["year"] - 2005
    )
    groups = [GMMStyle(["y", "x"], (2, 3), True), IVStyle("w"), IVStyle(name)]
    with pytest.raises(CollinearityError, match=f"{name}: the same for every city within each year"):
        _fit(data, ("x", "w", name), time_effects="level", instruments=groups)
    with pytest.warns(match=f"Dropped: {name}"):
        fit = _fit(data, ("x", "w", name), time_effects="level", instruments=groups, collinear="drop")
    base = _fit(data, time_effects="level")
    assert fit.names == base.names and "period dummies" in dict(fit.fit.prepared.design.dropped)[name]
    assert fit.params["x"] == pytest.approx(base.params["x"], rel=1e-6)
    # without dummies it is a regressor like any other
    assert name in _fit(data, ("x", "w", name), instruments=groups).names


def test_a_combination_of_dummies_and_regressors_is_found_too(city_panel):
    """Age is the year less the year of birth."""
    born = city_panel["city"].map(lambda c: float(c % 7))
    data = city_panel.assign(born=born, age=city_panel["year"] - born)
    with pytest.raises(CollinearityError, match="age is collinear with the period dummies and the regressors before it"):
        _fit(data, ("x", "w", "born", "age"), time_effects="level",
             instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle(["w", "born", "age"])])


def test_a_level_far_from_zero_is_named_as_the_cause(city_panel):
    with pytest.raises(CollinearityError, match="less than a millionth of its size, so subtract a round number"):
        _fit(city_panel.assign(x=city_panel["x"] + 1e10))


def test_prediction_knows_the_period_dummies_and_the_length_of_a_period(city_panel):
    data = city_panel.assign(year=1960 + 5 * (city_panel["year"] - 2005))
    fit = _fit(data, time_effects="level", time_step=5)
    pd.testing.assert_series_equal(fit.predict(data), fit.predict())
    assert fit.predict(data).notna().sum() == fit.nobs
    later = fit.predict(data[data["year"] >= 1980])
    assert later.dropna().equals(fit.predict()[later.dropna().index])
