"""Every estimator against a slow, plain version of itself written here, on data made here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from estimation.production import ProductionFunction, ProductionOptions, calendar_lag
from estimation.production.survival import fit_probit

# two least-squares routes over the same numbers
LINEAR = 1e-9
# a one-dimensional valley is flat to the square root of double precision
VALLEY = 1e-6
COLUMNS = {"output": "y", "free": "l", "state": "k", "entity": "firm", "time": "year"}


def function(frame: pd.DataFrame, *, proxy: str = "m", **options) -> ProductionFunction:
    return ProductionFunction(frame, proxy=proxy, options=ProductionOptions(**options), **COLUMNS)


def plain_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Pairs of consecutive years by a merge on year + 1, nothing else."""
    before = frame.assign(year=frame["year"] + 1)
    return frame.merge(before, on=["firm", "year"], suffixes=("", "_lag"))


def plain_two_step(frame: pd.DataFrame, proxy: str) -> tuple[float, float]:
    """Levinsohn-Petrin or Olley-Pakes with numpy's own polynomial fit and a fine grid."""
    k, p, labour, y = (frame[name].to_numpy() for name in ("k", proxy, "l", "y"))
    X = np.column_stack([labour, np.ones_like(k), k, p, k * k, k * p, p * p])
    coefs = np.linalg.lstsq(X, y, rcond=None)[0]
    frame = frame.assign(net=y - coefs[0] * labour, phi=X[:, 1:] @ coefs[1:])
    pairs = plain_pairs(frame)

    def criterion(beta: float) -> float:
        omega, lag = pairs["phi"] - beta * pairs["k"], pairs["phi_lag"] - beta * pairs["k_lag"]
        g = np.polyval(np.polyfit(lag, omega, 3), lag)
        return float(((pairs["net"] - beta * pairs["k"] - g) ** 2).sum())

    grid = np.linspace(-0.5, 1.5, 201)
    start = grid[np.argmin([criterion(beta) for beta in grid])]
    return coefs[0], minimize(lambda b: criterion(b[0]), [start], method="Nelder-Mead",
                              options={"xatol": 1e-10, "fatol": 1e-12}).x[0]


def test_calendar_lag_is_the_same_firm_one_year_before(gapped_firms):
    ordered = gapped_firms.sort_values(["firm", "year"])
    entity, time = ordered["firm"].to_numpy(), ordered["year"].to_numpy()
    row_of = {key: row for row, key in enumerate(zip(entity, time, strict=True))}
    expected = [row_of.get((firm, year - 1), -1) for firm, year in zip(entity, time, strict=True)]
    assert calendar_lag(entity, time).tolist() == expected
    assert -1 < min(row for row in expected if row >= 0)
    assert any(entity[row] == entity[row - 1] and expected[row] == -1 for row in range(1, len(entity)))


@pytest.mark.parametrize(("method", "proxy"), [("lp", "m"), ("op", "i")])
def test_two_step_equals_plain_version_on_gapped_panel(gapped_firms, method, proxy):
    fit = function(gapped_firms, proxy=proxy).fit(method)
    labour, capital = plain_two_step(gapped_firms, proxy)
    assert fit.n_pairs == len(plain_pairs(gapped_firms))
    assert abs(fit.params["l"] - labour) < LINEAR
    assert abs(fit.params["k"] - capital) < VALLEY


def test_fixed_effects_equal_firm_dummies(gapped_firms):
    dummies = pd.get_dummies(gapped_firms["firm"]).to_numpy(dtype=float)
    X = np.column_stack([gapped_firms["l"], gapped_firms["k"], dummies])
    expected = np.linalg.lstsq(X, gapped_firms["y"].to_numpy(), rcond=None)[0][:2]
    assert np.abs(function(gapped_firms).fit("fe").params.to_numpy() - expected).max() < LINEAR


def test_year_dummies_equal_explicit_dummies(gapped_firms):
    dummies = pd.get_dummies(gapped_firms["year"]).to_numpy(dtype=float)
    X = np.column_stack([gapped_firms["l"], gapped_firms["k"], dummies])
    expected = np.linalg.lstsq(X, gapped_firms["y"].to_numpy(), rcond=None)[0][:2]
    params = function(gapped_firms, time_effects="dummies").fit("ols").params.to_numpy()
    assert np.abs(params - expected).max() < LINEAR


def test_clustered_errors_equal_the_sandwich_summed_by_firm(gapped_firms):
    X = np.column_stack([gapped_firms["l"], gapped_firms["k"], np.ones(len(gapped_firms))])
    y = gapped_firms["y"].to_numpy()
    bread = np.linalg.inv(X.T @ X)
    resids = y - X @ bread @ X.T @ y
    meat = np.zeros((3, 3))
    for firm in gapped_firms["firm"].unique():
        rows = (gapped_firms["firm"] == firm).to_numpy()
        score = X[rows].T @ resids[rows]
        meat += np.outer(score, score)
    n, groups = len(y), gapped_firms["firm"].nunique()
    cov = groups / (groups - 1) * (n - 1) / (n - 3) * bread @ meat @ bread
    errors = function(gapped_firms).fit("ols").std_errors.to_numpy()
    assert np.abs(errors - np.sqrt(np.diag(cov))[:2]).max() < LINEAR


def test_wooldridge_equals_textbook_two_stage_formula(gapped_firms):
    pairs = plain_pairs(gapped_firms)
    k, m = pairs["k_lag"], pairs["m_lag"]
    P = np.column_stack([np.ones(len(pairs)), k, m, k * k, k * m, m * m])
    X, Z = np.column_stack([pairs["l"], pairs["k"], P]), np.column_stack([pairs["l_lag"], pairs["k"], P])
    expected = np.linalg.solve(Z.T @ X, Z.T @ pairs["y"].to_numpy())
    resids = pairs["y"].to_numpy() - X @ expected
    middle = np.linalg.inv(X.T @ Z @ np.linalg.solve(Z.T @ Z, Z.T @ X))
    errors = np.sqrt(np.diag(middle) * (resids @ resids) / (len(pairs) - X.shape[1]))
    fit = function(gapped_firms, cov_type="homoskedastic").fit("wooldridge")
    assert np.abs(fit.params.to_numpy() - expected[:2]).max() < 1e-8
    assert np.abs(fit.std_errors.to_numpy() - errors[:2]).max() < 1e-8


def test_acf_moments_vanish_when_written_out_by_hand(gapped_firms):
    fit = function(gapped_firms).fit("acf")
    n, k, m = gapped_firms["l"], gapped_firms["k"], gapped_firms["m"]
    X = np.column_stack([np.ones(len(n)), n, k, m, n * n, n * k, n * m, k * k, k * m, m * m])
    phi = X @ np.linalg.lstsq(X, gapped_firms["y"].to_numpy(), rcond=None)[0]
    frame = gapped_firms.assign(omega_hat=phi - fit.params["l"] * n - fit.params["k"] * k)
    pairs = plain_pairs(frame)
    lag = pairs["omega_hat_lag"]
    innovation = pairs["omega_hat"] - np.polyval(np.polyfit(lag, pairs["omega_hat"], 3), lag)
    moments = [(innovation * pairs["l_lag"]).mean(), (innovation * pairs["k"]).mean()]
    assert fit.converged
    assert np.abs(moments).max() < LINEAR


def test_probit_equals_direct_maximisation_of_the_likelihood():
    rng = np.random.default_rng(5)
    X = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    outcome = (X @ [0.3, 0.8, -0.5] + rng.normal(size=400) > 0).astype(float)
    sign = 2 * outcome - 1
    expected = minimize(lambda b: -norm.logcdf(sign * (X @ b)).sum(), np.zeros(3), method="BFGS",
                        options={"gtol": 1e-7}).x
    assert np.abs(fit_probit(X, outcome) - expected).max() < 1e-5


@pytest.mark.parametrize("method", ["ols", "fe", "op", "lp", "acf", "wooldridge"])
def test_frequency_weight_two_equals_copying_the_firm(firms, method):
    """The bootstrap's weights must be what drawing a firm twice means."""
    from estimation.production import estimate_panel, read_firm_panel

    few = firms[firms["firm"] < 120]
    names = {"output": "y", "free": ["l"], "state": ["k"], "proxy": ["i" if method == "op" else "m"],
             "entity": "firm", "time": "year"}
    options = ProductionOptions(exit="none", n_starts=4)
    copies = pd.concat([few, few[few["firm"] < 40].assign(firm=lambda f: f["firm"] + 10_000)])
    copied = estimate_panel(read_firm_panel(copies, **names), method, options)
    panel = read_firm_panel(few, **names)
    weights = np.where(few.iloc[panel.position]["firm"] < 40, 2.0, 1.0)
    weighted = estimate_panel(panel, method, options, weights)
    assert np.abs(weighted.params - copied.params).max() < VALLEY


def test_moments_are_means_whatever_the_weights_sum_to(firms):
    """What counts as a root must not depend on how often each firm is drawn: four times all is all, to the last bit."""
    from estimation.production import estimate_panel, read_firm_panel

    few = firms[firms["firm"] < 120]
    panel = read_firm_panel(few, output="y", free=["l"], state=["k"], proxy=["m"], entity="firm", time="year")
    options = ProductionOptions(exit="none", n_starts=2)
    once, fourfold = (
        estimate_panel(panel, "acf", options, np.full(panel.n_obs, weight)) for weight in (1.0, 4.0)
    )
    assert once.criterion == fourfold.criterion and list(once.params) == list(fourfold.params)


@pytest.mark.parametrize("method", ["lp", "op", "acf", "wooldridge"])
def test_estimator_recovers_technology_where_least_squares_does_not(many_firms, method):
    proxy = "i" if method == "op" else "m"
    params = function(many_firms, proxy=proxy).fit(method).params
    ols = function(many_firms).fit("ols").params
    # 2,000 firms over 8 years; the spread of the capital coefficient over seeds is about .01 (.02 for Wooldridge)
    assert abs(params["l"] - 0.6) < 0.03
    assert abs(params["k"] - 0.3) < 0.06
    assert ols["l"] - 0.6 > 0.2


