"""Bias-corrected moments, half-panel jackknife and the second stage: formulas by loops, and panels whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from estimation import (
    BiasCorrectedMM,
    DifferenceGMM,
    EstimationError,
    GMMStyle,
    HalfPanelJackknife,
    IVStyle,
    cue_underidentification_test,
    entity_effects,
    jochmans_test,
    sanderson_windmeijer,
    two_stage,
    two_way_clustered,
)
from estimation.dynamic_panel.bias_corrected import within_bias
from estimation.dynamic_panel.postestimation import fieller_set, linear_combination, long_run_effect
from estimation.dynamic_panel.spells import longest_run
from estimation.errors import CollinearityError, ConvergenceError, EmptySampleError, SpecificationError

pytestmark = pytest.mark.filterwarnings("ignore::estimation.EstimationWarning")
KEYS = {"entity": "id", "time": "year"}


def draw(n=300, periods=7, rho=(0.5,), *, seed=0, holes=0.0):
    """Draw y = rho L.y (+ rho_2 L2.y) + .5 x + a + e, x strictly exogenous, variances differing between entities."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    spread = np.exp(0.4 * rng.normal(size=n))
    z = rng.normal(size=n)
    path = [np.zeros(n)] * len(rho)
    x, records = a.copy(), []
    for t in range(periods + 25):
        x = 0.5 * x + 0.3 * a + rng.normal(size=n)
        y = sum(r * path[-k] for k, r in enumerate(rho, 1)) + 0.5 * x + a + 0.8 * z + spread * rng.normal(size=n)
        path.append(y)
        if t >= 25:
            records.append(pd.DataFrame({"id": np.arange(n), "year": t, "y": y, "x": x, "z": z}))
    data = pd.concat(records, ignore_index=True)
    data["province"] = data["id"] % 30
    return data[rng.uniform(size=len(data)) > holes].sample(frac=1.0, random_state=seed)


def lsdv(data, mask=None):
    """Return the within estimate of (L.y, x) by dummies, no library."""
    frame = data.sort_values(["id", "year"])
    frame = frame.assign(ly=frame.groupby("id")["y"].shift(1)).dropna()
    if mask is not None:
        frame = frame[mask(frame)]
    dummies = pd.get_dummies(frame["id"]).to_numpy(dtype=float)
    X = np.hstack([frame[["ly", "x"]].to_numpy(), dummies])
    return np.linalg.lstsq(X, frame["y"].to_numpy(), rcond=None)[0][:2]


@pytest.mark.parametrize("rho", [(0.5,), (0.9,), (0.4, 0.3), (-0.2, 0.1, 0.2)])
def test_bias_of_the_within_moments_is_the_trace_of_its_matrices(rho):
    """E[y_(-k)' M e] = sigma^2 tr(M L_k) with L_k the responses of the k-th lag to the errors of the run."""
    T, p = 8, len(rho)
    psi = [1.0]
    for s in range(1, T):
        psi.append(sum(rho[j] * psi[s - 1 - j] for j in range(min(s, p))))
    M = np.eye(T) - 1.0 / T
    for k in range(1, p + 1):
        responses = np.array([[psi[t - k - r] if t - k >= r else 0.0 for r in range(T)] for t in range(T)])
        np.testing.assert_allclose(within_bias(np.array(rho), T)[0][k - 1], -np.trace(M @ responses), rtol=1e-12)


def test_slope_of_the_bias_is_its_numerical_derivative():
    rho = np.array([0.4, 0.3])
    slope = within_bias(rho, 7)[1]
    for c in range(2):
        step = np.eye(2)[c] * 1e-6
        numeric = (within_bias(rho + step, 7)[0] - within_bias(rho - step, 7)[0]) / 2e-6
        np.testing.assert_allclose(slope[:, c], numeric, rtol=1e-6)


def test_one_lag_is_the_iterated_correction_of_bun_and_carree():
    """rho = rho_within + b(rho) sigma^2 N / (residual sum of squares of L.y), iterated to a fixed point."""
    data = draw(n=200, periods=6, seed=3).drop(columns="x")
    fit = BiasCorrectedMM(data, dependent="y", **KEYS).fit()
    wide = data.pivot(index="id", columns="year", values="y").to_numpy()
    y, lag = wide[:, 1:], wide[:, :-1]
    y, lag = y - y.mean(axis=1, keepdims=True), lag - lag.mean(axis=1, keepdims=True)
    T, ss = y.shape[1], float((lag**2).sum())
    within = rho = float((lag * y).sum() / ss)
    for _ in range(2_000):
        variance = float(((y - rho * lag) ** 2).sum()) / (T - 1)
        rho += 0.5 * (within + within_bias(np.array([rho]), T)[0][0] * variance / ss - rho)
    np.testing.assert_allclose(fit.params["L.y"], rho, rtol=1e-8)
    np.testing.assert_allclose(fit.details["within"]["L.y"], within)


def test_covariance_is_the_sandwich_of_moments_by_loops():
    data = draw(n=60, periods=6, seed=4)
    fit = BiasCorrectedMM(data, dependent="y", regressors=["x"], cluster="province", **KEYS).fit()

    def moments(theta):
        out = {}
        for i, frame in data.sort_values("year").groupby("id"):
            y, x = frame["y"].to_numpy(), frame["x"].to_numpy()[1:]
            Y, L = y[1:] - y[1:].mean(), y[:-1] - y[:-1].mean()
            X = x - x.mean()
            e = Y - theta[0] * L - theta[1] * X
            T = len(Y)
            b = sum((T - 1 - s) * theta[0] ** s for s in range(T - 1)) / T
            out[i] = [L @ e + b * (e @ e) / (T - 1), X @ e]
        return pd.DataFrame.from_dict(out, orient="index")

    g = moments(fit.fit.params)
    np.testing.assert_allclose(g.sum(), 0, atol=1e-8)
    G = np.column_stack([
        (moments(fit.fit.params + h).sum() - moments(fit.fit.params - h).sum()) / 2e-6 for h in 1e-6 * np.eye(2)
    ])  # fmt: skip
    sums = g.groupby(g.index % 30).sum().to_numpy()
    A = np.linalg.inv(G)
    np.testing.assert_allclose(fit.cov, A @ sums.T @ sums @ A.T, rtol=1e-6)
    assert (fit.n_clusters, fit.n_groups, fit.nobs) == (30, 60, 300)


@pytest.mark.parametrize("rho", [(0.5,), (0.4, 0.2)])
def test_bias_corrected_estimates_are_unbiased_where_within_is_not(rho):
    """30 panels of 300 entities; the mean is within three of its standard errors of the truth, intervals hold it."""
    found, errors, within = [], [], []
    for seed in range(30):
        data = draw(300, 6 + len(rho), rho, seed=seed)
        fit = BiasCorrectedMM(data, dependent="y", lags=len(rho), regressors=["x"], time_effects=seed % 2 == 0, **KEYS).fit()
        found.append(fit.fit.params)
        errors.append(fit.fit.std_errors)
        within.append(fit.details["within"]["L.y"])
    truth = np.array([*rho, 0.5])
    gap = np.abs(np.mean(found, axis=0) - truth) / (np.std(found, axis=0) / np.sqrt(30))
    assert gap.max() < 3 and np.mean(within) < rho[0] - 0.15
    np.testing.assert_allclose(np.mean(errors, axis=0) / np.std(found, axis=0), 1, atol=0.4)


def test_runs_without_gaps_are_used_and_the_rest_is_counted():
    rows = np.array([[1, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 1, 0, 1, 1, 0]], dtype=bool)
    expected = np.array([[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]], dtype=bool)
    np.testing.assert_array_equal(longest_run(rows), expected)
    fit = BiasCorrectedMM(draw(200, 7, seed=5, holes=0.1), dependent="y", regressors=["x"], **KEYS).fit()
    assert any("left out" in note for note in fit.notes) and abs(fit.params["L.y"] - 0.5) < 0.2


def test_a_sample_restricts_rows_and_lags_come_from_the_whole_panel():
    data = draw(200, 8, seed=6)
    late = data["year"] >= data["year"].min() + 3
    by_sample = BiasCorrectedMM(data, dependent="y", regressors=["x"], sample="year >= 28", **KEYS).fit()
    by_mask = BiasCorrectedMM(data, dependent="y", regressors=["x"], sample=late, **KEYS).fit()
    kept = data[data["year"] >= data["year"].min() + 2]
    cut = BiasCorrectedMM(kept, dependent="y", regressors=["x"], **KEYS).fit()
    # rows from the fourth year on, the lag of the first of them from the third
    np.testing.assert_allclose(by_mask.params, cut.params, rtol=1e-10)
    assert by_sample.params.equals(by_mask.params) and by_mask.nobs == 5 * 200


def test_jackknife_is_twice_the_whole_less_the_mean_of_the_halves():
    data = draw(n=80, periods=8, seed=6)  # 7 rows with a lag: an odd run, split both ways
    fit = HalfPanelJackknife(data, dependent="y", regressors=["x"], **KEYS).fit()
    first = data["year"].min() + 1
    halves = [lsdv(data, lambda f, c=c, s=s: (f["year"] < first + c) == s) for c in (4, 3) for s in (True, False)]
    np.testing.assert_allclose(fit.params, 2 * lsdv(data) - np.mean(halves, axis=0), rtol=1e-9)


def test_jackknife_errors_are_those_of_its_spread():
    """40 panels; ten periods, so that what is left of the bias is small beside the error."""
    found, errors = [], []
    for seed in range(40):
        fit = HalfPanelJackknife(draw(150, 11, (0.5,), seed=seed), dependent="y", regressors=["x"], **KEYS).fit()
        found.append(fit.fit.params)
        errors.append(fit.fit.std_errors)
    np.testing.assert_allclose(np.mean(errors, axis=0) / np.std(found, axis=0), 1, atol=0.35)
    assert abs(np.mean(found, axis=0)[0] - 0.5) < 0.03
    assert np.mean([lsdv(draw(150, 11, seed=seed))[0] for seed in range(5)]) < 0.45


def test_period_effects_are_taken_out_of_whole_and_halves():
    data = draw(n=100, periods=8, seed=7)
    shifted = data.assign(y=data["y"] + (data["year"] - 25) ** 2 % 5)
    for estimator in (HalfPanelJackknife, BiasCorrectedMM):
        fits = [estimator(d, dependent="y", regressors=["x"], time_effects=True, **KEYS).fit() for d in (data, shifted)]
        # a shift of y is not a shift of y and its lag alike, but the dummies take both
        np.testing.assert_allclose(fits[0].params, fits[1].params, rtol=1e-6)


def test_regressors_may_be_categories_and_products_as_in_gmm_models():
    data = draw(n=100, seed=8).assign(kind=lambda f: ((f["id"] + f["year"]) % 3).map({0: "a", 1: "b", 2: "c"}))
    fit = BiasCorrectedMM(data, dependent="y", regressors=["x", "L.x", "C(kind)", "x:z"], **KEYS).fit()
    assert fit.names[:3] == ("L.y", "x", "L.x") and len(fit.names) == 6
    plain = data.assign(b=(data["kind"] == "b") * 1.0, c=(data["kind"] == "c") * 1.0, xz=data["x"] * data["z"])
    same = BiasCorrectedMM(plain, dependent="y", regressors=["x", "L.x", "b", "c", "xz"], **KEYS).fit()
    np.testing.assert_allclose(fit.params, same.params)


def test_estimates_speak_the_words_of_gmm_results():
    fit = BiasCorrectedMM(draw(seed=8), dependent="y", regressors=["x"], **KEYS).fit()
    assert "Bias-corrected" in str(fit) and fit.to_dict()["n_groups"] == 300
    effect = fit.long_run().loc["x"]
    assert abs(effect["estimate"] - fit.params["x"] / (1 - fit.params["L.y"])) < 1e-12
    general = long_run_effect(fit, "x")
    np.testing.assert_allclose([general.estimate, general.std_error], effect)
    assert fieller_set(fit, "x").contains(general.estimate)
    combination = linear_combination(fit, {"x": 1.0, "L.y": -1.0})
    assert abs(combination.estimate - (fit.params["x"] - fit.params["L.y"])) < 1e-12
    assert fit.wald_test(["x"]).pvalue < 0.001 and fit.conf_int().shape == (2, 2)


@pytest.mark.parametrize("estimator", [BiasCorrectedMM, HalfPanelJackknife])
def test_faults_are_named(estimator):
    data = draw(n=30, seed=9)
    with pytest.raises(CollinearityError, match="z"):
        estimator(data, dependent="y", regressors=["z"], **KEYS).fit()
    with pytest.raises(SpecificationError, match="lags"):
        estimator(data, dependent="y", lags=-1, regressors=["x"], **KEYS)
    with pytest.raises(EmptySampleError, match="consecutive"):
        estimator(data[data["year"] < 27], dependent="y", lags=1, regressors=["x"], **KEYS).fit()
    with pytest.raises(EstimationError, match="nothing"):
        estimator(data, dependent="y", regressors=["nothing"], **KEYS)


def test_no_root_is_said_and_not_papered_over():
    rng = np.random.default_rng(0)
    walks = rng.normal(size=(15, 4)).cumsum(axis=1) * np.exp(np.arange(4))
    data = pd.DataFrame(walks).rename_axis(index="id", columns="year").stack().rename("y").reset_index()
    with pytest.raises(ConvergenceError, match="nonlinear moments"):
        BiasCorrectedMM(data, dependent="y", **KEYS).fit()


def test_tests_that_need_moments_refuse_estimates_without_them():
    data = draw(n=60, seed=13)
    fit = BiasCorrectedMM(data, dependent="y", regressors=["x"], **KEYS).fit()
    for ask in (jochmans_test, sanderson_windmeijer, cue_underidentification_test, two_way_clustered, entity_effects):
        with pytest.raises(SpecificationError, match="GMM fit"):
            ask(fit)
    with pytest.raises(SpecificationError, match="GMM fit"):
        two_stage(fit, data, "z")


# -- the second stage ------------------------------------------------------------------------------------------------

MOMENTS = [GMMStyle("y", (2, 3), collapse=True), IVStyle("x", "difference")]


def first_stage(data, **options):
    return DifferenceGMM(data, dependent="y", regressors=["x"], instruments=MOMENTS, **KEYS, **options).fit()


def test_second_stage_is_least_squares_on_the_level_residuals():
    data = draw(n=120, periods=6, seed=10)
    first = first_stage(data)
    fit = two_stage(first, data, "z")
    frame = data.sort_values(["id", "year"])
    frame = frame.assign(ly=frame.groupby("id")["y"].shift(1)).dropna()
    residual = frame["y"] - frame[["ly", "x"]].to_numpy() @ first.fit.params
    F = np.column_stack([frame["z"], np.ones(len(frame))])
    gamma = np.linalg.solve(F.T @ F, F.T @ residual)
    np.testing.assert_allclose(fit.params, gamma, rtol=1e-9)
    v = residual - F @ gamma
    sums = pd.DataFrame(F * v.to_numpy()[:, None]).groupby(frame["id"].to_numpy()).sum().to_numpy()
    A = np.linalg.inv(F.T @ F)
    psi = (sums - first.influence @ (F.T @ frame[["ly", "x"]].to_numpy()).T) @ A.T
    np.testing.assert_allclose(fit.cov, psi.T @ psi, rtol=1e-8)
    np.testing.assert_allclose(fit.details["uncorrected_std_errors"], np.sqrt(np.diagonal(A @ sums.T @ sums @ A)), rtol=1e-8)


def test_second_stage_with_instruments_is_two_stage_least_squares():
    data = draw(n=150, periods=6, seed=11)
    rng = np.random.default_rng(1)
    own = pd.Series(rng.normal(size=150))
    data = data.assign(w=data["z"] + data["id"].map(own), w2=data["z"] - data["id"].map(own) * 0.5)
    fit = two_stage(first_stage(data), data, ["z"], instruments=["w", "w2"])
    assert fit.details["hansen"].df == 1 and fit.details["hansen"].applies
    # both instruments are valid: chi2(1) is above 10.8 once in 1,000; one that is not is refused
    assert fit.details["hansen"].stat < 10.8
    wrong = data.assign(w2=data["w2"] + data.groupby("id")["y"].transform("mean"))
    assert two_stage(first_stage(data), wrong, ["z"], instruments=["w", "w2"]).details["hansen"].stat > 10.8
    exact = two_stage(first_stage(data), data, ["z"], instruments=["w"])
    frame = data.sort_values(["id", "year"])
    frame = frame.assign(ly=frame.groupby("id")["y"].shift(1)).dropna()
    residual = frame["y"] - frame[["ly", "x"]].to_numpy() @ first_stage(data).fit.params
    expected = np.cov(frame["w"], residual)[0, 1] / np.cov(frame["w"], frame["z"])[0, 1]
    np.testing.assert_allclose(exact.params["z"], expected, rtol=1e-9)


def test_corrected_errors_cover_the_truth_and_uncorrected_ones_do_not():
    """60 panels of 200 cities; the effect of z is .8, the lag weakly identified so that the first stage is noisy."""
    inside, plain = 0, 0
    for seed in range(60):
        data = draw(200, 6, (0.8,), seed=seed)
        fit = two_stage(first_stage(data), data, "z")
        gap = abs(fit.params["z"] - 0.8)
        inside += gap < 1.96 * fit.std_errors["z"]
        plain += gap < 1.96 * fit.details["uncorrected_std_errors"]["z"]
    # binomial(60, .95) falls below 51 once in 500
    assert inside >= 51 and plain < 48


def test_intervals_have_the_normal_distribution_s_width():
    fit = BiasCorrectedMM(draw(n=60, seed=12), dependent="y", regressors=["x"], **KEYS).fit()
    for level, width in ((0.95, 1.959964), (0.90, 1.644854)):
        interval = fit.conf_int(level)
        assert ((interval["upper"] - fit.params) / fit.std_errors).to_numpy() == pytest.approx(width, abs=1e-6)
        assert (fit.params - interval["lower"]).to_numpy() == pytest.approx((interval["upper"] - fit.params).to_numpy())


@pytest.mark.parametrize(
    ("invariant", "options", "match"),
    [("x", {}, "varies within"), ((), {}, "at least one"), (["z", "province"], {"instruments": ["z"]}, "instruments")],
)
def test_faults_of_the_second_stage_are_named(invariant, options, match):
    data = draw(n=60, seed=12)
    with pytest.raises(EstimationError, match=match):
        two_stage(first_stage(data), data, invariant, **options)
