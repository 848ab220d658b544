"""Facts that must hold whatever the numbers are: coincidences, invariances, derivatives."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from estimation import DifferenceGMM, EstimationWarning, GMMStyle, IVStyle, SystemGMM
from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.bootstrap import drawn
from estimation.dynamic_panel.linear import weight_from

# the same numbers reached along another path in double precision
SAME = 1e-9
# central differences with steps of 1e-4 leave an error of this order
NUMERIC = 1e-5

pytestmark = pytest.mark.filterwarnings("ignore::estimation.errors.EstimationWarning")


def fit(data, *, kind=SystemGMM, steps=2, cov_type=None, small=False, **changes):
    settings_ = {
        "entity": "id",
        "time": "year",
        "dependent": "y",
        "regressors": ["x", "w"],
        "instruments": [GMMStyle("y", (2, 3), True), GMMStyle("x", (2, 3), True), IVStyle(["w", "z"])],
    } | changes
    return kind(data, **settings_).fit(steps=steps, cov_type=cov_type, small=small)


def assert_same_fit(a, b, *, scale=1.0):
    np.testing.assert_allclose(a.params * scale, b.params, rtol=SAME, atol=SAME)
    np.testing.assert_allclose(a.std_errors * scale, b.std_errors, rtol=1e-7)
    np.testing.assert_allclose(a.hansen.stat, b.hansen.stat, rtol=1e-7)


def test_collapsed_equals_uncollapsed_when_every_lag_has_one_period(make_panel):
    data = make_panel(n=80, periods=3, seed=5)
    collapsed, full = (
        fit(data, kind=DifferenceGMM, regressors=["w"], instruments=[GMMStyle("y", (2, None), c), IVStyle(["w", "z"])])
        for c in (True, False)
    )
    assert collapsed.n_instruments == full.n_instruments
    assert_same_fit(collapsed, full)


def test_fod_equals_fd_when_exactly_identified(make_panel):
    data = make_panel(n=80, periods=3, seed=6)
    fd, fod = (
        fit(data, kind=DifferenceGMM, regressors=[], instruments=[GMMStyle("y", lags)], transform=transform)
        for transform, lags in (("fd", (2, 2)), ("fod", (2, 2)))
    )
    assert fd.df == fod.df == 0
    np.testing.assert_allclose(fd.params, fod.params, rtol=SAME)
    np.testing.assert_allclose(fd.std_errors, fod.std_errors, rtol=SAME)


@pytest.mark.parametrize("steps", [1, 2])
def test_fod_equals_fd_with_all_instruments_on_a_balanced_panel(make_panel, steps):
    """With every available lag the moments of both transforms span the same space; one step weights them alike too."""
    data = make_panel(n=120, periods=6, seed=7)
    fd, fod = (
        fit(
            data,
            kind=DifferenceGMM,
            regressors=[],
            instruments=[GMMStyle("y", (2, None))],
            transform=transform,
            steps=steps,
        )
        for transform in ("fd", "fod")
    )
    assert fd.n_instruments == fod.n_instruments == 10
    np.testing.assert_allclose(fd.params, fod.params, rtol=1e-8)
    np.testing.assert_allclose(fd.std_errors, fod.std_errors, rtol=1e-8)


@pytest.mark.parametrize("transform", ["fd", "fod"])
def test_scaling_a_variable_scales_its_coefficient_only(gapped, transform):
    plain = fit(gapped, transform=transform)
    scaled = fit(gapped.assign(x=gapped["x"] * 1000.0), transform=transform)
    assert_same_fit(plain, scaled, scale=pd.Series([1.0, 1e-3, 1.0, 1.0], index=plain.params.index))
    everything = fit(gapped.assign(y=gapped["y"] * 1e-4), transform=transform)
    assert_same_fit(plain, everything, scale=pd.Series([1.0, 1e-4, 1e-4, 1e-4], index=plain.params.index))


def test_centring_before_the_product_moves_lower_order_terms_only_with_year_dummies(panel):
    """Exact on a balanced panel, where a constant in a differenced row is a difference of two level dummies' moments."""

    def with_product(data, shift):
        data = data.assign(x=data["x"] - shift)
        data["xw"] = data["x"] * data["w"]
        return fit(
            data,
            regressors=["x", "w", "xw"],
            time_effects="level",
            instruments=[GMMStyle("y", (2, 3), True), GMMStyle("x", (2, 3), True), IVStyle(["w", "xw", "z"])],
        )

    raw, centred = with_product(panel, 0.0), with_product(panel, 2.5)
    for name in ("L.y", "x", "xw"):
        np.testing.assert_allclose(raw.params[name], centred.params[name], rtol=1e-7)
        np.testing.assert_allclose(raw.std_errors[name], centred.std_errors[name], rtol=1e-6)
    np.testing.assert_allclose(raw.hansen.stat, centred.hansen.stat, rtol=1e-6)
    np.testing.assert_allclose(raw.params["w"] + 2.5 * raw.params["xw"], centred.params["w"], rtol=1e-6)


def test_shifting_the_dependent_variable_is_harmless_with_year_dummies_only(panel):
    """Levels of y are instruments; the dummies' moments absorb a shift of them, and without dummies nothing does."""
    shifted = panel.assign(y=panel["y"] + 10.0)
    for equation in ("level", "both"):
        a, b = fit(panel, time_effects=equation), fit(shifted, time_effects=equation)
        np.testing.assert_allclose(a.params["L.y"], b.params["L.y"], rtol=1e-7)
        np.testing.assert_allclose(a.hansen.stat, b.hansen.stat, rtol=1e-6)
    assert abs(fit(panel).params["L.y"] - fit(shifted).params["L.y"]) > 1e-3


def test_order_of_rows_and_kind_of_index_are_irrelevant(gapped):
    plain = fit(gapped)
    assert_same_fit(plain, fit(gapped.sort_values(["year", "id"])))
    assert_same_fit(plain, fit(gapped.set_index(["id", "year"]), entity=None, time=None))
    assert_same_fit(plain, fit(gapped.assign(id="city " + gapped["id"].astype(str))))
    assert_same_fit(plain, fit(gapped.assign(year=gapped["year"] * 5), time_step=5))


def test_clusters_of_one_entity_change_nothing(gapped):
    assert_same_fit(fit(gapped), fit(gapped.assign(own=gapped["id"] + 7), cluster="own"))


@pytest.mark.parametrize("steps", [1, 2])
def test_clustered_covariance_equals_the_sum_over_clusters(panel, steps):
    """Moments summed over provinces by hand give the same covariance of moments."""
    results = fit(panel, cluster="province", steps=steps)
    data = results.fit.prepared.data
    g = np.einsum("nrj,nr->nj", data.Z, data.y - data.X @ results.fit.one_step.fit.beta)
    by_province = pd.DataFrame(g).groupby(np.arange(60) % 20).sum().to_numpy()
    S = algebra.moment_covariance(data, results.fit.one_step.e)
    np.testing.assert_allclose(S, by_province.T @ by_province, rtol=1e-10)
    assert results.n_clusters == 20


@pytest.mark.parametrize("transform", ["fd", "fod"])
@pytest.mark.parametrize("cov_type", [None, "doubly_corrected"])
def test_frequency_weights_equal_copies_of_entities(gapped, transform, cov_type):
    counts = 1 + gapped["id"] % 3
    copies = pd.concat([gapped[counts > n].assign(id=lambda d, n=n: d["id"] + 1000 * n) for n in range(3)])
    weighted = fit(
        gapped.assign(f=counts), weights="f", weight_kind="frequency", transform=transform, cov_type=cov_type
    )
    copied = fit(copies, transform=transform, cov_type=cov_type)
    assert_same_fit(weighted, copied)
    assert (weighted.nobs, weighted.n_groups) == (copied.nobs, copied.n_groups)
    np.testing.assert_allclose(weighted.ar_test(2).stat, copied.ar_test(2).stat, rtol=1e-8)
    np.testing.assert_allclose(weighted.sargan.stat, copied.sargan.stat, rtol=1e-8)


def test_equal_probability_weights_change_nothing(gapped):
    plain, weighted = fit(gapped), fit(gapped.assign(p=3.7), weights="p")
    assert_same_fit(plain, weighted)
    np.testing.assert_allclose(plain.ar_test(1).stat, weighted.ar_test(1).stat, rtol=1e-8)
    np.testing.assert_allclose(plain.sargan.stat, weighted.sargan.stat, rtol=1e-8)


def test_one_step_and_two_step_coincide_when_exactly_identified(gapped):
    instruments = [GMMStyle("y", (2, 2), True, equation="difference"), IVStyle(["w", "z"])]
    one, two = (fit(gapped, instruments=instruments, steps=s, cov_type="robust") for s in (1, 2))
    assert one.df == 0
    np.testing.assert_allclose(one.params, two.params, rtol=1e-8)
    np.testing.assert_allclose(one.std_errors, two.std_errors, rtol=1e-6)
    assert not one.hansen.applies and "0 degrees" in one.hansen.reason


def test_sandwich_equals_optimal_covariance_with_the_optimal_weight(gapped):
    results = fit(gapped, cov_type="unadjusted")
    S = algebra.moment_covariance(results.fit.prepared.data, results.fit.one_step.e)
    np.testing.assert_allclose(algebra.robust_covariance(results.fit.reported.fit, S), results.cov, rtol=1e-8)


def test_small_sample_factor(gapped):
    plain, small = fit(gapped), fit(gapped, small=True)
    n, k, g = plain.nobs, len(plain.params), plain.n_groups
    np.testing.assert_allclose(small.cov, plain.cov * (n - 1) / (n - k) * g / (g - 1), rtol=1e-12)
    assert small.df_resid == g - 1 and (small.pvalues > plain.pvalues).all()


def test_level_only_model_is_two_stage_least_squares(panel):
    results = fit(panel, lags=0, instruments=[IVStyle(["w", "z"], equation="level")], steps=1, h=1)
    x = np.column_stack([panel["x"], panel["w"], np.ones(len(panel))])
    z = np.column_stack([panel["z"], panel["w"], np.ones(len(panel))])
    expected = np.linalg.solve(z.T @ x, z.T @ panel["y"])
    np.testing.assert_allclose(results.params, expected, rtol=SAME)


def test_windmeijer_slope_is_the_derivative_of_two_step_with_respect_to_one_step(gapped):
    results = fit(gapped)
    data, one, two = results.fit.prepared.data, results.fit.one_step, results.fit.two_step
    D = algebra.windmeijer_slope(data, one.e, two)
    for c in range(data.k):
        ends = []
        for sign in (1, -1):
            beta = one.fit.beta.copy()
            beta[c] += sign * 1e-4
            S = algebra.moment_covariance(data, algebra.residuals(data, beta))
            ends.append(algebra.take_step(data, weight_from(S)).fit.beta)
        np.testing.assert_allclose(D[:, c], (ends[0] - ends[1]) / 2e-4, rtol=NUMERIC, atol=NUMERIC)


@pytest.mark.parametrize("steps", [1, 2])
def test_doubly_corrected_errors_are_the_infinitesimal_jackknife(gapped, steps):
    """Each cluster's influence is the derivative of the estimate with respect to that cluster's weight."""
    results = fit(gapped, steps=steps, cov_type="doubly_corrected")
    data = results.fit.prepared.data
    n = len(data.y)
    influence = np.zeros((n, data.k))
    for i in range(n):
        ends = []
        for sign in (1, -1):
            counts = np.ones(n)
            counts[i] += sign * 1e-4
            again = drawn(data, counts)
            step = algebra.take_step(again, weight_from(algebra.one_step_covariance(again)))
            if steps == 2:
                step = algebra.take_step(again, weight_from(algebra.moment_covariance(again, step.e)))
            ends.append(step.fit.beta)
        influence[i] = (ends[0] - ends[1]) / 2e-4
    np.testing.assert_allclose(influence.T @ influence, results.cov, rtol=1e-4, atol=1e-9)


def test_iterated_estimate_is_a_fixed_point_with_the_smallest_change(gapped):
    results = fit(gapped, steps="iterated")
    data = results.fit.prepared.data
    S = algebra.moment_covariance(data, algebra.residuals(data, results.fit.params))
    again = algebra.take_step(data, weight_from(S))
    np.testing.assert_allclose(again.fit.beta, results.params, rtol=1e-7, atol=1e-8)
    assert results.fit.n_iterations > 2


def test_continuously_updated_criterion_is_a_minimum(gapped):
    cue, two, iterated = (fit(gapped, steps=s) for s in ("cue", 2, "iterated"))
    data = cue.fit.prepared.data

    def criterion(beta):
        return algebra.criterion_and_slope(data, np.asarray(beta), "sweep")

    lowest, slope = criterion(cue.params)
    assert lowest < criterion(two.params)[0] and lowest < criterion(iterated.params)[0]
    np.testing.assert_allclose(lowest, cue.hansen.stat, rtol=1e-9)
    for c in range(data.k):
        step = np.zeros(data.k)
        step[c] = 1e-5
        at = two.params.to_numpy()
        numeric = (criterion(at + step)[0] - criterion(at - step)[0]) / 2e-5
        np.testing.assert_allclose(criterion(at)[1][c], numeric, rtol=1e-4, atol=1e-3)


def test_continuously_updated_estimate_ignores_the_scale_of_moments(gapped):
    cue = fit(gapped, steps="cue")
    scaled = fit(gapped.assign(z=gapped["z"] * 50), steps="cue")
    np.testing.assert_allclose(cue.params, scaled.params, rtol=1e-4, atol=1e-5)


def test_generalised_inverses_agree_unless_the_weight_is_singular(gapped, make_panel):
    model = SystemGMM(gapped, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"])
    np.testing.assert_allclose(model.fit().params, model.fit(inverse="moore_penrose").params, rtol=1e-10)
    few = make_panel(n=15, periods=8, seed=2)
    model = SystemGMM(
        few, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"], n_lags=None, collapse=False
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EstimationWarning)
        swept = model.fit()
    kinds = {type(w.message).__name__ for w in caught}
    assert {"InstrumentCountWarning", "SingularWeightWarning"} <= kinds
    assert swept.weight_rank <= 15 < swept.n_instruments
    assert abs(swept.params["L.y"] - model.fit(inverse="moore_penrose").params["L.y"]) > 1e-6


def test_redundant_and_empty_moments_do_not_count(gapped):
    extra = gapped.assign(w2=2 * gapped["w"], fixed=gapped["d"])
    plain = fit(gapped, kind=DifferenceGMM)
    padded = fit(
        extra,
        kind=DifferenceGMM,
        instruments=[
            GMMStyle("y", (2, 3), True),
            GMMStyle("x", (2, 3), True),
            IVStyle(["w", "z"]),
            IVStyle(["w2", "fixed"]),
        ],
    )
    assert_same_fit(plain, padded)
    assert padded.n_instruments == plain.n_instruments
    reasons = padded.moments.set_index("variable")["reason"]
    assert reasons["w2"].startswith("redundant") and reasons["fixed"] == "zero in every row"


def test_time_effects_equal_dummies_made_by_hand(gapped):
    years = sorted(gapped["year"].unique())[2:]
    by_hand = gapped.assign(**{f"d{y}": (gapped["year"] == y).astype(float) for y in years})
    names = [f"d{y}" for y in years]
    for equation in ("level", "both", "difference"):
        made = fit(gapped, time_effects=equation)
        instruments = [
            GMMStyle("y", (2, 3), True),
            GMMStyle("x", (2, 3), True),
            IVStyle(["w", "z"]),
            IVStyle(names, equation=equation),
        ]
        written = fit(by_hand, regressors=["x", "w", *names], instruments=instruments)
        np.testing.assert_allclose(made.params["x"], written.params["x"], rtol=1e-8)
        np.testing.assert_allclose(made.std_errors["x"], written.std_errors["x"], rtol=1e-8)


def test_time_invariant_regressor_is_identified_by_the_level_equation(gapped):
    assert (
        "d"
        in fit(
            gapped,
            regressors=["x", "w", "d"],
            instruments=[GMMStyle("y", (2, 3), True), GMMStyle("x", (2, 3), True), IVStyle(["w", "z", "d"])],
        ).params
    )
    both, level = (
        fit(
            gapped,
            regressors=["x", "w", "d"],
            instruments=[
                GMMStyle("y", (2, 3), True),
                GMMStyle("x", (2, 3), True),
                IVStyle(["w", "z"]),
                IVStyle("d", equation=e),
            ],
        )
        for e in ("both", "level")
    )
    assert_same_fit(both, level)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), factor=st.floats(1e-3, 1e3), holes=st.floats(0.0, 0.25))
def test_any_panel_scales_and_stays_symmetric(make_panel, seed, factor, holes):
    data = make_panel(n=50, periods=7, seed=seed, holes=holes)
    plain = fit(data)
    scaled = fit(data.assign(w=data["w"] * factor))
    np.testing.assert_allclose(plain.params["w"], scaled.params["w"] * factor, rtol=1e-6)
    np.testing.assert_allclose(plain.hansen.stat, scaled.hansen.stat, rtol=1e-6)
    assert np.array_equal(plain.cov.to_numpy(), plain.cov.to_numpy().T)
    assert np.linalg.eigvalsh(plain.cov).min() > 0


def test_h_matters_in_systems_and_identity_equals_two_stage_least_squares(gapped):
    full, block, identity = (fit(gapped, h=h, steps=1) for h in (3, 2, 1))
    assert abs(full.params["L.y"] - block.params["L.y"]) > 1e-4
    data = identity.fit.prepared.data
    Z, X, y = data.Z.reshape(-1, data.j), data.X.reshape(-1, data.k), data.y.ravel()
    fitted = Z @ np.linalg.lstsq(Z, X, rcond=None)[0]
    np.testing.assert_allclose(identity.params, np.linalg.lstsq(fitted, y, rcond=None)[0], rtol=1e-7)
    assert replace(identity.spec, h=3) == full.spec


@pytest.mark.parametrize("transform", ["fd", "fod"])
@pytest.mark.parametrize("kind", [SystemGMM, DifferenceGMM])
def test_classical_and_robust_inference_agree_under_homoskedasticity(make_panel, kind, transform):
    """The errors of the drawn panel are i.i.d., so for many entities both forms estimate the same variances."""
    data = make_panel(n=3000, periods=6, seed=31)
    instruments = [GMMStyle("y", (2, 3), True), GMMStyle("x", (2, 3), True), IVStyle(["w", "z"])]
    classical, robust = (
        fit(data, kind=kind, instruments=instruments, steps=1, cov_type=c, transform=transform)
        for c in ("unadjusted", "robust")
    )
    if kind is DifferenceGMM:
        # in a system the level errors hold the entity effect, which H leaves out: there only the AR tests compare
        np.testing.assert_allclose(classical.std_errors, robust.std_errors, rtol=0.06)
    # order 1 is present in differences by construction, and then the two variances differ
    for order in (2, 3):
        a, b = classical.ar_test(order), robust.ar_test(order)
        assert a.applies and abs(a.stat - b.stat) < 0.1
        assert a.stat != b.stat


def test_missing_instruments_may_count_as_zero(gapped):
    holes = gapped.assign(z=gapped["z"].where(gapped["w"] > -1))
    dropped = fit(holes)
    kept = fit(
        holes,
        instruments=[
            GMMStyle("y", (2, 3), True),
            GMMStyle("x", (2, 3), True),
            IVStyle("w"),
            IVStyle("z", missing="zero"),
        ],
    )
    assert kept.nobs == fit(gapped).nobs > dropped.nobs


def test_passthrough_enters_the_level_in_the_transformed_equation(gapped):
    by_hand = fit(
        gapped, kind=DifferenceGMM, instruments=[GMMStyle("y", (2, 3), True), GMMStyle("z", (0, 0), True), IVStyle("w")]
    )
    passed = fit(
        gapped,
        kind=DifferenceGMM,
        instruments=[GMMStyle("y", (2, 3), True), IVStyle("z", equation="difference", passthrough=True), IVStyle("w")],
    )
    assert_same_fit(by_hand, passed)


def test_numbers_of_any_kind_are_read_alike(gapped):
    from decimal import Decimal

    plain = fit(gapped)
    exact = gapped.assign(
        x=[Decimal(repr(v)) for v in gapped["x"]],
        year=gapped["year"].astype("Int64"),
        id=gapped["id"].astype("string"),
        w=gapped["w"].astype("Float64"),
    )
    assert_same_fit(plain, fit(exact))
