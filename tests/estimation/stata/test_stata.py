"""Commands of Stata: read, written back, and the numbers of the command they came from."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimation import (
    DifferenceGMM,
    EstimationWarning,
    FitOptions,
    GMMStyle,
    IVStyle,
    NonlinearGMM,
    NonlinearMoments,
    PanelSpec,
    SystemGMM,
)
from estimation.errors import SpecificationError, UnknownColumnError
from estimation.stata import parse, rows_kept
from estimation.stata.command import StataCommand
from estimation.stata.varlists import read_varlist, write_varlist

KEYS = {"entity": "id", "time": "year"}
pytestmark = pytest.mark.filterwarnings("ignore::estimation.errors.HansenPValueWarning")


# -- lists of variables ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("L.n L2.n w l.w", ("L.n", "L2.n", "w", "L.w")),
        ("L(0/2).(k ys)", ("k", "L.k", "L2.k", "ys", "L.ys", "L2.ys")),
        ("L(1/2).n LD.w D2.k F.w", ("L.n", "L2.n", "L.D.w", "D2.k", "F.w")),
        ("L(0 2).n", ("n", "L2.n")),
        ("i.year ib1980.year ibn.ind", ("C(year)", "C(year, base=1980)", "C(ind, base=none)")),
        ("b3.ind 1979.year", ("C(ind, base=3)", "year=1979")),
        ("c.w#c.k c.w#c.w cL.w#c.k", ("w:k", "w:w", "L.w:k")),
        ("c.w##c.k", ("w", "k", "w:k")),
        ("i.ind##c.w", ("C(ind)", "w", "C(ind):w")),
        ("i.ind#c.w", ("C(ind, base=none):w",)),
        ("yr* yr1976-yr1984 yr198?", ("yr*", "yr1976-yr1984", "yr198?")),
        ("出口 L.出口", ("出口", "L.出口")),
    ],
)  # fmt: skip
def test_a_list_of_variables_is_spelled_out(text, terms):
    assert read_varlist(text) == terms


COLUMNS = st.sampled_from(["n", "w", "k", "ys", "land_area", "出口"])
OPERATORS = st.sampled_from(["", "L.", "L2.", "D.", "L.D.", "F."])
PLAIN = st.tuples(OPERATORS, COLUMNS).map("".join)
TERM = st.one_of(
    PLAIN,
    st.tuples(PLAIN, PLAIN).map(":".join),
    COLUMNS.map("C({})".format),
    st.tuples(COLUMNS, st.integers(0, 9)).map(lambda pair: f"C({pair[0]}, base={pair[1]})"),
    st.tuples(COLUMNS, PLAIN).map(lambda pair: f"C({pair[0]}, base=none):{pair[1]}"),
    st.tuples(COLUMNS, st.integers(0, 2010)).map(lambda pair: f"{pair[0]}={pair[1]}"),
)
TERMS = st.lists(TERM, min_size=1, max_size=4, unique=True).map(tuple)


@settings(max_examples=80, deadline=None)
@given(terms=TERMS)
def test_terms_survive_being_written_and_read(terms):
    assert read_varlist(write_varlist(terms)) == terms


def test_both_effects_and_their_product_are_written_as_stata_does():
    assert write_varlist(["C(ind)", "w", "C(ind):w"]) == "i.ind##c.w"
    with pytest.raises(SpecificationError, match="a column for each value"):
        write_varlist(["C(ind):w"])
    with pytest.raises(SpecificationError, match="generate"):
        write_varlist(["log(w)"])


# -- round trips -----------------------------------------------------------------------------------------------------

LAGS = st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(4, 9)))
EQUATION = st.sampled_from(["both", "difference", "level"])
XTABOND2_GMM = st.builds(GMMStyle, TERMS, LAGS, st.booleans(), EQUATION).flatmap(
    lambda g: st.just(g) if g.equation == "both" else st.builds(
        GMMStyle, st.just(g.variables), st.just(g.lags), st.just(g.collapse), st.just(g.equation), st.none(),
        st.booleans() if g.equation == "level" else st.just(False),
        st.booleans() if g.equation == "difference" else st.just(False),
    )
)  # fmt: skip
MISSING = st.sampled_from(["drop", "zero"])
XTABOND2_IV = st.one_of(
    st.builds(IVStyle, TERMS, EQUATION, MISSING), st.builds(IVStyle, TERMS, st.just("difference"), MISSING, st.just(True))
)


@st.composite
def xtabond2_commands(draw):
    """Draw anything xtabond2 has words for."""
    system = draw(st.booleans())
    groups = draw(st.lists(st.one_of(XTABOND2_GMM, XTABOND2_IV), max_size=3))
    groups = [group for group in groups if system or group.equation != "level"]
    cluster = draw(st.sampled_from([None, "ind"]))
    weights = draw(st.sampled_from([None, "land_area"]))
    spec = PanelSpec(
        "y", ("L.y", *draw(TERMS)), tuple(groups), system=system, transform=draw(st.sampled_from(["fd", "fod"])),
        constant=draw(st.booleans()), h=draw(st.sampled_from([1, 2, 3])), cluster=cluster, weights=weights,
        weight_kind=draw(st.sampled_from(["probability", "frequency"])) if weights else "probability", collinear="drop",
    )  # fmt: skip
    steps = draw(st.sampled_from([1, 2]))
    cov = {1: "robust", 2: "windmeijer"}[steps] if cluster or draw(st.booleans()) else "unadjusted"
    condition = draw(st.sampled_from(["", "year>=1980 & ind==3", "inrange(w, 1, 2) | missing(k)"]))
    rows = draw(st.sampled_from(["", "1/500"]))
    return StataCommand(
        "xtabond2", spec, FitOptions(steps, cov, draw(st.booleans()), "sweep"), condition, rows, draw(st.integers(1, 4))
    )


@settings(max_examples=80, deadline=None)
@given(command=xtabond2_commands())
def test_a_command_of_xtabond2_survives_being_written_and_read(command):
    assert parse(str(command)) == command


@st.composite
def xtdpdgmm_commands(draw):
    """Draw anything xtdpdgmm has words for and that is estimated here."""
    transform = draw(st.sampled_from(["fd", "fod"]))
    late = 1 if transform == "fod" else 0
    lags = LAGS.map(lambda pair: (pair[0] + late, None if pair[1] is None else pair[1] + late))
    backward = st.booleans() if transform == "fod" else st.just(False)
    group = st.one_of(
        st.builds(GMMStyle, TERMS, lags, st.booleans(), st.just("difference"), st.none(), st.just(False), backward),
        st.builds(GMMStyle, TERMS, LAGS, st.booleans(), st.just("level"), st.none(), st.booleans()),
        st.builds(IVStyle, TERMS, st.sampled_from(["difference", "level"]), st.just("zero")),
        st.builds(IVStyle, TERMS, st.just("difference"), st.just("zero"), st.just(True)),
    )
    # a group for the transformed equation says which transform it is
    own = draw(st.builds(GMMStyle, TERMS, lags, st.booleans(), st.just("difference")))
    groups = (own, *draw(st.lists(group, max_size=2)))
    effects = draw(st.sampled_from([None, "level", "difference"]))
    if effects == "difference":
        groups = tuple(group for group in groups if group.equation == "difference")
    constant = draw(st.booleans())
    system = constant or effects == "level" or any(group.equation != "difference" for group in groups)
    steps = draw(st.sampled_from([1, 2, "iterated", "cue"]))
    cluster = draw(st.sampled_from([None, "ind"])) if steps != "cue" else None
    robust = {1: "robust", 2: "windmeijer", "iterated": "windmeijer", "cue": "unadjusted"}[steps]
    choices = [robust] if cluster else [robust, "unadjusted"]
    cov = draw(st.sampled_from([*choices, "doubly_corrected"] if steps != "cue" else choices))
    spec = PanelSpec(
        "y", ("L.y", *draw(TERMS)), groups, system=system, transform=transform, constant=constant, time_effects=effects,
        h=draw(st.sampled_from([1, 2, 3])), cluster=cluster, collinear="drop", sample_rule="both_periods",
    )  # fmt: skip
    nonlinear = ()
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["noserial", "iid", "predetermined"]))
        lag = draw(st.integers(1, 3)) if kind == "noserial" else 1
        nonlinear = (NonlinearMoments(kind, draw(st.booleans()), lag, draw(st.sampled_from([0.0, 1.0, 2.5])), "unit"),)
    condition = draw(st.sampled_from(["", "year>=1980"]))
    return StataCommand("xtdpdgmm", spec, FitOptions(steps, cov, draw(st.booleans()), "sweep"), condition, nonlinear=nonlinear)


@settings(max_examples=80, deadline=None)
@given(command=xtdpdgmm_commands())
def test_a_command_of_xtdpdgmm_survives_being_written_and_read(command):
    assert parse(str(command)) == command


# -- what commands mean ----------------------------------------------------------------------------------------------


def test_abbreviations_prefixes_and_continued_lines_are_read():
    long = parse("xtabond2 n L.n w, gmmstyle(L.n, laglimits(1 3) collapse equation(diff)) ivstyle(w, mz) twostep robust")
    text = "xi: quietly xtabond2 n L.n ///\n  w , gmm(L.n,lag(1 3) c e(d)) /* exogenous */ iv(w,mz) two r"
    assert parse(text) == long


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("eststo m1: xi: xtabond2 n L.n w, gmm(L.n)", "xtabond2 n L.n w, gmm(L.n)"),
        ("eststo : quietly xtabond2 n L.n w, gmm(L.n);", "xtabond2 n L.n w, gmm(L.n)"),
        ("capture noisily xtabond2 n L.n w, gmm(L.n, lag (2 4))", "xtabond2 n L.n w, gmm(L.n, lag(2 4))"),
        ("xtabond2 L(0/1)n w, gmmstyle((n w), lagl(. .))", "xtabond2 n L.n w, gmm(n w)"),
        ("xtabond2 n L. n L1.w l(1/2). (k ys), gmm(n)", "xtabond2 n L.n L.w L.k L2.k L.ys L2.ys, gmm(n)"),
        ("xtabond2 n L.n boom#c.w#c.k, gmm(L.n c.w##c.k)", "xtabond2 n L.n i.boom#c.w#c.k, gmm(L.n w k c.w#c.k)"),
        ("xtdpdgmm L(0/1).n w, gmm(n, l(1/2) m(d))", "xtdpdgmm n L.n w, gmm(n, lagrange(1 2) model(difference))"),
        ("xtdpdgmm n L.n, noserial gmm(L.n, c m(d)) two", "xtdpdgmm n L.n, nl(noserial) gmm(L.n, collapse model(d)) twostep"),
    ],
)
def test_what_is_found_in_do_files_is_read(written, plain):
    assert parse(written) == parse(plain)


def test_split_makes_the_two_groups_the_help_describes():
    split = parse("xtabond2 n L.n, gmm(n, lag(2 4) split)").spec.instruments
    assert split == (GMMStyle("n", (2, 4), False, "difference"), GMMStyle("n", (1, 1), False, "level"))


def test_a_split_group_gives_the_same_estimates(panel):
    fits = [
        parse(f"xtabond2 y L.y x w, gmm(y x, lag(2 3) collapse {word}) iv(w) twostep robust").fit(panel, **KEYS)
        for word in ("", "split")
    ]
    pd.testing.assert_series_equal(fits[0].params, fits[1].params, rtol=1e-9)
    level = [test for test in fits[1].diff_in_hansen if "eq(level)" in test.group]
    whole = [test for test in fits[0].diff_in_hansen if test.group == "GMM instruments for levels"]
    assert level[0].difference.stat == pytest.approx(whole[0].difference.stat, rel=1e-9)


def test_a_command_gives_the_model_in_python(gapped):
    command = parse("xtabond2 y L.y x w if year >= 2002, gmm(y x, lag(2 3) collapse) iv(w z) twostep robust small")
    written = command.python(entity="id", time="year")
    names = {"SystemGMM": SystemGMM, "DifferenceGMM": DifferenceGMM, "GMMStyle": GMMStyle, "IVStyle": IVStyle}
    results = eval(written, names | {"rows_kept": rows_kept, "data": gapped})  # noqa: S307 - our own text
    own = command.fit(gapped, **KEYS)
    pd.testing.assert_series_equal(results.params, own.params)
    pd.testing.assert_series_equal(results.std_errors, own.std_errors)


def test_level_moment_of_the_constant_leaves_the_slopes_of_xtdpdgmm_alone(panel):
    """xtdpdgmm estimates a constant in levels also for model(difference); difference GMM has the same slopes."""
    options = "gmm(y x, lag(2 3) model(difference)) iv(w, difference model(difference)) twostep vce(robust)"
    with_constant = parse(f"xtdpdgmm y L.y x w, {options}").fit(panel, **KEYS)
    without = parse(f"xtdpdgmm y L.y x w, {options} noconstant").fit(panel, **KEYS)
    assert with_constant.spec.system and not without.spec.system
    slopes = ["L.y", "x", "w"]
    np.testing.assert_allclose(with_constant.params[slopes], without.params[slopes], rtol=1e-7)
    assert with_constant.hansen.stat == pytest.approx(without.hansen.stat, rel=1e-7)


def test_mean_deviations_are_the_within_estimator_on_a_balanced_panel(panel):
    """xtdpdgmm y x w, iv(x w) m(md) replicates xtreg, fe (its help); within by hand."""
    results = parse("xtdpdgmm y x w, iv(x w) model(mdev)").fit(panel, **KEYS)
    within = panel[["y", "x", "w"]] - panel.groupby("id")[["y", "x", "w"]].transform("mean")
    expected = np.linalg.lstsq(within[["x", "w"]].to_numpy(), within["y"].to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(results.params[["x", "w"]], expected, rtol=1e-9)


def test_nonlinear_moments_are_estimated_as_by_their_own_class(panel):
    """The Ahn-Schmidt example of xtdpdgmm's help, through the command and through the class."""
    command = parse("xtdpdgmm y L.y x w, gmm(L.y x w, l(1 4)) m(d) nl(noser) c two vce(r)")
    assert command.nonlinear == (NonlinearMoments("noserial", True, scaling="unit"),)
    own = NonlinearGMM(
        panel, nonlinear=NonlinearMoments(scaling="unit"), **KEYS, dependent="y", regressors=["x", "w"],
        instruments=[GMMStyle(["L.y", "x", "w"], (1, 4), True, "difference")],
    ).fit()  # fmt: skip
    by_command = command.fit(panel, **KEYS)
    np.testing.assert_allclose(by_command.params, own.params, rtol=1e-8)
    np.testing.assert_allclose(by_command.std_errors, own.std_errors, rtol=1e-6)
    assert "\n" not in repr(by_command)


def test_lags_of_deviations_count_from_one_period_earlier_in_xtdpdgmm():
    command = parse("xtdpdgmm L(0/1).n w, gmm(L.n w, l(0 3)) m(fod) c two vce(r)")
    assert command.spec.instruments == (GMMStyle(["L.n", "w"], (1, 4), True, "difference"),)
    assert command.line("xtabond2").startswith("xtabond2 n L.n w, gmm(L.n w, lag(1 4) collapse eq(diff)) orthogonal")


def test_blundell_bond_moments_in_both_programs_are_one_estimator(panel):
    """lag(2 3) for both equations is lag(2 3) in differences and the first lag of the difference in levels."""
    one = parse("xtabond2 y L.y x, gmm(y x, lag(2 3) collapse) twostep robust")
    other = parse(one.line("xtdpdgmm"))
    assert "gmm(y x, lag(1 1) collapse difference model(level))" in str(other)
    fits = [command.fit(panel, **KEYS) for command in (one, other)]
    np.testing.assert_allclose(fits[0].params, fits[1].params, rtol=1e-9)
    np.testing.assert_allclose(fits[0].std_errors, fits[1].std_errors, rtol=1e-9)


def test_backward_deviations_and_levels_as_instruments_equal_a_matrix_made_by_loops(gapped):
    """gmm(x, orthogonal) and gmm(d, eq(level) passthru), one-step, against moments summed entity by entity."""
    command = parse(
        "xtabond2 y x, gmm(x, lag(1 2) collapse orthogonal eq(diff)) gmm(w, lag(0 1) collapse eq(level) passthru)"
        " h(1) orthogonal robust"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        results = command.fit(gapped, **KEYS)
    ZX, Zy, ZZ = np.zeros((5, 2)), np.zeros(5), np.zeros((5, 5))
    for _, rows in gapped.groupby("id"):
        at = {int(row.year): row for row in rows.itertuples()}
        years = sorted(at)
        Z, X, y = [], [], []
        for i, year in enumerate(years[:-1]):
            later = [at[k] for k in years[i + 1 :]]
            scale = np.sqrt(len(later) / (len(later) + 1))
            dev = {v: scale * (getattr(at[year], v) - np.mean([getattr(r, v) for r in later])) for v in ("y", "x")}
            # the deviation made from `year` is dated a year later, and lags count from there
            z = [_backward(at, years, year + 1 - lag) for lag in (1, 2)]
            Z.append([*z, 0, 0, 0])
            X.append([dev["x"], 0.0])
            y.append(dev["y"])
        for year in years:
            z = [at[year - lag].w if year - lag in at else 0.0 for lag in (0, 1)]
            Z.append([0, 0, *z, 1.0])
            X.append([at[year].x, 1.0])
            y.append(at[year].y)
        Z, X, y = np.array(Z), np.array(X), np.array(y)
        ZX, Zy, ZZ = ZX + Z.T @ X, Zy + Z.T @ y, ZZ + Z.T @ Z
    W = np.linalg.inv(ZZ)
    expected = np.linalg.solve(ZX.T @ W @ ZX, ZX.T @ W @ Zy)
    np.testing.assert_allclose(results.params, expected, rtol=1e-8)


def _backward(at, years, year):
    earlier = [at[k].x for k in years if k < year]
    if year not in at or not earlier:
        return 0.0
    return np.sqrt(len(earlier) / (len(earlier) + 1)) * (at[year].x - np.mean(earlier))


@pytest.mark.filterwarnings("ignore::estimation.errors.DroppedRegressorWarning")
def test_if_with_interactions_and_dummies_runs_as_the_forum_thread_asks(panel):
    """An interaction with a region, dummies of years and a restriction to one region, lags from the whole panel."""
    frame = panel.assign(north=(panel["id"] % 2).astype(float))
    command = parse(
        "xtabond2 y L.y x w c.x#1.north i.year if year >= 2003, gmm(y x c.x#1.north, lag(2 3) collapse)"
        " iv(w) iv(i.year, eq(level)) twostep robust"
    )
    results = command.fit(frame, **KEYS)
    # y, L.y and the rest exist from 2001 on; the restriction leaves 2003 to 2006 with every lag in place
    assert results.nobs == 60 * 4 and results.n_transformed == 60 * 4
    assert {"x:north=1", "year=2004"} <= set(results.names)


def test_if_may_look_at_the_year_before(gapped):
    """``if l.x < 0`` of a panel with gaps; Stata's missing lag is larger than zero and so outside."""
    earlier = gapped[["id", "year", "x"]].assign(year=gapped["year"] + 1).rename(columns={"x": "before"})
    frame = gapped.merge(earlier, on=["id", "year"], how="left")
    command = "xtabond2 y L.y x w if {} < 0, gmm(y x, lag(2 3) collapse) iv(w) twostep robust"
    fits = [parse(command.format(name)).fit(frame, **KEYS) for name in ("l.x", "before")]
    # the row before is stored where its x is, so that L.y is there as well and every row inside counts
    assert fits[0].nobs == fits[1].nobs == (frame["before"] < 0).sum()
    pd.testing.assert_series_equal(fits[0].params, fits[1].params)


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found nothing"),
        ("regress y x", "expected xtabond2 or xtdpdgmm"),
        ("xtabond2 n L.n, gmm(L.n", "bracket is not closed"),
        ("xtabond2 n L.n, gmm(L.n)) iv(w)", "bracket is closed"),
        ("xtabond2 n L.n, gmm(L.n, lag(1))", "two numbers"),
        ("xtabond2 n L.n, gmm(L.n, lag(-2 1))", "leads are not taken"),
        ("xtabond2 n L.n, gmm(L.n, lag(1 x))", "whole numbers or a full stop"),
        ("xtabond2 n L.n, gmm(L.n, colapse)", "option 'colapse' is unknown"),
        ("xtabond2 n L.n, gmm(L.n) gmmm(w)", "option 'gmmm' is unknown"),
        ("xtabond2 n L.n, gmm(L.n) pca", "principal components"),
        ("xtabond2 n L.n, gmm(L.n) arlevels", "differenced residuals"),
        ("xtabond2 n L.n, gmm(L.n) cluster(id ind)", "expected one variable"),
        ("xtabond2 n L.n, gmm(L.n) h(4)", "expected 1, 2 or 3"),
        ("xtabond2 n L.n, gmm(L.n, eq(lvl))", "expected diff, level or both"),
        ("xtabond2 n L.n, iv(w, passthru)", "add equation\\(diff\\)"),
        ("xtabond2 n L.n S.w, gmm(L.n)", "seasonal"),
        ("xtabond2 n L.n $controls, gmm(L.n)", r"\$controls is a macro"),
        ("xtabond2 n L.n `x', gmm(L.n)", "is a macro"),
        ("xtabond2 n i.a#i.b, gmm(L.n)", "write i.a##i.b"),
        ("xtabond2 n L.n if year >, gmm(L.n)", "found its end|found 'its end'"),
        ("xtabond2 n L.n in 5/1, gmm(L.n)", "smaller to the larger"),
        ("xtabond2 n L.n [zw=k], gmm(L.n)", "pweight, aweight or fweight"),
        ("xtdpdgmm n L.n, gmm(L.n, m(d)) gmm(w, m(fod))", "one transform"),
        ("xtdpdgmm n L.n, gmm(L.n, m(mean))", "within-group means"),
        ("xtdpdgmm n L.n, gmm(L.n) center", "not centred"),
        ("xtdpdgmm n L.n, gmm(L.n) wmatrix(identity)", "weighs by units"),
        ("xtdpdgmm n L.n, gmm(L.n) nl(other)", "option 'other' is unknown"),
        ("xtdpdgmm n L.n, gmm(L.n, l(. 2) m(d))", "leads"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(text, says):
    with pytest.raises(SpecificationError, match=says):
        parse(text)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("xtabond2 n L.n w, gmm(L.n) iv(w)", "missing value of a standard instrument"),
        ("xtabond2 n L.n w, gmm(L.n) iv(w, mz)", "one column over both equations"),
        ("xtabond2 n L.n w [pw=k], gmm(L.n)", "takes no weights"),
        ("xtabond2 n L.n w if k > 0, gmm(L.n)", "both periods"),
    ],
)
def test_what_the_other_program_cannot_say_is_refused(line, says):
    with pytest.raises(SpecificationError, match=says):
        parse(line).line("xtdpdgmm")


# -- if and in -------------------------------------------------------------------------------------------------------

ROWS = pd.DataFrame(
    {"x": [1.0, 2.0, np.nan, 4.0], "n": [1, 2, 3, 4], "region": ["N", "S", None, "N"], "出口": [1.0, 0.0, 1.0, 0.0]}
)


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("x > 1", [0, 1, 1, 1]),  # a missing value is larger than every number
        ("x < .", [1, 1, 0, 1]),
        ("x > 1 & x < .", [0, 1, 0, 1]),
        ("x == .", [0, 0, 1, 0]),
        ("missing(x) | n == 1", [1, 0, 1, 0]),
        ("!missing(x)", [1, 1, 0, 1]),
        ("n == 1 | n == 2 & x > 5", [1, 0, 0, 0]),
        ("(n == 1 | n == 2) & x != 2", [1, 0, 0, 0]),
        ("inrange(n, 2, 3)", [0, 1, 1, 0]),
        ("inrange(x, 2, .)", [0, 1, 0, 1]),
        ("inlist(n, 1, 4)", [1, 0, 0, 1]),
        ('region == "N"', [1, 0, 0, 1]),
        ('region != "N" & n > 1', [0, 1, 1, 0]),
        ("n^2 - 1 >= 2*n + 1", [0, 0, 1, 1]),
        ("-n > -3", [1, 1, 0, 0]),
        ("x + 1 > 100", [0, 0, 1, 0]),
        ("n / 0 == .", [1, 1, 1, 1]),
        ("出口", [1, 0, 1, 0]),
        ("~(n < 3)", [0, 0, 1, 1]),
    ],
)
def test_a_condition_keeps_what_stata_keeps(condition, kept):
    assert rows_kept(ROWS, condition).tolist() == [bool(k) for k in kept]


@pytest.mark.parametrize(("rows", "kept"), [("2/3", [2, 3]), ("1", [1]), ("f/2", [1, 2]), ("-2/l", [3, 4]), ("l", [4])])
def test_in_keeps_the_rows_it_names(rows, kept):
    assert (np.flatnonzero(rows_kept(ROWS, rows=rows)) + 1).tolist() == kept


@pytest.mark.parametrize(
    ("condition", "error", "says"),
    [
        ("absent > 1", UnknownColumnError, "'absent' is not a column"),
        ('n == "a"', SpecificationError, "compared with a number"),
        ("n > 1 1", SpecificationError, "after it"),
        ("sum(n) > 1", SpecificationError, "function sum"),
        ("(n > 1", SpecificationError, "belongs"),
        ("L.n > 1", SpecificationError, "make it a column"),
        ("n > #", SpecificationError, "found"),
    ],
)
def test_a_condition_that_cannot_be_read_says_why(condition, error, says):
    with pytest.raises(error, match=says):
        rows_kept(ROWS, condition)
