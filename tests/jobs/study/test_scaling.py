"""Centring, products and standardisation: checked against formulas written out, and for what must not change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jobs.study.scaling import ScalingError, scale_panel

PAIRS = (("a", "b"),)
ROUNDING = 1e-12  # a handful of double operations on numbers of order one


@pytest.fixture
def panel():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(5, 2, (60, 3)), columns=["y", "a", "b"])
    frame.loc[[3, 17], "b"] = np.nan
    return frame


def constants(scaled):
    return scaled.constants.set_index(["variable", "statistic"])["constant_value"]


def test_paper_order_centres_multiplies_then_standardises(panel):
    scaled = scale_panel(panel, ["y", "a", "b"], PAIRS)
    a, b = panel["a"] - panel["a"].mean(), panel["b"] - panel["b"].mean()
    product = a * b
    np.testing.assert_allclose(scaled.panel["a_x_b"], product, rtol=ROUNDING)
    np.testing.assert_allclose(scaled.panel["z_a_x_b"], (product - product.mean()) / product.std(ddof=1), rtol=1e-10)
    np.testing.assert_allclose(scaled.panel["z_y"], (panel["y"] - panel["y"].mean()) / panel["y"].std(ddof=1), rtol=1e-10)
    assert constants(scaled)["a_x_b", "n"] == 58


def test_products_of_standardised_variables_are_left_alone(panel):
    scaled = scale_panel(panel, ["a", "b"], PAIRS, products="standardised")
    np.testing.assert_allclose(scaled.panel["z_a_x_b"], scaled.panel["z_a"] * scaled.panel["z_b"], rtol=1e-10)
    assert constants(scaled)["a_x_b", "mean"] == 0


@pytest.mark.parametrize("products", ["centred", "standardised"])
def test_every_z_is_its_column_less_mean_over_sd(panel, products):
    scaled = scale_panel(panel, ["y", "a", "b"], PAIRS, products=products)
    stored = constants(scaled)
    for name in ("y", "a", "b", "a_x_b"):
        again = (scaled.panel[name] - stored[name, "mean"]) / stored[name, "sd"]
        np.testing.assert_allclose(scaled.panel[f"z_{name}"], again, rtol=ROUNDING)


def test_constants_of_a_subsample_scale_all_rows(panel):
    rows = np.arange(len(panel)) < 20
    scaled = scale_panel(panel, ["a", "b"], PAIRS, rows=rows)
    np.testing.assert_allclose(scaled.panel.loc[rows, "z_a"].mean(), 0, atol=ROUNDING)
    np.testing.assert_allclose(scaled.panel.loc[rows, "z_a_x_b"].std(ddof=1), 1, rtol=ROUNDING)
    assert scaled.panel["z_a"].notna().all()
    assert abs(scaled.panel["z_a"].mean()) > 1e-3


def test_coefficients_turn_back_into_natural_units(panel):
    """Least squares per SD, times sd(y)/sd(x), is least squares in natural units with centred products."""
    full = panel.dropna()
    scaled = scale_panel(full, ["y", "a", "b"], PAIRS)
    names, stored = ["a", "b", "a_x_b"], constants(scaled)
    per_sd = np.linalg.lstsq(_with_ones(scaled.panel[[f"z_{n}" for n in names]]), scaled.panel["z_y"], rcond=None)[0]
    natural = np.linalg.lstsq(_with_ones(scaled.panel[names]), full["y"], rcond=None)[0]
    back = [per_sd[i + 1] * stored["y", "sd"] / stored[name, "sd"] for i, name in enumerate(names)]
    np.testing.assert_allclose(back, natural[1:], rtol=1e-9)  # two least-squares solutions, condition below 100


def test_order_of_products_leaves_the_interaction_in_natural_units_alone(panel):
    full = panel.dropna()
    found = []
    for products in ("centred", "standardised"):
        scaled = scale_panel(full, ["y", "a", "b"], PAIRS, products=products)
        stored = constants(scaled)
        columns = _with_ones(scaled.panel[["z_a", "z_b", "z_a_x_b"]])
        per_sd = np.linalg.lstsq(columns, scaled.panel["z_y"], rcond=None)[0]
        found.append(per_sd[3] * stored["y", "sd"] / stored["a_x_b", "sd"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_variable_that_does_not_vary_is_zero_and_named(panel):
    scaled = scale_panel(panel.assign(zone=1.0), ["a", "zone"], ())
    assert scaled.constant_variables == ("zone",)
    assert (scaled.panel["z_zone"] == 0).all()


def test_variable_without_any_value_stays_missing(panel):
    scaled = scale_panel(panel.assign(none=np.nan), ["a", "none"], (("a", "none"),))
    assert scaled.panel["z_none"].isna().all() and scaled.panel["a_x_none"].isna().all()
    assert "none" not in set(scaled.constants["variable"])


def test_constants_over_rows_without_the_variable_are_refused(panel):
    rows = np.zeros(len(panel), dtype=bool)
    with pytest.raises(ScalingError, match="no row of 60"):
        scale_panel(panel, ["a"], (), rows=rows)
    rows[3] = True
    with pytest.raises(ScalingError, match="b: no value in the 1 rows"):
        scale_panel(panel, ["a", "b"], (), rows=rows)


def _with_ones(frame):
    return np.column_stack([np.ones(len(frame)), frame.to_numpy(dtype=float)])
