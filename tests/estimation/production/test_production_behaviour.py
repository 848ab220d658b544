"""What a user relies on: units, order, options, refusals, failure that is told and never hidden."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from estimation.production import (
    FirmDataError,
    OptionError,
    ProductionFunction,
    ProductionOptions,
    SingularError,
    TooSmallError,
)
from estimation.production.roots import describe_search, find_roots

COLUMNS = {"output": "y", "free": "l", "state": "k", "proxy": "m", "entity": "firm", "time": "year"}
# a one-dimensional valley is flat to the square root of double precision
VALLEY = 1e-6
SMALL_SEARCH = ProductionOptions(n_starts=4)


def fit(frame: pd.DataFrame, method: str = "lp", options: ProductionOptions | None = None, **kwargs):
    return ProductionFunction(frame, options=options or SMALL_SEARCH, **(COLUMNS | kwargs)).fit(method)


@pytest.mark.parametrize("method", ["ols", "fe", "lp", "acf", "wooldridge"])
def test_unit_of_capital_leaves_coefficients_and_shifts_productivity(firms, method):
    """From yuan to thousand yuan: TFP moves by the capital coefficient times ln 1000, differently by industry."""
    yuan, thousand = fit(firms, method), fit(firms.assign(k=firms["k"] - np.log(1000)), method)
    assert np.abs(yuan.params - thousand.params).max() < VALLEY
    shift = (thousand.omega - yuan.omega) - yuan.params["k"] * np.log(1000)
    assert np.abs(shift).max() < 20 * VALLEY


def test_row_order_and_index_do_not_matter(firms):
    shuffled = firms.sample(frac=1.0, random_state=1)
    straight, other = fit(firms), fit(shuffled)
    # to the last digit: rows of a cluster come in another order at every run
    assert straight.params.equals(other.params)
    assert straight.omega.equals(other.omega.sort_index())
    assert other.omega.index.equals(shuffled.index)


def test_productivity_is_output_less_inputs_also_without_proxy(firms):
    some = firms.assign(m=firms["m"].where(firms["firm"] % 10 != 0))
    result = fit(some)
    expected = firms["y"] - result.params["l"] * firms["l"] - result.params["k"] * firms["k"]
    assert result.n_dropped == int((firms["firm"] % 10 == 0).sum())
    assert np.abs(result.omega - expected).max() < 1e-12


def test_planned_productivity_leaves_the_measurement_error_out(firms):
    residual = fit(firms).omega - firms["omega"]
    planned = fit(firms, options=ProductionOptions(tfp="planned")).omega - firms["omega"]
    # the simulated error has standard deviation .1; the polynomial takes nearly all of it out
    assert residual.std() > 0.09
    assert planned.std() < 0.05


@pytest.mark.parametrize("method", ["lp", "acf", "wooldridge"])
def test_gross_output_gives_the_proxy_a_coefficient(firms, method):
    result = fit(firms, method, ProductionOptions(measure="gross_output", n_starts=10))
    assert list(result.params.index) == ["l", "k", "m"]
    if result.converged and result.roots:
        assert result.criterion < 1e-10


def test_two_state_variables_are_found_together(firms):
    rng = np.random.default_rng(2)
    firms = firms.assign(k2=rng.normal(size=len(firms)))
    result = fit(firms.assign(y=firms["y"] + 0.2 * firms["k2"], m=firms["m"] + 0.5 * firms["k2"]), state=["k", "k2"])
    assert result.converged
    assert abs(result.params["k2"] - 0.2) < 0.03
    assert abs(result.params["k"] - fit(firms).params["k"]) < 0.05


def test_exit_correction_needs_firms_that_leave(firms):
    with pytest.raises(OptionError, match="expected firms that leave before 2007; found none"):
        fit(firms, options=ProductionOptions(exit="survival"))


def test_exit_correction_raises_capital_when_small_unproductive_firms_leave(many_firms):
    """Olley and Pakes' selection: among small firms only the productive survive."""
    threshold = 0.9 - 0.5 * (many_firms["k"] - 3)
    is_gone = many_firms.assign(out=many_firms["omega"] < threshold).groupby("firm")["out"].cummax()
    selected = many_firms[~is_gone]
    plain = fit(selected, "op", proxy="i").params["k"]
    corrected = fit(selected, "op", ProductionOptions(exit="survival"), proxy="i").params["k"]
    assert abs(corrected - 0.3) < abs(plain - 0.3)
    assert corrected > plain


def test_bootstrap_errors_are_near_the_clustered_ones(firms):
    analytic = fit(firms, "wooldridge").std_errors
    function = ProductionFunction(firms, options=SMALL_SEARCH, **COLUMNS)
    drawn = function.fit("wooldridge", n_bootstrap=150)
    assert (drawn.std_error_kind, drawn.n_bootstrap, drawn.n_bootstrap_failed) == ("bootstrap", 150, 0)
    # the standard deviation over 150 draws is known to about 6 per cent
    assert np.abs(drawn.std_errors / analytic - 1).max() < 0.25
    again = function.fit("wooldridge", n_bootstrap=150)
    assert again.std_errors.equals(drawn.std_errors)


def test_index_number_recovers_productivity_when_shares_are_the_technology(firms):
    """With constant returns and the true labour share nothing is estimated and nothing is lost."""
    exact = firms.assign(share=0.65, y=0.65 * firms["l"] + 0.35 * firms["k"] + firms["omega"])
    result = fit(exact, "index", shares="share")
    difference = result.omega - exact["omega"]
    assert np.ptp(difference) < 1e-10
    assert result.params.round(12).to_dict() == {"l": 0.65, "k": 0.35}


def test_index_number_by_hand_for_two_years():
    frame = pd.DataFrame({
        "firm": [1, 2, 1, 2], "year": [2000, 2000, 2001, 2001], "y": [2.0, 4.0, 3.0, 6.0], "l": [1.0, 2.0, 1.5, 2.5],
        "k": [0.0, 2.0, 1.0, 3.0], "share": [0.4, 0.6, 0.5, 0.7],
    })
    result = fit(frame, "index", ProductionOptions(min_pairs=1), shares="share")
    # firm 1, 2000: y - mean 3 = -1; labour .5(.4+.5)(1-1.5) = -.225; capital .5(.6+.5)(0-1) = -.55
    # chain 2001: dy 1.5; labour .5(.5+.6)(.5) = .275; capital .5(.5+.4)(1) = .45 -> .775
    # firm 2, 2001: 6-4.5 = 1.5; labour .5(.7+.6)(.5) = .325; capital .5(.3+.4)(1) = .35 -> .825 + .775
    assert result.omega.iloc[0] == pytest.approx(-0.225)
    assert result.omega.iloc[3] == pytest.approx(1.6)


def test_labour_that_is_a_function_of_state_and_proxy_is_refused_by_lp_and_named(firms):
    with pytest.raises(SingularError, match=r"\bl is determined by the other terms"):
        fit(firms.assign(l=firms["k"] * 0.5 + firms["m"] * 0.2))


def test_constant_labour_is_refused_by_acf_and_named(firms):
    with pytest.raises(SingularError, match=r"\bl is determined"):
        fit(firms.assign(l=1.0), "acf")


def test_too_few_consecutive_years_are_refused_with_counts(firms):
    with pytest.raises(TooSmallError, match="at least 50 consecutive firm-years; found 14"):
        fit(firms[firms["firm"] < 2])


def test_every_other_year_leaves_no_pair_at_all(firms):
    with pytest.raises(TooSmallError, match="found 0"):
        fit(firms[firms["year"] % 2 == 0])


def test_moments_without_a_root_are_flagged_and_not_reported_as_an_estimate():
    starts = [np.array([value]) for value in (-2.0, 0.5, 3.0)]
    roots, best, criterion = find_roots(lambda x: x**2 + 0.01, starts, 1e-10)
    assert roots == ()
    assert criterion == pytest.approx(1e-4, rel=1e-3)
    assert "local minimum and not an estimate" in describe_search(roots, 3, best, criterion)[0]


def test_failed_search_leaves_no_productivity(firms):
    result = fit(firms, "acf", ProductionOptions(n_starts=0, root_tolerance=0.0))
    assert not result.converged
    assert result.omega.isna().all()
    assert "no root" in result.notes[0]


def test_several_roots_are_all_reported():
    starts = [np.array([value]) for value in (0.1, 0.2, 0.9, 1.2, -3.0)]
    roots, *_ = find_roots(lambda x: (x - 0.3) * (x - 1.0) * (x + 2.0), starts, 1e-10)
    assert [round(root.params[0], 6) for root in roots] == [0.3, 1.0, -2.0]
    assert sum(root.n_starts for root in roots) == len(starts)


def test_one_root_needs_no_word_and_a_second_is_named():
    starts = [np.array([value]) for value in (0.25, 0.35, 0.95)]
    roots, best, criterion = find_roots(lambda x: (x - 0.3) * (x - 1.0), starts, 1e-10)
    assert describe_search(roots[:1], 3, best, criterion) == ()
    assert describe_search(roots, 3, best, criterion) == (
        "2 roots: taken the one 2 of 3 starts reach; others (1.0000) from 1",
    )


def test_repeated_firm_year_is_refused_with_example(firms):
    with pytest.raises(FirmDataError, match=r"one row per firm and year; 1 repeat, e.g. 0 2000"):
        fit(pd.concat([firms, firms.iloc[[0]]]))


def test_missing_column_is_refused_by_name(firms):
    with pytest.raises(FirmDataError, match="lacks m"):
        fit(firms.drop(columns="m"))


def test_unknown_options_are_refused_with_the_allowed_ones(firms):
    with pytest.raises(OptionError, match="expected one of ols, fe, op, lp, acf, wooldridge, index; found 'gmm'"):
        fit(firms, "gmm")
    with pytest.raises(OptionError, match="exit: expected one of none, survival, last_year"):
        ProductionOptions(exit="yes")
    with pytest.raises(OptionError, match="has no first stage"):
        fit(firms, "ols", ProductionOptions(tfp="planned"))


@pytest.mark.parametrize("method", ["ols", "fe"])
def test_gross_output_is_refused_without_intermediate_inputs(firms, method):
    with pytest.raises(OptionError, match="expected intermediate inputs as proxy; found no proxy column"):
        fit(firms, method, ProductionOptions(measure="gross_output"), proxy=())


def test_summary_shows_counts_coefficients_and_doubts(firms):
    text = str(fit(firms, "acf", ProductionOptions(n_starts=0, root_tolerance=0.0)))
    assert "firm-years 2,400" in text
    assert "converged False" in text
    assert "note: no root" in text
