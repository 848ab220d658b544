"""Hausman, underidentification, moment selection, two-way clusters, predictions of effects: by hand, identities, size."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import estimation
from estimation import (
    BiasCorrectedMM,
    DifferenceGMM,
    EstimationError,
    GMMStyle,
    HalfPanelJackknife,
    IVStyle,
    NonlinearGMM,
    SystemGMM,
    cue_underidentification_test,
    entity_effects,
    hausman_test,
    idiosyncratic_errors,
    jochmans_test,
    sanderson_windmeijer,
    select_moments,
    selection_table,
    two_stage,
    two_way_clustered,
    yamagata_test,
)
from estimation.dynamic_panel.entity_effects import idiosyncratic_variance
from estimation.dynamic_panel.influence import quadratic_form
from estimation.dynamic_panel.two_way import two_way_covariance
from estimation.errors import SpecificationError, UnknownColumnError

pytestmark = pytest.mark.filterwarnings("ignore::estimation.EstimationWarning")
KEYS = {"entity": "id", "time": "year"}
OWN = [GMMStyle("y", (2, 3), collapse=True, equation="difference"),
       GMMStyle("x", (1, 2), collapse=True, equation="difference")]  # fmt: skip
LEVEL = [IVStyle("L.D.y", "level"), IVStyle("D.x", "level")]


def draw(n=200, periods=7, *, seed=0, start="stationary", rho=0.5):
    """Draw y = rho L.y + .5 x + a + e, x predetermined; "zero" starts everybody off the stationary path."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    x, e = a + rng.normal(size=n), rng.normal(size=n)
    y = (a * 1.5 / (1 - rho) if start == "stationary" else np.zeros(n)) + rng.normal(size=n)
    records = []
    for t in range(periods + (10 if start == "stationary" else 0)):
        x = 0.5 * x + 0.5 * a + 0.3 * e + rng.normal(size=n)
        e = rng.normal(size=n)
        y = rho * y + 0.5 * x + a + e
        records.append(pd.DataFrame({"id": np.arange(n), "year": t, "y": y, "x": x, "a": a, "e": e}))
    data = pd.concat(records[-periods:], ignore_index=True)
    return data.assign(province=data["id"] % 40)


def fits(data, **options):
    difference = DifferenceGMM(data, dependent="y", regressors=["x"], instruments=OWN, **KEYS, **options).fit()
    system = SystemGMM(data, dependent="y", regressors=["x"], instruments=[*OWN, *LEVEL], **KEYS, **options).fit()
    return difference, system


# -- Hausman ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", [None, "province"])
def test_hausman_is_the_quadratic_form_by_hand(cluster):
    data = draw(seed=1)
    difference, system = fits(data, cluster=cluster)
    names = ["L.y", "x"]
    psi = difference.influence - system.influence[:, :2]
    if cluster:
        psi = pd.DataFrame(psi).groupby(difference.fit.prepared.grid.entities % 40).sum().to_numpy()
    gap = (difference.params[names] - system.params[names]).to_numpy()
    expected = gap @ np.linalg.solve(psi.T @ psi, gap)
    found = hausman_test(difference, system)
    assert found.df == 2
    np.testing.assert_allclose(found.stat, expected, rtol=1e-9)
    np.testing.assert_allclose(hausman_test(system, difference).stat, expected, rtol=1e-9)


def test_hausman_rejects_level_moments_where_they_are_wrong_and_rarely_where_they_hold():
    """40 panels each of 300 entities."""
    share = {
        start: np.mean([hausman_test(*fits(draw(300, 7, seed=seed, start=start))).pvalue < 0.05 for seed in range(40)])
        for start in ("stationary", "zero")
    }
    # binomial(40, .05) exceeds 7 once in 1,500
    assert share["stationary"] <= 7 / 40 and share["zero"] > 0.7


def test_hausman_does_not_depend_on_units_or_order_and_takes_other_estimators():
    data = draw(seed=2)
    stat = hausman_test(*fits(data)).stat
    changed = data.assign(y=1e5 * data["y"], x=1e-3 * data["x"]).sample(frac=1, random_state=1)
    np.testing.assert_allclose(hausman_test(*fits(changed)).stat, stat, rtol=1e-6)
    bias_corrected = BiasCorrectedMM(data, dependent="y", regressors=["x"], **KEYS).fit()
    assert hausman_test(bias_corrected, fits(data)[0]).df == 2
    nonlinear = NonlinearGMM(data, dependent="y", regressors=["x"], instruments=OWN, **KEYS).fit()
    one = hausman_test(nonlinear, fits(data)[0])
    assert one.df == 1 and hausman_test(nonlinear, fits(data)[0], nested=False).df == 2


def test_hausman_of_other_entities_matches_by_label():
    data = draw(100, seed=3)
    part = data[data["id"] >= 20].assign(id=lambda f: f["id"])
    whole, smaller = fits(data)[0], fits(part)[0]
    psi = whole.influence.copy()
    psi[20:] -= smaller.influence
    gap = (whole.params - smaller.params).to_numpy()
    found = hausman_test(whole, smaller, nested=False)
    np.testing.assert_allclose(found.stat, gap @ np.linalg.solve(psi.T @ psi, gap), rtol=1e-9)


def test_hausman_faults_are_named():
    difference, system = fits(draw(60, seed=4))
    with pytest.raises(UnknownColumnError, match="nothing"):
        hausman_test(difference, system, ["nothing"])
    assert "overidentifying" in hausman_test(difference, difference).reason
    assert "same estimates" in hausman_test(difference, difference, nested=False).reason


def test_quadratic_form_uses_the_leading_directions():
    covariance = np.diag([4.0, 9.0, 0.0])
    assert quadratic_form(np.array([2.0, 3.0, 0.0]), covariance) == (2.0, 2)
    stat, rank = quadratic_form(np.array([2.0, 2.0]), np.array([[1.0, 0.5], [0.5, 1.0]]), rank=1)
    np.testing.assert_allclose((stat, rank), (8.0 / 1.5, 1))


# -- underidentification ---------------------------------------------------------------------------------------------


def test_j_of_a_regressor_is_hansen_of_its_auxiliary_model():
    """Regressor c on the others with the same rows and instruments, two steps from two-stage least squares, by matrices."""
    data = fits(draw(150, seed=5))[0].fit.prepared.data
    found = sanderson_windmeijer(fits(draw(150, seed=5))[0])
    Z, X = data.Z, data.X
    for c, name in enumerate(("L.y", "x")):
        y, other = X[:, :, c], X[:, :, 1 - c]
        zy, zx = np.einsum("nrj,nr->j", Z, y), np.einsum("nrj,nr->j", Z, other)
        W = np.linalg.inv(np.einsum("nrj,nrl->jl", Z, Z))
        first = (zx @ W @ zy) / (zx @ W @ zx)
        g = np.einsum("nrj,nr->nj", Z, y - first * other)
        V = np.linalg.inv(g.T @ g)
        second = (zx @ V @ zy) / (zx @ V @ zx)
        rest = zy - second * zx
        np.testing.assert_allclose(found.loc[name, "j_stat"], rest @ V @ rest, rtol=1e-8)
        assert found.loc[name, "df"] == data.j - 1
        np.testing.assert_allclose(found.loc[name, "j_pvalue"], stats.chi2.sf(rest @ V @ rest, data.j - 1), rtol=1e-8)


def test_conditional_f_is_the_wald_statistic_of_what_the_others_cannot_reach():
    """With B a basis of what is orthogonal to Z'X of the others: (B'Z'x)' [B' S B]^-1 (B'Z'x) / (j - k + 1).

    S is from the residuals of the first stage; the constant instruments itself and drops out.
    """
    results = fits(draw(150, seed=5))[1]
    data, found = results.fit.prepared.data, sanderson_windmeijer(results)
    Z, X = data.Z, data.X
    for c, name in enumerate(("L.y", "x")):
        others = [k for k in range(3) if k != c]
        ZX = np.einsum("nrj,nrk->jk", Z, X)
        W = np.linalg.inv(np.einsum("nrj,nrl->jl", Z, Z))
        delta = np.linalg.solve(ZX[:, others].T @ W @ ZX[:, others], ZX[:, others].T @ W @ ZX[:, c])
        r = X[:, :, c] - X[:, :, others] @ delta
        eta = r - Z @ (W @ np.einsum("nrj,nr->j", Z, r))
        g = np.einsum("nrj,nr->nj", Z, eta)
        B = np.linalg.svd(ZX[:, others])[0][:, 2:]
        m = B.T @ ZX[:, c]
        wald = m @ np.linalg.solve(B.T @ g.T @ g @ B, m)
        np.testing.assert_allclose(found.loc[name, "F"], wald / (data.j - 2), rtol=1e-8)


def test_continuously_updated_test_does_not_depend_on_how_regressors_are_combined():
    """L.y and x, or L.y and x + 2 L.y: the same space, the same test, and the minimum of a grid over directions."""
    data = draw(150, seed=6).sort_values(["id", "year"])
    data = data.assign(mixed=data["x"] + 2 * data.groupby("id")["y"].shift(1))
    values = [
        cue_underidentification_test(
            DifferenceGMM(data, dependent="y", regressors=[name], instruments=OWN, **KEYS).fit()
        ) for name in ("x", "mixed")
    ]  # fmt: skip
    np.testing.assert_allclose(values[0].stat, values[1].stat, rtol=1e-5)
    data = DifferenceGMM(data, dependent="y", regressors=["x"], instruments=OWN, **KEYS).fit().fit.prepared.data
    g = np.einsum("nrj,nrk->njk", data.Z, data.X)
    grid = []
    for angle in np.linspace(0, np.pi, 4_001):
        h = g @ np.array([np.cos(angle), np.sin(angle)])
        grid.append(h.sum(axis=0) @ np.linalg.solve(h.T @ h, h.sum(axis=0)))
    # four thousand directions come within a millionth of the minimum
    np.testing.assert_allclose(values[0].stat, min(grid), rtol=1e-5)
    assert values[0].df == data.j - 1


def test_underidentification_is_seen_when_it_is_there():
    """A second regressor that is noise to the instruments: 60 panels; its J rejects as rarely as a true null."""
    rejected, J = 0, []
    for seed in range(60):
        data = draw(200, 6, seed=seed)
        data["noise"] = np.random.default_rng(seed).normal(size=len(data)).cumsum() * 0
        data["noise"] += np.random.default_rng(1_000 + seed).normal(size=len(data))
        model = DifferenceGMM(data, dependent="y", regressors=["noise"], instruments=OWN, **KEYS).fit()
        test = cue_underidentification_test(model)
        rejected += test.pvalue < 0.05
        J.append(sanderson_windmeijer(model).loc["noise", "j_pvalue"] < 0.05)
    assert rejected <= 10 and np.mean(J) <= 10 / 60
    strong = sanderson_windmeijer(fits(draw(400, seed=1))[0])
    assert (strong["F"] > 10).all() and (strong["j_pvalue"] < 1e-4).all()


def test_one_regressor_and_unknown_names():
    data = draw(80, seed=7)
    single = DifferenceGMM(data, dependent="y", instruments=OWN, **KEYS).fit()
    assert cue_underidentification_test(single).df == single.n_instruments
    np.testing.assert_allclose(sanderson_windmeijer(single)["j_stat"].iloc[0], cue_underidentification_test(single).stat)
    with pytest.raises(UnknownColumnError, match="nothing"):
        sanderson_windmeijer(single, ["nothing"])


# -- selection -------------------------------------------------------------------------------------------------------


def test_selection_table_has_the_criteria_of_each_candidate_and_the_smallest():
    difference, system = fits(draw(300, seed=8, start="zero"))
    table = selection_table({"difference": difference, "system": system, "failed": "too few moments"})
    for name, fit in (("difference", difference), ("system", system)):
        n = fit.n_groups
        np.testing.assert_allclose(table.loc[name, "bic"], fit.hansen.stat - fit.df * np.log(n))
        np.testing.assert_allclose(table.loc[name, "aic"], fit.hansen.stat - 2 * fit.df)
        np.testing.assert_allclose(table.loc[name, "hqic"], fit.hansen.stat - 2.1 * fit.df * np.log(np.log(n)))
    # the level moments are wrong here, and all three criteria say so
    assert table.loc["difference", "chosen"] == "BIC, HQIC, AIC" and table.loc["system", "chosen"] == ""
    assert table.loc["failed", "problem"] == "too few moments" and np.isnan(table.loc["failed", "bic"])


def bic_choices(name, n, start, panels=20):
    """Return how often BIC chooses a candidate."""
    tables = [
        selection_table(dict(zip(("difference", "system"), fits(draw(n, seed=seed, start=start)), strict=True)))
        for seed in range(panels)
    ]
    return np.mean(["BIC" in table.loc[name, "chosen"] for table in tables])


def test_right_moments_are_chosen_and_more_often_the_more_entities_there_are():
    assert bic_choices("system", 200, "stationary") > 0.9
    # with few entities BIC prefers more moments although they are wrong; its bonus grows slower than J
    few, many = bic_choices("difference", 200, "zero"), bic_choices("difference", 1_500, "zero")
    assert few < 0.6 and many > 0.9


def test_select_moments_fits_the_candidates_and_keeps_reasons():
    model = SystemGMM(draw(100, seed=9), dependent="y", regressors=["x"], instruments=[*OWN, *LEVEL], **KEYS)
    table = select_moments(model, {
        "system": {}, "difference": {"instruments": tuple(OWN)}, "none": {"instruments": ()},
    })  # fmt: skip
    assert list(table.index) == ["system", "difference", "none"] and "moments" in table.loc["none", "problem"]
    np.testing.assert_allclose(table.loc["system", "hansen"], model.fit().hansen.stat)


def test_other_samples_are_listed_but_not_ranked_and_other_outcomes_refused():
    data = draw(100, seed=10)
    first, other = fits(data)[0], fits(data[data["id"] < 60])[0]
    table = selection_table({"a": first, "b": fits(data)[1], "c": other})
    assert "not ranked" in table.loc["c", "problem"] and table.loc["c", "chosen"] == ""
    with pytest.raises(SpecificationError, match="one outcome"):
        selection_table({"a": first, "b": DifferenceGMM(data, dependent="x", instruments=OWN, **KEYS).fit()})


# -- two-way clusters ------------------------------------------------------------------------------------------------


def scores_by_row(fit):
    """Return what each row adds to the influence of its entity, by loops over rows."""
    data, D = fit.prepared.data, None
    rows = []
    if fit.options.steps == 2:
        from estimation.dynamic_panel.algebra import windmeijer_slope

        D = windmeijer_slope(data, fit.one_step.e, fit.reported)
    for i, r in np.argwhere(fit.prepared.design.rows):
        score = fit.reported.fit.projection @ data.Z[i, r] * fit.reported.e[i, r]
        if D is not None:
            score = score + D @ fit.one_step.fit.projection @ data.Z[i, r] * fit.one_step.e[i, r]
        rows.append((i, r, score))
    return rows


@pytest.mark.parametrize("steps", [1, 2])
def test_two_way_covariance_is_that_of_loops(steps):
    data = draw(60, 9, seed=11)
    results = SystemGMM(data, dependent="y", regressors=["x"], instruments=[*OWN, *LEVEL], **KEYS).fit(steps=steps)
    design = results.fit.prepared.design
    at = np.concatenate([design.transformed_at, design.level_at])
    parts = {}
    for kind in ("entity", "time", "both"):
        sums = {}
        for i, r, score in scores_by_row(results.fit):
            key = {"entity": i, "time": at[r], "both": (i, at[r])}[kind]
            sums[key] = sums.get(key, 0) + score
        parts[kind] = sum(np.outer(s, s) for s in sums.values()) * len(sums) / (len(sums) - 1)
    codes = np.broadcast_to(at, design.rows.shape)
    V, n_other, negative = two_way_covariance(results.fit, codes)
    assert n_other == 7
    if not negative:
        np.testing.assert_allclose(V, parts["entity"] + parts["time"] - parts["both"], rtol=1e-8, atol=1e-14)
    assert np.linalg.eigvalsh(V)[0] > -1e-12
    np.testing.assert_allclose(parts["entity"] * 59 / 60, results.influence.T @ results.influence, rtol=1e-8)


@pytest.mark.parametrize("steps", [1, 2])
def test_two_ways_are_one_when_one_direction_lies_inside_the_other(steps):
    """Cities within provinces, clustered on both, is clustered on provinces; one step then has the reported covariance."""
    data = draw(120, 6, seed=12)
    results = SystemGMM(data, dependent="y", regressors=["x"], instruments=[*OWN, *LEVEL], cluster="province",
                        **KEYS).fit(steps=steps)  # fmt: skip
    both = two_way_clustered(results, data, "id")
    one = pd.DataFrame(results.influence).groupby(np.arange(120) % 40).sum().to_numpy()
    np.testing.assert_allclose(both.fit.cov, one.T @ one * 40 / 39, rtol=1e-8)
    if steps == 1:
        np.testing.assert_allclose(both.fit.cov, results.fit.cov * 40 / 39, rtol=1e-8)


def test_two_way_results_keep_estimates_and_say_what_they_are():
    data = draw(100, 8, seed=13)
    results = fits(data)[1]
    both = two_way_clustered(results)
    assert both.params.equals(results.params) and not both.std_errors.equals(results.std_errors)
    assert any("two ways" in note for note in both.notes) and any("few" in note for note in both.notes)
    assert both.wald_test(["x"]).stat != results.wald_test(["x"]).stat
    assert both.df_resid == 5
    np.testing.assert_allclose(both.pvalues["x"], 2 * stats.t.sf(abs(both.tstats["x"]), 5))
    with pytest.raises(UnknownColumnError, match="nothing"):
        two_way_clustered(results, data, "nothing")
    with pytest.raises(EstimationError, match="linear"):
        two_way_clustered(NonlinearGMM(data, dependent="y", regressors=["x"], instruments=OWN, **KEYS).fit())


def test_common_shocks_of_a_period_widen_two_way_errors():
    """Shocks common to all entities of a period: one-way errors are far too small, two-way ones are not."""
    one, two, found = [], [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        data = draw(80, 25, seed=seed)
        shocks, moves = rng.normal(size=25), rng.normal(size=25)
        year = data["year"] - data["year"].min()
        data = data.assign(w=moves[year] + 0.3 * rng.normal(size=len(data)))
        data = data.assign(y=0.5 * data["w"] + shocks[year] + 0.3 * data["e"] + data["a"])
        fit = SystemGMM(data, dependent="y", lags=0, regressors=["w"], instruments=[IVStyle("w")], **KEYS).fit(steps=1)
        one.append(fit.std_errors["w"])
        two.append(two_way_clustered(fit).std_errors["w"])
        found.append(fit.params["w"])
    assert np.mean(one) < 0.5 * np.std(found) and np.mean(two) > 0.7 * np.std(found)


# -- effects and errors ----------------------------------------------------------------------------------------------


def test_effects_and_errors_are_means_and_deviations_of_level_residuals():
    data = draw(80, 7, seed=14)
    data = data[np.random.default_rng(0).uniform(size=len(data)) > 0.1]
    results = fits(data)[1]
    frame = data.sort_values(["id", "year"]).assign(one=1.0)
    lagged = frame[["id", "year", "y"]].assign(year=frame["year"] + 1).rename(columns={"y": "ly"})
    frame = frame.merge(lagged, on=["id", "year"], how="left")
    counted = results.fit.prepared.design.level_rows
    frame = frame.dropna()
    frame["u"] = frame["y"] - frame[["ly", "x", "one"]].to_numpy() @ results.params[["L.y", "x", "_cons"]].to_numpy()
    kept = {(results.fit.prepared.grid.entities[i], results.fit.prepared.grid.times[t]) for i, t in np.argwhere(counted)}
    frame = frame[[key in kept for key in zip(frame["id"], frame["year"], strict=True)]]
    effects, errors = entity_effects(results), idiosyncratic_errors(results)
    means = frame.groupby("id")["u"].mean()
    np.testing.assert_allclose(effects["effect"], means.loc[effects.index], rtol=1e-9, atol=1e-12)
    expected = frame.set_index(["id", "year"])["u"] - means.reindex(frame["id"]).to_numpy()
    np.testing.assert_allclose(errors["error"], expected.loc[errors.index], rtol=1e-9, atol=1e-12)
    n = frame.groupby("id").size()
    variance = float((expected**2).sum() / (n - 1).sum())
    np.testing.assert_allclose(idiosyncratic_variance(results), variance)
    one = effects.index[3]
    rows = frame.loc[frame["id"] == one, ["ly", "x", "one"]].mean().to_numpy()
    V = results.cov.to_numpy()
    np.testing.assert_allclose(effects.loc[one, "std_error"], np.sqrt(variance / n[one] + rows @ V @ rows))


def test_intervals_of_effects_and_errors_hold_the_truth():
    """300 cities, 8 panels: shares near .95; effects of a panel share the error of the slopes, so the band is wide."""
    inside = {"effect": [], "error": []}
    for seed in range(8):
        data = draw(300, 8, seed=seed)
        results = fits(data)[1]
        truth = data.drop_duplicates("id").set_index("id")["a"]
        effects = entity_effects(results)
        gap = abs(effects["effect"] + results.params["_cons"] - truth)
        inside["effect"].append((gap < 1.96 * effects["std_error"]).mean())
        errors = idiosyncratic_errors(results)
        e = data.set_index(["id", "year"])["e"].loc[errors.index]
        inside["error"].append((abs(errors["error"] - e) < 1.96 * errors["std_error"]).mean())
    assert 0.88 < np.mean(inside["effect"]) < 0.99 and 0.9 < np.mean(inside["error"]) < 0.99


def test_difference_gmm_has_effects_too_and_fitted_values_add_up():
    data = draw(60, 6, seed=15)
    results = fits(data)[0]
    errors = idiosyncratic_errors(results)
    y = data.set_index(["id", "year"])["y"].loc[errors.index]
    np.testing.assert_allclose(errors["fitted"] + errors["error"], y)
    assert (entity_effects(results)["n_periods"] == 5).all()


def everything(data, scale_y, scale_x):
    """Return what does not depend on units or order, of every estimator and test, as one list of numbers."""
    difference, system = fits(data)
    out = [cue_underidentification_test(difference).stat, cue_underidentification_test(system).stat]
    out += sanderson_windmeijer(system)[["j_stat", "F"]].to_numpy().ravel().tolist()
    out += [jochmans_test(system, order=3).stat, jochmans_test(difference, collapse=True).stat, yamagata_test(system).stat]
    out += two_way_clustered(system).tstats[["L.y", "x"]].tolist()
    for estimator in (BiasCorrectedMM, HalfPanelJackknife):
        out += estimator(data, dependent="y", regressors=["x"], time_effects=True, **KEYS).fit().tstats.tolist()
    out += two_stage(difference, data, "z").tstats.tolist()
    effects, errors = entity_effects(system), idiosyncratic_errors(system)
    out += [(effects["effect"] / effects["std_error"]).abs().sum(), (errors["error"] / errors["std_error"]).abs().sum()]
    out += [effects["effect"].std() / scale_y, selection_table({"a": difference, "b": system}).loc["b", "bic"]]
    return [*out, difference.params["x"] / scale_y * scale_x]


def test_nothing_depends_on_units_or_on_the_order_and_names_of_entities():
    data = draw(150, 7, seed=16).assign(z=lambda f: np.sin(f["id"]))
    base = everything(data, 1.0, 1.0)
    renamed = (data["id"] * 37) % 151
    changed = data.assign(y=data["y"] * 1e6, x=data["x"] * 1e-6, z=data["z"] * 1e3, id=renamed)
    np.testing.assert_allclose(everything(changed.sample(frac=1, random_state=3), 1e6, 1e-6), base, rtol=1e-5)


def test_every_door_has_its_page_and_every_page_its_doors():
    root = Path(__file__).resolve().parents[3] / "docs" / "methodology" / "estimators"
    listed = re.findall(r"^\| \[.*?\]\((\w+\.md)\) \| (.*) \|$", (root / "README.md").read_text("utf-8"), flags=re.M)
    assert {page for page, _ in listed} == {path.name for path in root.glob("*.md")} - {"README.md"}
    for page, doors in listed:
        for name in re.findall(r"`(\w+)`", doors):
            assert hasattr(estimation, name) and name in (root / page).read_text("utf-8"), name
