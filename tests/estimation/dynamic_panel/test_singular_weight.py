"""A singular two-step weight: one answer for one data set, Stata's where asked, and which moments it leaves out."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimation import (
    DifferenceGMM,
    EstimationError,
    EstimationWarning,
    GMMStyle,
    IVStyle,
    PanelGMM,
    PanelSpec,
    SystemGMM,
)
from estimation.dynamic_panel.linear import independent_moments, weight_from

ABDATA = Path(__file__).resolve().parents[4] / "shared" / "golden" / "dynamic_panel" / "data" / "abdata.csv"
HERE = pytest.mark.skipif(not ABDATA.exists(), reason="the data of Arellano and Bond are not distributed with this repository")
# sums in another order, through a factor whose smallest kept share is about 1e-6
SAME = 1e-5
INVERSES = ("scaled_sweep", "sweep", "moore_penrose")


def _fit(data, *, inverse="scaled_sweep", collapse=False, lags=(2, 3), cluster=None, transform="fd", steps=2, **changes):
    options = {"regressors": ["x", "w"], "instruments": [GMMStyle(["y", "x"], lags, collapse), IVStyle("w")]} | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        model = SystemGMM(
            data, entity="city", time="year", dependent="y", cluster=cluster, transform=transform, **options
        )
        return model.fit(inverse=inverse, steps=steps)


def _numbers(fit, scale=None):
    params, errors = fit.params.copy(), fit.std_errors.copy()
    for name, factor in (scale or {}).items():
        params[name] *= factor
        errors[name] *= factor
    return np.concatenate([params, errors, [fit.hansen.stat, fit.ar_test(2).stat]])


@pytest.fixture(scope="module")
def few(city_panel):
    """Fourteen cities for 42 moments."""
    return city_panel[city_panel["city"] < 14]


@pytest.mark.parametrize("inverse", INVERSES)
def test_the_order_and_names_of_cities_and_rows_do_not_matter(few, inverse):
    expected = _numbers(_fit(few, inverse=inverse))
    rng = np.random.default_rng(0)
    for _ in range(6):
        new = dict(zip(range(14), rng.permutation(14) * 7 + 3, strict=True))
        named = {old: f"city {number:03d}" for old, number in new.items()}
        for names in (new, named):
            data = few.assign(city=few["city"].map(names)).sample(frac=1.0, random_state=int(rng.integers(99)))
            np.testing.assert_allclose(_numbers(_fit(data, inverse=inverse)), expected, rtol=SAME)


@pytest.mark.parametrize("factor", [1 / 3, 7.0, 1e4, 1e8, 1e-8])
@pytest.mark.parametrize("name", ["x", "y", "w"])
def test_units_do_not_matter_to_the_default(few, name, factor):
    """Coefficients turn into the new units and nothing else changes."""
    expected, fit = _fit(few), _fit(few.assign(**{name: few[name] * factor}))
    scale = {name: factor} if name != "y" else {"x": 1 / factor, "w": 1 / factor, "_cons": 1 / factor}
    np.testing.assert_allclose(_numbers(fit, scale), _numbers(expected), rtol=SAME)
    assert set(fit.left_out["variable"]) == set(expected.left_out["variable"])


def test_what_is_left_out_is_said(few):
    with pytest.warns(EstimationWarning) as caught:
        fit = SystemGMM(few, entity="city", time="year", dependent="y", regressors=["x", "w"],
                        instruments=[GMMStyle(["y", "x"], (2, 3)), IVStyle("w")]).fit()
    assert fit.weight_rank == 14 and len(fit.left_out) == fit.n_instruments - 14
    assert fit.moments["weighted"].sum() == 14 and (fit.moments["kept"] >= fit.moments["weighted"]).all()
    text = next(str(item.message) for item in caught if "rank 14" in str(item.message))
    for part in ("leaves out", "over 14 values of city", "collapse", "steps=1"):
        assert part in text
    regular = _fit(few, collapse=True, lags=(2, 2))
    assert regular.left_out.empty and regular.moments["weighted"].equals(regular.moments["kept"])


@pytest.mark.filterwarnings("ignore::estimation.errors.InstrumentCountWarning")
def test_more_moments_than_provinces_say_to_cluster_on_cities(city_panel):
    with pytest.warns(EstimationWarning, match="or cluster on city"):
        SystemGMM(city_panel, entity="city", time="year", dependent="y", regressors=["x", "w"], cluster="prov",
                  instruments=[GMMStyle(["y", "x"], (2, 4), True), IVStyle("w")]).fit(steps=1)


@HERE
@pytest.mark.parametrize("inverse", ["sweep", "scaled_sweep"])
def test_stata_s_numbers_come_out_whatever_the_firms_are_called(inverse):
    """xtabond2 on a rank of 26 for 32 moments: 1.15740, -.03566, and the criterion 56.9485."""
    data = pd.read_csv(ABDATA)
    data = data[~((data["year"] < 1978) & (data["id"] > 6))]
    spec = PanelSpec("n", ("L.n", "L2.n"), (GMMStyle("n", (2, None)),), system=True, h=2)
    rng = np.random.default_rng(0)
    firms = data["id"].unique()
    for factor in (1.0, 100.0, 2.302585):
        new = dict(zip(firms, rng.permutation(len(firms)), strict=True))
        renamed = data.assign(id=data["id"].map(new), n=data["n"] * factor)
        with pytest.warns(EstimationWarning):
            fit = PanelGMM.from_spec(renamed, spec, entity="id", time="year").fit(inverse=inverse)
        assert round(fit.params["L.n"], 5) == 1.15740
        assert round(fit.params["_cons"] / factor, 5) == -0.03566
        assert round(fit.hansen.stat, 4) == 56.9485
        assert (fit.weight_rank, fit.n_instruments) == (26, 32)


@HERE
def test_stata_s_hansen_after_one_step_over_nine_industries():
    data = pd.read_csv(ABDATA)
    model = DifferenceGMM(data, entity="id", time="year", dependent="n", regressors=["w", "k"], cluster="ind",
                          instruments=[GMMStyle("L.n", (1, None)), IVStyle(["w", "k"])])
    with pytest.warns(EstimationWarning):
        fit = model.fit(steps=1, inverse="sweep")
    assert fit.hansen.stat == pytest.approx(6.2186405911, abs=1e-9)


@HERE
def test_ar_tests_over_entities_are_stata_s_and_stand_beside_ours():
    """xtabond2 n L.n w k, gmm(L.n, lag(1 .)) iv(w k) cluster(ind): it sums over firms, the moments over industries."""
    data = pd.read_csv(ABDATA)
    model = SystemGMM(data, entity="id", time="year", dependent="n", regressors=["w", "k"], cluster="ind",
                      instruments=[GMMStyle("L.n", (1, None)), IVStyle(["w", "k"])])
    with pytest.warns(EstimationWarning):
        fit = model.fit(steps=1)
    assert fit.ar_test(1, over="entity").stat == pytest.approx(-2.06162710870854, abs=1e-9)
    assert fit.ar_test(2, over="entity").stat == pytest.approx(-0.56666237363142, abs=1e-9)
    assert (round(fit.ar_test(1).stat, 4), round(fit.ar_test(2).stat, 4)) == (-1.8227, -0.6234)
    assert "over ind; over id, as xtabond2: z = -2.0616" in fit.summary
    with pytest.raises(EstimationError, match="ar_test.over"):
        fit.ar_test(1, over="province")


@HERE
def test_small_does_not_reach_into_the_ar_test():
    """Roodman (2009), section 3.3: -5.39 and -.78; with the covariance scaled they would be -5.34 and -.77."""
    data = pd.read_csv(ABDATA)
    model = DifferenceGMM(
        data, entity="id", time="year", dependent="n", lags=2, time_effects="both",
        regressors=["w", "L.w", "k", "L.k", "L2.k", "ys", "L.ys", "L2.ys"],
        instruments=[GMMStyle(["L.n", "L.w", "L.k"], (1, None)), IVStyle(["ys", "L.ys", "L2.ys"])],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        small, plain = model.fit(steps=1, small=True), model.fit(steps=1)
    assert (round(small.ar_test(1).stat, 2), round(small.ar_test(2).stat, 2)) == (-5.39, -0.78)
    assert small.ar_test(1).stat == plain.ar_test(1).stat and (small.std_errors > plain.std_errors).all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    n=st.integers(9, 40), seed=st.integers(0, 10**6), collapse=st.booleans(), last=st.sampled_from([2, 3, None]),
    by_province=st.booleans(), transform=st.sampled_from(["fd", "fod"]), holes=st.booleans(),
    unit=st.sampled_from([1e-6, 0.3, 1.0, 50.0, 1e6]),
)
def test_a_fit_is_a_function_of_the_data(make_panel, n, seed, collapse, last, by_province, transform, holes, unit):
    """Random designs, most of them singular: order and names of cities, period labels, other columns and units are free."""
    data = make_panel(n=n, periods=6, seed=seed, holes=0.05 if holes else 0.0).rename(columns={"id": "city"})
    data["group"] = data["city"] % 7
    options = {"collapse": collapse, "lags": (2, last), "cluster": "group" if by_province else None, "transform": transform}
    rng = np.random.default_rng(seed)
    names = dict(zip(range(n), rng.permutation(n) + 1000, strict=True))
    changed = data.assign(city=data["city"].map(names), group="g" + (6 - data["group"]).astype(str), x=data["x"] * unit,
                          year=data["year"] - 1950, unrelated=1.0).sample(frac=1.0, random_state=seed % 100)
    try:
        expected = _fit(data, **options)
    except EstimationError:
        with pytest.raises(EstimationError):
            _fit(changed, **options)
        return
    found = _fit(changed, **options)
    # Windmeijer's correction subtracts numbers of one size; where that leaves nothing, its digits are free
    ok = expected.std_errors.notna() & (expected.std_errors > 1e-3 * expected.params.abs().max())
    factor = np.where(expected.params.index == "x", unit, 1.0)
    np.testing.assert_allclose(found.params * factor, expected.params, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose((found.std_errors * factor)[ok], expected.std_errors[ok], rtol=1e-3)
    assert found.weight_rank == expected.weight_rank
    if expected.hansen.applies:
        assert found.hansen.stat == pytest.approx(expected.hansen.stat, rel=1e-4)


def test_sweeping_a_made_up_matrix_takes_the_largest_first():
    """Three moments of rank two: c = a + b. The largest, c, stays, then the larger of what is left."""
    A = np.array([[3.0, 0.0, 3.0], [0.0, 2.0, 2.0]])
    weight = weight_from(A.T @ A, "sweep")
    assert weight.kept.tolist() == [0, 2] and weight.rank == 2
    np.testing.assert_allclose(weight.root.T @ weight.root, [[1 / 9 + 1 / 4, 0, -1 / 4], [0, 0, 0], [-1 / 4, 0, 1 / 4]])
    # in units in which a is small, b and c stay
    assert weight_from(A.T @ A, "scaled_sweep", np.array([100.0, 1.0, 1.0])).kept.tolist() == [1, 2]
    assert independent_moments(A.T @ A).tolist() == independent_moments(A.T @ A, lambda: A).tolist() == [0, 1]


def test_a_factor_tells_nearly_equal_moments_apart_where_their_squares_cannot():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(50, 3))
    A[:, 2] = A[:, 1] + 1e-8 * rng.normal(size=50)
    assert len(independent_moments(A.T @ A)) == 2 and len(independent_moments(A.T @ A, lambda: A)) == 3
    # what a regression on the first two leaves of the third
    rest = A[:, 2] - A[:, :2] @ np.linalg.lstsq(A[:, :2], A[:, 2], rcond=None)[0]
    found = weight_from(A.T @ A, "scaled_sweep", np.ones(3), lambda: A)
    assert np.linalg.norm(found.root[-1] @ A.T) == pytest.approx(1.0) and np.linalg.norm(rest) < 1e-6
