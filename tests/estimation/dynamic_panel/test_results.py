"""What results answer: table, tests, moments, rows, and that a diagnostic which does not apply never stops a fit."""

from __future__ import annotations

import dataclasses
import doctest
import json

import numpy as np
import pytest
from scipy import stats

import estimation.dynamic_panel.model
from estimation import DifferenceGMM, GMMStyle, IVStyle, SystemGMM
from estimation.errors import HansenPValueWarning, InstrumentCountWarning, SingularWeightWarning


@pytest.fixture(scope="module")
def results(gapped):
    return SystemGMM(
        gapped,
        entity="id",
        time="year",
        dependent="y",
        regressors=["x", "w", "d"],
        time_effects="level",
        instruments=[GMMStyle(["y", "x"], (2, 3), True, name="lagged"), IVStyle(["w", "z", "d"])],
    ).fit()


def test_results_cannot_be_changed(results):
    with pytest.raises(dataclasses.FrozenInstanceError):
        results.fit = None


def test_inference_is_consistent(results):
    z = results.params / results.std_errors
    np.testing.assert_allclose(results.tstats, z)
    np.testing.assert_allclose(results.pvalues, 2 * stats.norm.sf(abs(z)))
    interval = results.conf_int(0.9)
    np.testing.assert_allclose(interval["upper"] - interval["lower"], 2 * stats.norm.ppf(0.95) * results.std_errors)
    np.testing.assert_allclose(np.sqrt(np.diag(results.cov)), results.std_errors)


def test_wald_test_of_one_restriction_is_the_square_of_its_z(results):
    np.testing.assert_allclose(results.wald_test("x").stat, results.tstats["x"] ** 2)
    joint = results.wald_test({"x": 1.0, "w": -1.0}, 0.1)
    gap = results.params["x"] - results.params["w"] - 0.1
    variance = results.cov.loc["x", "x"] + results.cov.loc["w", "w"] - 2 * results.cov.loc["x", "w"]
    np.testing.assert_allclose(joint.stat, gap**2 / variance)
    assert results.wald_test().df == 4
    assert not results.wald_test(np.ones((2, len(results.names)))).applies


def test_small_sample_wald_is_an_f(gapped):
    model = SystemGMM(gapped, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"])
    small, large = model.fit(small=True), model.fit()
    factor = float(small.cov.iloc[0, 0] / large.cov.iloc[0, 0])
    test = small.wald_test(["x", "w"])
    np.testing.assert_allclose(test.stat, large.wald_test(["x", "w"]).stat / 2 / factor)
    assert test.df == (2, small.n_groups - 1)


def test_moment_table_has_one_row_per_instrument(results):
    table = results.moments
    assert int(table["kept"].sum()) == results.n_instruments
    lagged = table[table["group"] == "lagged"]
    assert list(lagged["lag"]) == [2, 3, 2, 3, 1, 1]
    assert list(lagged["equation"]) == ["difference"] * 4 + ["level"] * 2
    assert set(table.loc[table["variable"].str.startswith("year="), "equation"]) == {"level"}
    full = SystemGMM(
        _frame(results),
        entity="id",
        time="year",
        dependent="y",
        regressors=["x"],
        instruments=[GMMStyle("y", (2, 3)), IVStyle("x")],
    ).fit()
    periods = full.moments.query("style == 'gmm' and equation == 'difference' and lag == 2")
    assert list(periods["period"]) == list(range(2002, 2008)) and periods["kept"].all()
    lost = full.moments.query("not kept")
    assert not lost.empty and (lost["reason"] == "zero in every row").all()


def _frame(results):
    import pandas as pd

    grid = results.fit.prepared.grid
    i, t = np.nonzero(grid.stored)
    return pd.DataFrame(
        {"id": grid.entities[i], "year": grid.times[t], **{name: values[i, t] for name, values in grid.values.items()}}
    )


@pytest.mark.parametrize("transform", ["fd", "fod"])
def test_residuals_stand_beside_the_rows_they_belong_to(gapped, transform):
    results = SystemGMM(
        gapped, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"], transform=transform
    ).fit()
    table = results.resids
    assert len(table) == results.nobs + results.n_transformed
    level = table[table["equation"] == "level"]
    rows = gapped.iloc[level["row"]]
    assert (rows["id"].to_numpy() == level["id"].to_numpy()).all()
    assert (rows["year"].to_numpy() == level["year"].to_numpy()).all()
    np.testing.assert_array_equal(rows["y"].to_numpy(), level["dependent"].to_numpy())
    fitted = results.predict().set_axis(range(len(gapped)))
    np.testing.assert_allclose(fitted.iloc[level["row"]], level["fitted"])
    moved = table[table["equation"] == "transformed"]
    assert (gapped["year"].iloc[moved["row"]].to_numpy() == moved["year"].to_numpy()).all()


def test_prediction_on_other_data_uses_their_lags(results, gapped):
    later = gapped[gapped["year"] >= 2004]
    fitted = results.predict(later)
    np.testing.assert_allclose(
        fitted.dropna().sort_index(), results.predict().reindex(fitted.dropna().index).sort_index()
    )
    assert fitted.loc[(slice(None), 2004)].isna().all()


def test_summary_shows_what_a_referee_looks_for(results):
    text = str(results)
    for wanted in (
        "System GMM, two-step, first differences",
        f"Observations: {results.nobs}",
        f"Groups: {results.n_groups}",
        f"Instruments: {results.n_instruments}",
        "Windmeijer-corrected",
        "AR(1): z =",
        "AR(2): z =",
        "Hansen J: chi2(",
        "Sargan: chi2(",
        "GMM instruments for levels",
        "iv(w z d)",
        "lagged",
    ):
        assert wanted in text
    assert max(map(len, text.splitlines())) <= 86
    for name, value in results.params.items():
        assert f"{value:.6g}" in text, name


def test_plain_values_survive_json(results):
    content = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert content["coefs"]["x"] == [results.params["x"], results.std_errors["x"]]
    assert content["tests"]["n_instruments"] == results.n_instruments


def test_tests_that_do_not_apply_say_why(make_panel):
    short = make_panel(n=80, periods=4, seed=9)
    results = DifferenceGMM(
        short,
        entity="id",
        time="year",
        dependent="y",
        regressors=["w"],
        instruments=[GMMStyle("y", (2, 2), True), IVStyle("w")],
    ).fit()
    assert results.ar_test(1).applies
    assert "2 periods before" in results.ar_test(2).reason and np.isnan(results.ar_test(2).stat)
    assert results.ar_test(0).reason
    assert "0 degrees of freedom" in results.hansen.reason
    assert all(not test.difference.applies for test in results.diff_in_hansen)
    assert "n/a: " in str(results) and "not available" in str(results)
    assert results.to_dict()["tests"]["hansen"] is None


def test_one_step_survives_too_few_clusters(panel):
    with pytest.warns((InstrumentCountWarning, SingularWeightWarning)) as caught:
        results = SystemGMM(
            panel.assign(region=panel["id"] % 3),
            entity="id",
            time="year",
            dependent="y",
            endogenous=["x"],
            exogenous=["w"],
            cluster="region",
        ).fit(steps=1)
    assert len(caught) == 2
    assert "too few clusters" in results.hansen.reason
    assert results.n_clusters == 3 and np.isfinite(results.std_errors).all()


def test_hansen_near_one_is_flagged(make_panel):
    data = make_panel(n=25, periods=8, seed=4)
    model = SystemGMM(data, entity="id", time="year", dependent="y", endogenous=["x"], n_lags=None, collapse=False)
    with pytest.warns() as caught:
        results = model.fit(inverse="moore_penrose")
    kinds = {warning.category for warning in caught}
    assert kinds == {InstrumentCountWarning, SingularWeightWarning, HansenPValueWarning}
    assert len(results.notes) == 3 and results.hansen.pvalue > 0.95


def test_classes_of_regressors_become_instruments(gapped):
    model = SystemGMM(
        gapped,
        entity="id",
        time="year",
        dependent="y",
        endogenous=["x"],
        predetermined=["z"],
        exogenous=["w", "d"],
        instruments=[IVStyle("d", equation="level")],
    )
    assert model.spec.instruments == (
        IVStyle("d", equation="level"),
        GMMStyle("y", (2, 3), True),
        GMMStyle("x", (2, 3), True),
        GMMStyle("z", (1, 2), True),
        IVStyle("w"),
    )
    assert model.spec.regressors == ("L.y", "x", "z", "w", "d")


def test_two_lags_of_the_dependent_variable(gapped):
    results = SystemGMM(gapped, entity="id", time="year", dependent="y", lags=2, exogenous=["w"]).fit()
    assert results.names[:2] == ("L.y", "L2.y")


def test_gmm_group_for_the_level_equation_alone_uses_lagged_differences(gapped):
    results = SystemGMM(
        gapped,
        entity="id",
        time="year",
        dependent="y",
        regressors=["w"],
        instruments=[GMMStyle("y", (1, 2), True, equation="level"), IVStyle("w")],
    ).fit()
    table = results.moments.query("style == 'gmm'")
    assert list(table["lag"]) == [1, 2] and set(table["equation"]) == {"level"}


def test_docstring_examples_hold():
    outcome = doctest.testmod(estimation.dynamic_panel.model)
    assert outcome.attempted >= 5 and outcome.failed == 0


def test_difference_gmm_ignores_instruments_of_the_level_equation(gapped):
    plain, more = (
        DifferenceGMM(
            gapped,
            entity="id",
            time="year",
            dependent="y",
            regressors=["w"],
            instruments=[GMMStyle("y", (2, 3), True), IVStyle("w"), *extra],
        ).fit()
        for extra in ((), (IVStyle("d", equation="level"),))
    )
    np.testing.assert_allclose(plain.params, more.params)
    assert plain.n_instruments == more.n_instruments


def test_negative_corrected_variance_is_a_note_and_a_missing_error(gapped, monkeypatch):
    from estimation.dynamic_panel import algebra
    from estimation.errors import CovarianceWarning

    def overcorrected(D, V_first, V_second):
        V = V_second.copy()
        V[1, 1] = -V[1, 1]
        return V

    monkeypatch.setattr(algebra, "windmeijer_covariance", overcorrected)
    model = SystemGMM(gapped, entity="id", time="year", dependent="y", endogenous=["x"], exogenous=["w"])
    with pytest.warns(CovarianceWarning, match="variance of x is negative"):
        results = model.fit()
    assert np.isnan(results.std_errors["x"]) and np.isfinite(results.std_errors["w"])
    assert results.to_dict()["coefs"]["x"][1] is None and "nan" in str(results)
