"""Units and origins: what scaling or shifting a variable may change, and what it must not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from estimation import EstimationWarning, GMMStyle, IVStyle, SystemGMM


def _fit(data, **changes):
    options = {"time_effects": "level"} | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        return SystemGMM(data, entity="city", time="year", dependent="y", regressors=["x", "w"],
                         instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle("w")], **options).fit()


@pytest.mark.parametrize("factor", [1e4, 1e8, 1e12, 1e-8, 1e-12])
def test_wald_tests_do_not_hang_on_units(city_panel, factor):
    plain, scaled = _fit(city_panel), _fit(city_panel.assign(x=city_panel["x"] * factor))
    assert scaled.wald_test().stat == pytest.approx(plain.wald_test().stat, rel=1e-6)
    assert scaled.wald_test(["L.y", "x"]).stat == pytest.approx(plain.wald_test(["L.y", "x"]).stat, rel=1e-6)
    twice = scaled.wald_test(np.array([[0, 1.0, 0] + [0.0] * 8, [0, 2.0, 0] + [0.0] * 8]))
    assert not twice.applies and "2 restrictions of rank 1" in twice.reason


@pytest.mark.parametrize(("shift", "digits"), [(1e3, 1e-7), (1e5, 1e-6), (1e7, 1e-4)])
def test_a_large_constant_changes_the_constant_alone_on_a_balanced_panel(city_panel, shift, digits):
    """Documented under "Centring": exact with period dummies and no gaps; rounding costs digits as the shift grows."""
    plain, moved = _fit(city_panel), _fit(city_panel.assign(x=city_panel["x"] + shift))
    slopes = [name for name in plain.names if name != "_cons"]
    np.testing.assert_allclose(moved.params[slopes], plain.params[slopes], rtol=digits, atol=digits)
    np.testing.assert_allclose(moved.std_errors[slopes], plain.std_errors[slopes], rtol=100 * digits)
    assert moved.n_instruments == plain.n_instruments
    assert moved.params["_cons"] == pytest.approx(plain.params["_cons"] - shift * plain.params["x"], rel=1e-4)
    assert moved.hansen.stat == pytest.approx(plain.hansen.stat, rel=100 * digits)
    np.testing.assert_allclose(moved.resids["resid"], plain.resids["resid"], atol=1e3 * digits)


def test_a_variable_far_from_zero_is_named(city_panel):
    with pytest.warns(EstimationWarning, match="x: the mean is more than 1e[+]06 times the standard deviation"):
        SystemGMM(city_panel.assign(x=city_panel["x"] + 1e8), entity="city", time="year", dependent="y",
                  regressors=["x", "w"], instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle("w")]).fit()
