"""Portmanteau tests of serial correlation: against loops, the Arellano-Bond test they contain, size and power."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from estimation import DifferenceGMM, GMMStyle, SystemGMM, jochmans_test, yamagata_test

pytestmark = pytest.mark.filterwarnings("ignore::estimation.EstimationWarning")
KEYS = {"entity": "id", "time": "year"}


def draw(n=100, periods=6, *, seed=0, correlation=0.0, holes=0.0):
    """Draw y = .5 x + a + e with x correlated with a, errors autoregressive of order one."""
    rng = np.random.default_rng(seed)
    a, e = rng.normal(size=n), rng.normal(size=n)
    records = []
    for t in range(periods):
        x = 0.5 * a + rng.normal(size=n)
        e = correlation * e + rng.normal(size=n) * (1 + 0.3 * t)
        records.append(pd.DataFrame({"id": np.arange(n), "year": 2000 + t, "y": 0.5 * x + a + e, "x": x}))
    data = pd.concat(records, ignore_index=True)
    return data[rng.uniform(size=len(data)) > holes]


def fit(data, kind=SystemGMM, **options):
    own = [GMMStyle("x", (0, 1), collapse=True, equation="difference")]
    return kind(data, dependent="y", lags=0, regressors=["x"], instruments=own, **KEYS, **options).fit()


def statistic_by_loops(data, results, pairs_of):
    """Return the quadratic form with the slope of the moments by central differences."""
    entities = sorted(data["id"].unique())
    periods = sorted(data["year"].unique())

    def moments(theta):
        out = []
        for i in entities:
            rows = data[data["id"] == i].set_index("year").reindex(periods)
            u = (rows["y"] - theta[0] * rows["x"] - theta[1]).to_numpy()
            out.append([np.nan_to_num(value) for value in pairs_of(u)])
        return np.array(out)

    theta = results.fit.params
    m = moments(theta)
    slope = np.empty((m.shape[1], len(theta)))
    for c in range(len(theta)):
        step = np.zeros(len(theta))
        step[c] = 1e-5
        slope[:, c] = (moments(theta + step) - moments(theta - step)).sum(axis=0) / 2e-5
    xi = m + results.influence @ slope.T
    total = m.sum(axis=0)
    return float(total @ np.linalg.solve(xi.T @ xi, total)), len(total)


def jochmans_pairs(u):
    """Lags from two on, and the lead."""
    du, T = np.diff(u, prepend=np.nan), len(u)
    back = [u[t - s] * du[t] for s in range(2, T) for t in range(s, T)]
    return back + [u[t + 1] * du[t] for t in range(1, T - 1)]


def yamagata_pairs(u):
    """One sum per order."""
    du, T = np.diff(u, prepend=np.nan), len(u)
    return [np.nansum([du[t - s] * du[t] for t in range(s + 1, T)]) for s in range(2, T - 1)]


@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_statistics_are_those_of_loops_over_entities(holes):
    data = draw(80, 5, seed=1, holes=holes)
    results = fit(data)
    for test, pairs in ((jochmans_test, jochmans_pairs), (yamagata_test, yamagata_pairs)):
        stat, df = statistic_by_loops(data, results, pairs)
        found = test(results)
        assert found.df == df
        np.testing.assert_allclose(found.stat, stat, rtol=1e-6)
        np.testing.assert_allclose(found.pvalue, stats.chi2.sf(stat, df), rtol=1e-6)


def test_number_of_restrictions_is_jochmans_formula():
    for periods in (3, 4, 5, 7):
        assert jochmans_test(fit(draw(200, periods, seed=2))).df == periods * (periods - 1) // 2 - 1


def test_without_a_constant_the_mean_of_the_residuals_stands_for_it():
    """Difference GMM and the system of the same moments give one statistic, and the origin of y does not matter."""
    data = draw(150, 6, seed=3)
    system, difference = jochmans_test(fit(data)), jochmans_test(fit(data, DifferenceGMM))
    assert abs(system.stat - difference.stat) < 0.5
    moved = jochmans_test(fit(data.assign(y=data["y"] + 1e3), DifferenceGMM))
    np.testing.assert_allclose(moved.stat, difference.stat, rtol=1e-5)


def test_one_order_of_yamagata_is_close_to_arellano_bond():
    """Both are the same test; their variances differ by terms that vanish."""
    results = fit(draw(2_000, 6, seed=4, correlation=0.1))
    for order in (2, 3):
        ours, theirs = yamagata_test(results, orders=[order]).stat, results.ar_test(order).stat ** 2
        assert abs(ours - theirs) < 0.05 * max(theirs, 1.0)


def test_size_and_power():
    """100 panels of 120 entities, 5 periods; 5 % of the true nulls are rejected, correlation of .4 nearly always seen."""
    tests = {"jochmans": jochmans_test, "collapsed": lambda r: jochmans_test(r, collapse=True), "yamagata": yamagata_test}
    share = {}
    for correlation in (0.0, 0.4):
        drawn = [fit(draw(120, 5, seed=seed, correlation=correlation)) for seed in range(100)]
        for name, test in tests.items():
            share[name, correlation] = np.mean([test(one).pvalue < 0.05 for one in drawn])
    for name in tests:
        # binomial(100, .05) exceeds 13 once in 2,000
        assert share[name, 0.0] <= 0.13
        assert share[name, 0.4] > (0.9 if name != "yamagata" else 0.3)


def test_too_many_restrictions_and_too_few_periods_have_a_reason():
    assert "clusters" in jochmans_test(fit(draw(25, 9, seed=5))).reason
    two = draw(50, 2, seed=6)
    assert "three consecutive" in jochmans_test(fit(two)).reason and not yamagata_test(fit(two)).applies
    assert jochmans_test(fit(draw(80, 7, seed=5)), order=2).df == 5 + 5


@pytest.mark.parametrize("transform", ["fd", "fod"])
@pytest.mark.parametrize("kind", [DifferenceGMM, SystemGMM])
def test_errors_that_are_homoskedastic_give_the_classical_test_what_the_robust_one_has(kind, transform):
    """1,500 entities with normal errors of one variance: the two variances of the second-order test are the same."""
    rng = np.random.default_rng(1)
    a, x, y, records = rng.normal(size=1500), np.zeros(1500), np.zeros(1500), []
    for t in range(27):
        x = 0.5 * x + rng.normal(size=1500)
        y = 0.5 * y + 0.5 * x + a + rng.normal(size=1500)
        if t >= 20:
            records.append(pd.DataFrame({"id": np.arange(1500), "year": t, "y": y, "x": x}))
    model = kind(pd.concat(records), dependent="y", exogenous=["x"], entity="id", time="year", transform=transform)
    classical, robust = model.fit(steps=1, cov_type="unadjusted").ar_test(2), model.fit(steps=1).ar_test(2)
    # fourth moments of 7,500 residuals move the ratio by a twentieth or less; another weight by a tenth or more
    assert classical.stat / robust.stat == pytest.approx(1.0, abs=0.07)
