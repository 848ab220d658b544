"""Linear combinations, long-run effects, marginal effects, ranges, bootstrap, bracket, grid, diagnostics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from estimation import GMMStyle, IVStyle, SystemGMM
from estimation.dynamic_panel.bootstrap import bootstrap
from estimation.dynamic_panel.diagnostics import cross_section_test, selection_criteria, underidentification_test
from estimation.dynamic_panel.postestimation import (
    counted_values,
    fieller_set,
    johnson_neyman,
    linear_combination,
    long_run_effect,
    long_run_table,
    marginal_effect,
    turning_point,
    u_shape_test,
)
from estimation.dynamic_panel.robustness import observations_by_stage, ols_bracket, sensitivity_grid
from estimation.errors import SpecificationError, UnknownColumnError

pytestmark = pytest.mark.filterwarnings("ignore::estimation.errors.EstimationWarning")


@pytest.fixture(scope="module")
def results(gapped):
    data = gapped.assign(xw=gapped["x"] * gapped["w"], w_squared=gapped["w"] ** 2)
    return SystemGMM(
        data,
        entity="id",
        time="year",
        dependent="y",
        endogenous=["x"],
        exogenous=["w", "xw", "w_squared"],
        instruments=[IVStyle("z")],
    ).fit()


def numeric_error(results, function):
    """Delta-method error with a numeric gradient."""
    params = results.params.to_numpy()
    gradient = []
    for c in range(len(params)):
        step = np.zeros(len(params))
        step[c] = 1e-6
        gradient.append((function(params + step) - function(params - step)) / 2e-6)
    return float(np.sqrt(np.array(gradient) @ results.cov.to_numpy() @ np.array(gradient)))


def test_linear_combination(results):
    c = linear_combination(results, {"x": 1.0, "w": -2.0}, 0.1)
    assert c.estimate == pytest.approx(results.params["x"] - 2 * results.params["w"] - 0.1)
    i, j = results.names.index("x"), results.names.index("w")
    assert c.std_error == pytest.approx(numeric_error(results, lambda b: b[i] - 2 * b[j]), rel=1e-6)
    assert c.stat**2 == pytest.approx(results.wald_test({"x": 1.0, "w": -2.0}, 0.1).stat)
    with pytest.raises(UnknownColumnError, match="there are L.y, x"):
        linear_combination(results, {"nothing": 1.0})


def test_long_run_effect_and_its_delta_method_error(results):
    i, a = results.names.index("x"), results.names.index("L.y")
    effect = long_run_effect(results, "x")
    assert effect.estimate == pytest.approx(results.params["x"] / (1 - results.params["L.y"]))
    assert effect.std_error == pytest.approx(numeric_error(results, lambda b: b[i] / (1 - b[a])), rel=1e-6)
    table = long_run_table(results)
    assert list(table.index) == ["x", "w", "xw", "w_squared"]
    assert table.loc["x", "std_error"] == pytest.approx(effect.std_error)


def test_long_run_effect_needs_a_lag(gapped):
    static = SystemGMM(gapped, entity="id", time="year", dependent="y", lags=0, exogenous=["w", "z"]).fit()
    with pytest.raises(SpecificationError, match="lag of 'y'"):
        long_run_effect(static, "w")


def test_fieller_set_holds_exactly_the_ratios_that_are_not_rejected(results):
    found = fieller_set(results, "x")
    assert found.kind == "interval" and found.contains(long_run_effect(results, "x").estimate)
    critical = stats.norm.ppf(0.975)
    for end in (found.lower, found.upper):
        # beta - r (1 - a) = 0 is beta + r a = r, a linear restriction
        assert abs(linear_combination(results, {"x": 1.0, "L.y": end}, end).stat) == pytest.approx(critical, rel=1e-6)


def test_marginal_effect_over_percentiles(results):
    table = marginal_effect(results, "x", "w", "xw")
    values = counted_values(results, "w")
    assert len(values) == results.nobs
    np.testing.assert_allclose(table["moderator"], np.percentile(values, table["percentile"]))
    np.testing.assert_allclose(table["effect"], results.params["x"] + results.params["xw"] * table["moderator"])
    i, j = results.names.index("x"), results.names.index("xw")
    row = table.iloc[1]
    assert row["std_error"] == pytest.approx(numeric_error(results, lambda b: b[i] + b[j] * row["moderator"]), rel=1e-6)
    assert (table["band_upper"] - table["effect"] > table["upper"] - table["effect"]).all()
    long_run = marginal_effect(results, "x", "w", "xw", at=[0.0], long_run=True)
    assert long_run["effect"][0] == pytest.approx(long_run_effect(results, "x").estimate)
    square = marginal_effect(results, "w", "x", "xw", at=[1.0], squared="w_squared", variable_at=0.5)
    expected = results.params["w"] + results.params["xw"] + results.params["w_squared"]
    assert square["effect"][0] == pytest.approx(expected)


def test_johnson_neyman_bounds_are_where_significance_changes(results):
    found = johnson_neyman(results, "x", "w", "xw")
    critical = stats.norm.ppf(0.975)
    assert len(found.bounds) == 2
    at = marginal_effect(results, "x", "w", "xw", at=found.bounds)
    np.testing.assert_allclose(at["stat"].abs(), critical, rtol=1e-6)
    values = counted_values(results, "w")
    stat = marginal_effect(results, "x", "w", "xw", at=values)["stat"]
    assert found.share == pytest.approx((stat.abs() > critical).mean())


def test_marginal_effects_stand_at_the_percentiles_of_the_counted_rows(results):
    found = marginal_effect(results, "x", "w", "xw")
    expected = np.percentile(counted_values(results, "w"), [5, 10, 25, 50, 75, 90, 95])
    assert found["moderator"].to_numpy() == pytest.approx(expected)


def test_turning_point_and_u_shape(results):
    i, j = results.names.index("w"), results.names.index("w_squared")
    point = turning_point(results, "w", "w_squared")
    assert point.estimate == pytest.approx(-results.params["w"] / (2 * results.params["w_squared"]))
    assert point.std_error == pytest.approx(numeric_error(results, lambda b: -b[i] / (2 * b[j])), rel=1e-5)
    assert 0 < u_shape_test(results, "w", "w_squared") < 1


def test_u_shape_is_found_where_there_is_one(make_panel):
    data = make_panel(n=150, seed=8).assign(s=lambda d: d["w"] ** 2)
    data["y"] = data["y"] + 0.8 * data["s"]
    curved = SystemGMM(data, entity="id", time="year", dependent="y", lags=0, exogenous=["w", "s"]).fit(steps=1)
    assert u_shape_test(curved, "w", "s") < 0.01
    data["s3"] = data["w"] ** 3
    straight = SystemGMM(
        data.assign(y=data["w"] + 0.3 * data["z"]),
        entity="id",
        time="year",
        dependent="y",
        lags=0,
        exogenous=["w", "s"],
    ).fit(steps=1)
    assert u_shape_test(straight, "w", "s") > 0.4


def test_bootstrap_agrees_with_the_windmeijer_errors(make_panel):
    data = make_panel(n=150, seed=12)
    results = SystemGMM(data, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"]).fit()
    drawn = bootstrap(results, n_replications=300, seed=1)
    assert drawn.n_failed == 0
    # a standard deviation over 300 draws has a relative error of about 4 %, the two formulas differ by about 10 %
    np.testing.assert_allclose(drawn.std_errors, results.std_errors, rtol=0.3)
    again = bootstrap(results, n_replications=300, seed=1)
    assert drawn.draws.equals(again.draws)
    interval = drawn.conf_int()
    assert (interval["lower"] < results.params).all() and (results.params < interval["upper"]).all()
    basic = drawn.conf_int(kind="basic")
    np.testing.assert_allclose(basic["upper"], 2 * drawn.estimate - interval["lower"])


def test_bootstrap_replication_equals_a_fit_on_the_drawn_entities(gapped):
    import pandas as pd

    model = SystemGMM(gapped, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"])
    results = model.fit()
    drawn = bootstrap(results, n_replications=1, seed=5)
    counts = np.random.default_rng(5).multinomial(90, np.full(90, 1 / 90))
    order = np.argsort(np.asarray(results.fit.prepared.grid.entities).astype(str))
    copies = dict(zip(results.fit.prepared.grid.entities[order], counts, strict=True))
    parts = [gapped[gapped["id"] == i].assign(id=f"{i}/{n}") for i, c in copies.items() for n in range(c)]
    refit = model.with_data(pd.concat(parts)).fit()
    np.testing.assert_allclose(drawn.draws.iloc[0], refit.params, rtol=1e-8)


def test_bootstrap_of_two_fits_shares_its_draws(gapped):
    a = SystemGMM(gapped, entity="id", time="year", dependent="y", exogenous=["w"]).fit()
    b = SystemGMM(gapped, entity="id", time="year", dependent="x", exogenous=["z"]).fit()
    both = bootstrap([a, b], lambda p, q: [p["w"] * q["z"]], n_replications=20, names=["product"])
    alone = bootstrap(a, n_replications=20)
    together = bootstrap([a, b], n_replications=20)
    np.testing.assert_allclose(together.draws["0:w"], alone.draws["w"])
    np.testing.assert_allclose(both.draws["product"], together.draws["0:w"] * together.draws["1:z"])
    assert both.estimate["product"] == pytest.approx(a.params["w"] * b.params["z"])


def test_recentred_bootstrap_is_centred_at_the_estimate(make_panel):
    data = make_panel(n=150, seed=12)
    model = SystemGMM(data, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"], n_lags=None)
    one = model.fit(steps=1)
    drawn = bootstrap(one, n_replications=200, recentre=True)
    gap = (drawn.draws.mean() - one.params) / (drawn.draws.std() / np.sqrt(200))
    assert gap.abs().max() < 4


@pytest.mark.parametrize("steps", [1, 2])
def test_recentred_moments_of_the_sample_itself_are_zero_at_the_estimate(make_panel, monkeypatch, steps):
    class EachOnce:
        def multinomial(self, n, share):
            return np.ones(len(share))

    data = make_panel(n=150, seed=12)
    model = SystemGMM(data, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"], n_lags=None)
    results = model.fit(steps=steps)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: EachOnce())
    for recentre in (True, False):
        draws = bootstrap(results, n_replications=1, recentre=recentre).draws.iloc[0]
        assert draws.to_numpy() == pytest.approx(results.params.to_numpy(), rel=1e-9)


def test_bootstrap_draws_clusters(panel):
    results = SystemGMM(panel, entity="id", time="year", dependent="y", exogenous=["w"], cluster="province").fit()
    assert "Clustered on: province" in str(results)
    alone = SystemGMM(panel, entity="id", time="year", dependent="y", exogenous=["w"]).fit()
    assert "Clustered on: id" in str(alone)
    drawn = bootstrap(results, n_replications=50)
    assert drawn.n_failed == 0 and (drawn.std_errors > 0).all()
    with pytest.raises(SpecificationError, match="one or two steps"):
        bootstrap(SystemGMM(panel, entity="id", time="year", dependent="y", exogenous=["w"]).fit(steps="iterated"))


def test_bracket_encloses_the_truth(make_panel):
    data = make_panel(n=300, periods=7, seed=21)
    results = SystemGMM(
        data, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"], time_effects="level"
    ).fit()
    bracket = ols_bracket(results)
    assert bracket.fixed_effects < 0.5 < bracket.pooled
    assert bracket.inside and abs(bracket.gmm - 0.5) < 4 * bracket.gmm_error


def test_bracket_equals_least_squares_with_dummies(gapped):
    results = SystemGMM(gapped, entity="id", time="year", dependent="y", exogenous=["w"]).fit()
    frame = gapped.sort_values(["id", "year"]).copy()
    frame["previous"] = frame.groupby("id")["y"].shift(1).where(frame.groupby("id")["year"].diff() == 1)
    frame = frame.dropna(subset="previous")
    dummies = (frame["id"].to_numpy()[:, None] == np.unique(frame["id"])).astype(float)
    x = np.column_stack([frame["previous"], frame["w"], dummies])
    within = np.linalg.lstsq(x, frame["y"], rcond=None)[0][0]
    x = np.column_stack([frame["previous"], frame["w"], np.ones(len(frame))])
    pooled = np.linalg.lstsq(x, frame["y"], rcond=None)[0][0]
    bracket = ols_bracket(results)
    assert (bracket.fixed_effects, bracket.pooled) == pytest.approx((within, pooled), rel=1e-9)


def test_sensitivity_grid(results):
    grid = sensitivity_grid(results, ["x"], n_lags=(1, 2, None), transforms=("fd", "fod"))
    assert len(grid) == 12 and (grid["problem"] == "").all()
    same = grid.query("transform == 'fd' and collapse and n_lags == 2").iloc[0]
    assert (same["x"], same["se(x)"]) == pytest.approx((results.params["x"], results.std_errors["x"]))
    assert (grid.query("collapse")["n_instruments"].to_numpy() < grid.query("not collapse")["n_instruments"]).all()
    few = sensitivity_grid(
        SystemGMM(
            _short(results),
            entity="id",
            time="year",
            dependent="y",
            regressors=["x", "w"],
            instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle("w")],
        ).fit(),
        n_lags=(1,),
        steps=(1, 2),
    )
    assert list(few["steps"]) == [1, 1, 2, 2]


def _short(results):
    import pandas as pd

    grid = results.fit.prepared.grid
    i, t = np.nonzero(grid.stored)
    return pd.DataFrame({"id": grid.entities[i], "year": grid.times[t], **{n: v[i, t] for n, v in grid.values.items()}})


def test_rows_by_stage(results):
    stages = observations_by_stage(results)
    assert stages["stored"] > stages["level"] > stages["transformed"]
    assert stages["counted"] == results.nobs and stages["transformed"] == results.n_transformed


def test_selection_criteria(results):
    found = selection_criteria(results)
    J, df, n = results.hansen.stat, results.df, results.n_groups
    assert (found.aic, found.bic) == pytest.approx((J - 2 * df, J - np.log(n) * df))
    assert found.bic < found.hqic < found.aic


def test_underidentification_of_one_parameter_has_a_closed_form(panel):
    """With one regressor the null is Z'X = 0, so the statistic is (Z'x)' (sum of squares of its scores)^-1 Z'x."""
    results = SystemGMM(
        panel,
        entity="id",
        time="year",
        dependent="y",
        lags=0,
        regressors=["x"],
        constant=False,
        instruments=[IVStyle(["z", "w"])],
    ).fit()
    data = results.fit.prepared.data
    g = np.einsum("nrj,nr->nj", data.Z, data.X[:, :, 0])
    total = g.sum(axis=0)
    test = underidentification_test(results)
    assert test.stat == pytest.approx(total @ np.linalg.solve(g.T @ g, total), rel=1e-9)
    assert test.df == 2 and test.pvalue < 1e-4


def test_underidentification_is_invariant_and_sees_weak_instruments(gapped):
    rng = np.random.default_rng(3)
    data = gapped.assign(noise=rng.normal(size=len(gapped)))
    strong, weak, scaled = (
        SystemGMM(
            frame,
            entity="id",
            time="year",
            dependent="y",
            lags=0,
            regressors=["x"],
            constant=False,
            instruments=[IVStyle([z, "w"])],
        ).fit()
        for frame, z in ((data, "z"), (data, "noise"), (data.assign(z=data["z"] * 100, x=data["x"] / 7), "z"))
    )
    assert underidentification_test(strong).pvalue < 0.001 < 0.05 < underidentification_test(weak).pvalue
    for kind in ("lm", "wald"):
        a, b = (underidentification_test(r, kind=kind).stat for r in (strong, scaled))
        assert a == pytest.approx(b, rel=1e-8)
    assert underidentification_test(strong, kind="wald").stat > underidentification_test(strong).stat
    assert underidentification_test(strong, kind="f").reason


def test_underidentification_has_its_size():
    """Share of rejections at 5 % over 400 draws with one instrument short of identification."""
    import pandas as pd

    rng = np.random.default_rng(11)
    rejected = 0
    n, t = 100, 3
    for _ in range(400):
        frame = pd.DataFrame({"id": np.repeat(np.arange(n), t), "year": np.tile(np.arange(t), n)})
        z = rng.normal(size=(n * t, 3))
        frame[["z1", "z2", "z3"]] = z
        first = z[:, 0] + rng.normal(size=n * t)
        frame["x1"], frame["x2"] = first, rng.normal(size=n * t) + 0.5 * first
        frame["y"] = frame["x1"] + rng.normal(size=n * t)
        fit = SystemGMM(
            frame,
            entity="id",
            time="year",
            dependent="y",
            lags=0,
            regressors=["x1", "x2"],
            constant=False,
            instruments=[IVStyle(["z1", "z2", "z3"], equation="level")],
        ).fit(steps=1)
        rejected += underidentification_test(fit).pvalue < 0.05
    # binomial(400, .05) stays within .02 and .09 with probability .99
    assert 0.02 <= rejected / 400 <= 0.09


def test_cross_section_test_equals_pairwise_correlations(gapped):
    results = SystemGMM(gapped, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"]).fit()
    level = results.resids.query("equation == 'level'").pivot(index="year", columns="id", values="resid")
    correlation = level.corr(min_periods=3)
    present = level.notna().astype(int)
    common = present.T @ present
    upper = np.triu(np.ones(correlation.shape, dtype=bool), 1) & correlation.notna().to_numpy()
    values = (np.sqrt(common) * correlation).to_numpy()[upper]
    assert cross_section_test(results).stat == pytest.approx(values.sum() / np.sqrt(upper.sum()), rel=1e-8)


def test_cross_section_test_sees_a_common_shock(make_panel):
    data = make_panel(n=60, seed=2)
    rng = np.random.default_rng(0)
    shock = dict(zip(range(2000, 2007), 3 * rng.normal(size=7), strict=True))
    shocked = data.assign(y=data["y"] + data["year"].map(shock))
    plain, common = (
        SystemGMM(d, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"]).fit()
        for d in (data, shocked)
    )
    assert abs(cross_section_test(plain).stat) < 3 < cross_section_test(common).stat
