"""Joint inference over columns: covariances against what must coincide, adjusted p-values against closed forms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from estimation.dynamic_panel.postestimation import linear_combination
from estimation.tables import estimate_column, parse_tables, verdicts
from estimation.tables.channels import (
    PRODUCTIVITY,
    agglomeration_effects,
    channel_coefficients,
    channel_tests,
    long_run,
    product_scale,
    significance_ranges,
    subsample_differences,
)
from estimation.tables.claims import STATEMENTS, judge_claims, paper_channel_tests
from estimation.tables.estimators import DIFFERENCE, estimator_sensitivity, invariant_effects
from estimation.tables.joint import Contrast, holm, joint_covariance, romano_wolf, wald_equality
from estimation.tables.mediation import mediation
from estimation.tables.printed import print_table
from estimation.tables.robustness import (
    growth_in_place_of_resilience,
    instrument_sensitivity,
    outcome_variants,
    summarise,
    trimmed_by_each_outcome,
    without_cities,
)
from estimation.tables.spec import Options
from estimation.tables.study import StudyPanel


@pytest.fixture(scope="module")
def baseline(printed):
    return [column.fit for column in printed["table1"].columns]


def _contrast(fit, term="lnAgg*lnPro", label="a"):
    return Contrast(label, fit.results, {term: 1.0})


def test_within_one_column_the_joint_covariance_is_the_columns_own(baseline):
    """Diagonal exactly; off it the influence terms repeat the Windmeijer covariance up to its own approximation."""
    terms = ["lnAgg*lnRes", "lnAgg*lnPro", "lnrd", "lnfdi"]
    results = baseline[0].results
    joint = joint_covariance([_contrast(baseline[0], term, term) for term in terms])
    own = results.cov.loc[terms, terms].to_numpy()
    assert np.diagonal(joint) == pytest.approx(np.diagonal(own), rel=1e-9)
    scale = np.sqrt(np.outer(np.diagonal(own), np.diagonal(own)))
    # correlations, two formulas of the same order in 286 cities
    assert np.abs(joint / scale - own / scale).max() < 0.1


def test_samples_without_a_common_city_are_independent_and_outcomes_of_one_city_are_not(printed, baseline):
    east, central, _ = [column.fit for column in printed["table6"].columns]
    covariance = joint_covariance([_contrast(east, label="east"), _contrast(central, label="central")])
    assert covariance[0, 1] == 0.0
    across = joint_covariance([_contrast(fit, "lnrd", str(n)) for n, fit in enumerate(baseline[:2])])
    # shocks of the world's outcomes are correlated 0.4
    assert across[0, 1] / np.sqrt(across[0, 0] * across[1, 1]) > 0.1


def test_the_joint_covariance_repeats_a_bootstrap_by_city(baseline):
    from estimation.dynamic_panel.bootstrap import bootstrap

    fits = baseline[:2]
    drawn = bootstrap(
        [fit.results for fit in fits], lambda a, b: np.array([a["lnrd"], b["lnrd"]]), n_replications=150, seed=3,
        names=["a", "b"],
    )
    joint = joint_covariance([_contrast(fit, "lnrd", str(n)) for n, fit in enumerate(fits)])
    correlation = joint[0, 1] / np.sqrt(joint[0, 0] * joint[1, 1])
    # Monte Carlo error of a correlation from 150 draws is about 0.08
    assert drawn.draws.corr().iloc[0, 1] == pytest.approx(correlation, abs=0.25)


def test_equality_of_two_contrasts_is_the_square_of_their_z(printed):
    east, central, _ = [column.fit for column in printed["table6"].columns]
    contrasts = [_contrast(east, label="east"), _contrast(central, label="central")]
    stat, df, pvalue = wald_equality(contrasts)
    gap = contrasts[0].estimate - contrasts[1].estimate
    error = np.hypot(contrasts[0].std_error, contrasts[1].std_error)
    assert df == 1 and stat == pytest.approx((gap / error) ** 2, rel=1e-9)
    assert pvalue == pytest.approx(2 * stats.norm.sf(abs(gap / error)), rel=1e-9)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])


def test_romano_wolf_is_sidak_for_independent_columns_and_never_below_the_single_p(printed):
    fits = [column.fit for column in printed["table6"].columns]
    contrasts = [_contrast(fit, "lnAgg*lnRes", str(n)) for n, fit in enumerate(fits)]
    raw = np.array([2 * stats.norm.sf(abs(one.estimate / one.std_error)) for one in contrasts])
    adjusted = romano_wolf(contrasts)
    smallest = int(np.argmin(raw))
    # Monte Carlo error of 9,999 draws
    assert adjusted[smallest] == pytest.approx(1 - (1 - raw[smallest]) ** 3, abs=0.015)
    assert (adjusted >= raw - 0.015).all() and (adjusted <= holm(raw) + 0.015).all()


def test_the_channel_test_is_the_columns_own_wald_test(printed, study):
    panel, _ = study
    tests = channel_tests(list(printed.values()), panel)
    row = tests[(tests["table"] == 1) & (tests["column"] == 2)].iloc[0]
    results = printed["table1"].columns[1].fit.results
    wald = results.wald_test({PRODUCTIVITY: 1.0, "lnAgg*lnRes": -1.0})
    assert row["pvalue"] == pytest.approx(wald.pvalue, rel=1e-6)
    natural = (
        results.params[PRODUCTIVITY] / panel.constant(PRODUCTIVITY).sd
        - results.params["lnAgg*lnRes"] / panel.constant("lnAgg*lnRes").sd
    ) * panel.constant("lnnum").sd
    assert row["natural_difference"] == pytest.approx(natural, rel=1e-9)
    assert (tests["romano_wolf"] >= tests["pvalue"] - 0.02).all()


def test_unemployment_counts_in_the_direction_of_resilience(printed, study):
    tests = channel_tests([printed["table2"]], study[0])
    coefficient = printed["table2"].columns[0].ours["lnAgg*lnRunepd"].coefficient
    assert tests.iloc[0]["resilience_channel"] == pytest.approx(-coefficient)


def test_channel_tests_hold_their_level_on_a_world_where_truth_is_known(make_study, classes, shipped):
    """The true difference must be refused in about 5 % of tests: at most 4 of 24 (p < 0.03 under the null)."""
    refused, column = 0, parse_tables(*shipped)[0].columns
    for seed in range(300, 308):
        panel, truth = make_study(seed)
        for one in column:
            fit = estimate_column(one, panel, classes)
            true = truth[one.dependent, "lnRes"]
            contrast = Contrast("x", fit.results, {PRODUCTIVITY: 1.0, "lnAgg*lnRes": -1.0})
            gap = contrast.estimate - (true[PRODUCTIVITY] - true["lnAgg*lnRes"])
            refused += abs(gap / contrast.std_error) > 1.96
    assert refused <= 4


def test_effects_long_run_and_differences_have_the_stated_form(printed, study, baseline):
    panel, _ = study
    effects = agglomeration_effects(baseline[0], panel)
    middle = effects[(effects["variable"] == "lnPro") & (effects["percentile"] == 50)].iloc[0]
    params = baseline[0].results.params
    spread = {name: panel.constant(name).sd for name in ("lnAgg", "lnPro", PRODUCTIVITY)}
    factor = spread["lnAgg"] * spread["lnPro"] / spread[PRODUCTIVITY]
    assert middle["effect"] == pytest.approx(params["lnAgg"] + params[PRODUCTIVITY] * factor * middle["value"])
    ratio = long_run(baseline[0]).set_index("term").loc["lnAgg", "long_run"]
    assert ratio == pytest.approx(params["lnAgg"] / (1 - params["L.lnvalue"]))
    differences = subsample_differences([printed["table6"]])
    assert set(differences["compared"]) == {"all equal", "east - central", "east - west", "central - west"}
    coefficients = channel_coefficients([printed["table1"]])
    assert len(coefficients) == 6 and (coefficients["holm"] >= coefficients["pvalue"]).all()


def test_the_effect_of_agglomeration_is_what_the_standardised_equation_says(study, baseline):
    """Move lnAgg by a little in natural units, build and scale the product again, and look at the fitted value."""
    panel, _ = study
    params = baseline[0].results.params
    A, M, P = (panel.constant(name) for name in ("lnAgg", "lnPro", PRODUCTIVITY))

    def fitted(agglomeration, moderator):
        product = ((agglomeration - A.mean) * (moderator - M.mean) - P.mean) / P.sd
        return params["lnAgg"] * (agglomeration - A.mean) / A.sd + params[PRODUCTIVITY] * product

    effects = agglomeration_effects(baseline[0], panel)
    for row in effects[effects["variable"] == "lnPro"].itertuples():
        step = 1e-4 * A.sd
        slope = (fitted(A.mean + step, row.natural_value) - fitted(A.mean - step, row.natural_value)) / 2e-4
        assert row.effect == pytest.approx(slope, rel=1e-6)
    ranges = significance_ranges(baseline[0], panel).set_index("variable")
    words = ranges.loc["lnPro", "significant"].split()
    for bound in (float(word) for word in words if word.lstrip("-").replace(".", "").isdigit()):
        weights = {"lnAgg": 1.0, PRODUCTIVITY: product_scale(baseline[0], panel, "lnPro", PRODUCTIVITY) * bound}
        # bounds are printed with two decimals
        assert abs(linear_combination(baseline[0].results, weights).stat) == pytest.approx(1.96, abs=0.05)


def test_a_factor_below_one_belongs_to_correlated_factors():
    """At a correlation of .5 the product of two normals has the standard deviation 1 / .894 of their product's."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=200_000)
    m = 0.5 * a + np.sqrt(0.75) * rng.normal(size=200_000)
    frame = pd.DataFrame({"city_id": np.arange(200_000), "year": 2003, "lnAgg": 3 * a, "lnPro": 2 * m})
    panel = StudyPanel.from_natural(frame)
    fit = SimpleNamespace(column=SimpleNamespace(options=Options()), mask=None)
    # the standard error of a standard deviation over 200,000 draws is .3 %
    assert product_scale(fit, panel, "lnPro", PRODUCTIVITY) == pytest.approx(1 / np.sqrt(1.25), rel=0.01)


def test_the_indirect_effect_is_the_product_of_both_paths(baseline, study):
    frame = mediation(baseline[0], study[0], n_replications=19).set_index("path")
    assert frame.loc["productivity", "indirect"] == pytest.approx(
        frame.loc["productivity", "first"] * frame.loc["productivity", "second"]
    )
    gap = frame.loc["productivity", "indirect"] - frame.loc["resilience", "indirect"]
    assert frame.loc["difference", "indirect"] == pytest.approx(gap)


def test_choices_change_what_they_name_and_failures_are_rows(baseline, study, classes):
    panel, _ = study
    column = baseline[0].column
    grid = instrument_sensitivity(column, panel, classes).set_index("choice")
    assert grid.loc["lags 2-3, collapsed", "n_instruments"] == baseline[0].results.n_instruments
    assert grid["n_instruments"].nunique() > 4
    out = without_cities(column, panel, classes, {"none": set(), "all": set(zip(
        panel.natural["city_id"], panel.natural["year"], strict=True))})
    assert out.loc[0, "difference"] == pytest.approx(grid.loc["lags 2-3, collapsed", "difference"])
    assert out.loc[1, "problem"]
    same = outcome_variants(column, panel, classes, {"itself": panel.natural["lnvalue"]})
    assert same.loc[0, "productivity_channel"] == pytest.approx(out.loc[0, "productivity_channel"])
    growth = growth_in_place_of_resilience([column], panel, classes)
    assert list(growth["choice"]) == ["lnRes", "lnGrowth"]


def test_other_estimators_of_a_column_are_rows_with_what_they_leave_out(baseline, study):
    """Level moments hold in the study's world, controls are exogenous, errors uncorrelated: no Hausman test objects."""
    fit = baseline[0]
    frame = estimator_sensitivity(fit, study[0]).set_index("choice")
    assert (frame["problem"] == "").all() and len(frame) == 8
    table, difference, without = frame.iloc[0], frame.loc[DIFFERENCE], frame.loc["no level moments of endogenous regressors"]
    assert table["difference"] == pytest.approx(instrument_row(fit)["difference"])
    assert difference["n_instruments"] < without["n_instruments"] < table["n_instruments"]
    assert difference["left_out"] == "lnseadis" and table["left_out"] == ""
    nonlinear = frame[frame.index.str.startswith("nonlinear")]
    assert (nonlinear["n_instruments"] - without["n_instruments"]).tolist() == [1, 2]
    two_way = frame.iloc[1]
    assert two_way["difference"] == table["difference"] and two_way["std_error"] != table["std_error"]
    assert (frame["hausman_p"].drop(DIFFERENCE) > 0.01).all() and np.isnan(difference["hausman_p"])
    within = frame.loc[["bias-corrected within", "half-panel jackknife"]]
    # endogenous regressors bias them, as the page says; the channels keep their order
    assert (within["productivity_channel"] > within["resilience_channel"]).all() and within["n_instruments"].isna().all()


def test_distance_to_the_sea_in_one_stage_and_in_two(baseline, study):
    fit = baseline[0]
    frame = invariant_effects(fit, study[0])
    assert frame["variable"].tolist() == ["lnseadis", "lnseadis"] and (frame["problem"] == "").all()
    one, two = frame.iloc[0], frame.iloc[1]
    assert one["estimate"] == pytest.approx(fit.results.params["lnseadis"])
    assert two["std_error"] > two["uncorrected"] > 0
    # the world gives the distance one effect; both estimates are within three of the wider error of each other
    assert abs(one["estimate"] - two["estimate"]) < 3 * max(one["std_error"], two["std_error"])


def instrument_row(fit):
    """Return the row of the column as the tables estimate it."""
    return summarise(fit, "the table")


def test_the_papers_own_errors_decide_few_columns(paper):
    frame = paper_channel_tests(paper)
    assert len(frame) == 30 and (frame["difference"] > 0).all()
    first = frame.iloc[0]
    assert first["difference"] == pytest.approx(0.212 - 0.150)
    assert first["z_uncorrelated"] == pytest.approx(0.062 / np.hypot(0.0697, 0.0289))
    certain = frame[frame["reading"] == "significant at any correlation"]
    assert set(zip(certain["table"], certain["column"], strict=True)) == {(2, 1), (2, 2), (3, 2)}
    # at the correlation stated, z is exactly the critical value
    row = frame[(frame["table"] == 3) & (frame["column"] == 1)].iloc[0]
    variance = 0.0853**2 + 0.0389**2 - 2 * row["correlation_needed"] * 0.0853 * 0.0389
    assert row["difference"] / np.sqrt(variance) == pytest.approx(1.959964, rel=1e-5)


def test_claims_follow_their_rule(printed, study, classes, paper):
    claims = judge_claims(list(printed.values()), study[0])
    by_name = {claim.name: claim for claim in claims}
    assert len(by_name) == len(claims) == len(STATEMENTS)
    assert {claim.verdict for claim in claims} <= {"supported", "contradicted", "cannot tell", "not rejected", "not tested"}
    assert all(claim.sentence and claim.test and claim.evidence for claim in claims)
    # the world obeys the paper's coefficients: in Table 1 the distance to the sea is negative, and one per cent of
    # agglomeration is far from twenty per cent of exports
    assert by_name["Distance to the sea (lnseadis) lowers exports"].verdict == "supported"
    assert by_name["One per cent more agglomeration raises export value by 20 per cent"].verdict == "contradicted"
    assert by_name["The instruments are not rejected: no AR(2), Hansen above 5%"].verdict in ("not rejected", "contradicted")
    alone = judge_claims([printed["table1"]], study[0])
    assert {claim.name: claim.verdict for claim in alone}[
        "Both channels are strongest in the centre, then the east, then the west"] == "not tested"
    empty = print_table(printed["table1"].table, [
        type(column.fit)(column.fit.column, None, "no data", 0, column.fit.mask, ()) for column in printed["table1"].columns
    ])
    assert {claim.verdict for claim in judge_claims([empty], study[0])} == {"not tested"}


def test_the_claim_on_main_effects_is_the_difference_of_the_two_coefficients(printed, study):
    """By hand: the estimate and z of lnPro less resilience in every column, then Holm."""
    found = verdicts.Estimates([printed["table1"]], study[0])
    pvalues, values = [], []
    for column in printed["table1"].columns:
        results = column.fit.results
        cov = results.cov
        gap = results.params["lnPro"] - results.params["lnRes"]
        variance = cov.loc["lnPro", "lnPro"] + cov.loc["lnRes", "lnRes"] - 2 * cov.loc["lnPro", "lnRes"]
        values.append(gap)
        pvalues.append(2 * stats.norm.sf(abs(gap) / np.sqrt(variance)))
    expected = verdicts.signs(values, pvalues)
    assert verdicts.larger_main_effect(found) == expected


@pytest.mark.parametrize(
    ("values", "pvalues", "verdict"),
    [
        ([1, 2, 3], [0.001, 0.001, 0.001], "supported"),
        ([1, 2, 3], [0.001, 0.001, 0.2], "cannot tell"),
        ([1, 2, -3], [0.001, 0.001, 0.2], "cannot tell"),
        ([1, 2, -3], [0.001, 0.001, 0.001], "contradicted"),
        # alone each is significant, after Holm over three none is
        ([1, 2, 3], [0.03, 0.03, 0.03], "cannot tell"),
        ([], [], "not tested"),
    ],
)
def test_verdict_on_signs(values, pvalues, verdict):
    assert verdicts.signs(values, pvalues)[0] == verdict


def test_trims_by_products_and_destinations_are_the_samples_cut_by_hand(study, classes, shipped):
    panel, _ = study
    column = next(one for one in parse_tables(*shipped) if one.name == "table1").columns[1]
    rows = trimmed_by_each_outcome(column, panel, classes).set_index("choice")
    assert len(rows) == 6 and (rows["problem"] == "").all()
    # rows: a tenth of the city-years at each end of the number of products, then the column itself on them
    values = panel.natural["lnnum"]
    low, high = values.quantile([0.1, 0.9])
    inside = int(values.between(low, high).sum())
    found = rows.loc["without a tenth of products at each end, city-years"]
    whole = estimate_column(column, panel, classes).results
    assert found["n_obs"] < whole.nobs and abs(found["n_obs"] / whole.nobs - inside / len(values)) < 0.05
