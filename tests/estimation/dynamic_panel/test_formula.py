"""Formulas and the terms they are made of: the same numbers as columns made by hand, and errors that help."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimation import DifferenceGMM, GMMStyle, IVStyle, NonlinearGMM, SystemGMM
from estimation.dynamic_panel.expressions import evaluate
from estimation.dynamic_panel.formula import parse_formula
from estimation.dynamic_panel.operators import expand_list
from estimation.errors import IdentificationError, SpecificationError, UnknownColumnError

# small panels drawn for identities between two ways of writing a model: their Hansen test is not what is looked at
pytestmark = pytest.mark.filterwarnings("ignore::estimation.errors.HansenPValueWarning")
KEYS = {"entity": "id", "time": "year"}


def lagged(frame, name, lag=1):
    """Return a lag made by hand with a merge, missing where the earlier row is missing."""
    earlier = frame[["id", "year", name]].assign(year=frame["year"] + lag).rename(columns={name: "_lag"})
    return frame.merge(earlier, on=["id", "year"], how="left")["_lag"].to_numpy()


def test_the_example_of_the_documentation_is_read():
    formula = "lnvalue ~ L.lnvalue + L(0/1).lnAgg + C(prov) + lnAgg:lnRes | gmm(lnvalue lnAgg, 2:4, collapse) + iv(lnseadis)"
    read = parse_formula(formula)
    assert read.dependent == "lnvalue" and read.constant
    assert read.regressors == ("L.lnvalue", "lnAgg", "L.lnAgg", "C(prov)", "lnAgg:lnRes")
    assert read.instruments == (GMMStyle(["lnvalue", "lnAgg"], (2, 4), True), IVStyle("lnseadis"))


@pytest.mark.parametrize(
    ("formula", "regressors"),
    [
        ("y ~ L(1/2).y + L(0/1).(w k)", ("L.y", "L2.y", "w", "L.w", "k", "L.k")),
        ("y ~ a*b - 1", ("a", "b", "a:b")),
        ("y ~ (a + b)**2", ("a", "a:b", "b")),
        ("y ~ L.x:z + LD.x + D2.x", ("L.x:z", "L.D.x", "D2.x")),
        ("y ~ L(0/1).x:z", ("x:z", "L.x:z")),
        ("y ~ log(q) + L.log(q) + I(x ** 2)", ("log(q)", "L.log(q)", "I(x**2)")),
        ("y ~ `出口 额` + L2.`出口 额` + 出口", ("出口 额", "L2.出口 额", "出口")),
        ("y ~ C(prov, base=3):x", ("C(prov, base=3):x",)),
        ("y ~ gdp.pc + L.gdp.pc + `2005 share`:x", ("gdp.pc", "L.gdp.pc", "2005 share:x")),
    ],
)
def test_regressors_are_spelled_out_in_the_order_written(formula, regressors):
    assert parse_formula(formula).regressors == regressors


def test_every_option_of_a_group_is_read():
    read = parse_formula(
        "y ~ x | gmm(y, 2:) + gmm(L.x, 1, collapse, diff) + gmm(x, 1:2, level, name='own') + iv(w L.w, level, mz)"
        " + iv(z, diff, passthru)"
    )
    assert read.instruments == (
        GMMStyle("y", (2, None)),
        GMMStyle("L.x", (1, 1), True, "difference"),
        GMMStyle("x", (1, 2), equation="level", name="own"),
        IVStyle(["w", "L.w"], "level", "zero"),
        IVStyle("z", "difference", passthrough=True),
    )


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("~ x", "dependent ~ regressors"),
        ("y ~ x ~ z", "dependent ~ regressors"),
        ("y ~ x +", "cannot be read"),
        ("y ~ x | x", "gmm\\(...\\) or iv"),
        ("y ~ x | gmm(y, 2:3) | iv(x)", "one bar"),
        ("y ~ x | gmm(y, 2:3, colapse)", "'colapse' is unknown"),
        ("y ~ x | gmm(, 2:3)", "names no variable"),
        ("y ~ x | gmm(y, 4:2)", "first lag <= last lag"),
        ("y ~ x | iv(x) +", "joined by"),
        ("y ~ L(2/1).x", "from the smaller to the larger"),
        ("y ~ L(a).x", "expected lags"),
        ("y ~ S4.x", "seasonal"),
        (7, "expected text"),
    ],
)
def test_a_faulty_formula_says_what_is_wrong(formula, says):
    with pytest.raises(SpecificationError, match=says):
        parse_formula(formula)


def test_formula_equals_the_same_model_in_words(gapped):
    formula = "y ~ L.y + x + w | gmm(y x, 2:3, collapse) + iv(w z)"
    by_formula = SystemGMM.from_formula(formula, gapped, **KEYS, time_effects="level").fit()
    in_words = SystemGMM(
        gapped, **KEYS, dependent="y", regressors=["x", "w"], time_effects="level",
        instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle(["w", "z"])],
    ).fit()  # fmt: skip
    assert by_formula.spec == in_words.spec
    pd.testing.assert_series_equal(by_formula.params, in_words.params)


def test_classes_may_be_named_for_regressors_of_a_formula(gapped):
    by_formula = SystemGMM.from_formula("y ~ L.y + x + w", gapped, **KEYS, endogenous="x", exogenous="w")
    by_class = SystemGMM(gapped, **KEYS, dependent="y", endogenous="x", exogenous="w")
    assert by_formula.spec == by_class.spec


def test_products_categories_and_functions_equal_columns_made_by_hand(gapped):
    """Interactions with lags, dummies of text, squares and logarithms, on a panel with gaps."""
    frame = gapped.assign(region=gapped["id"].mod(3).map({0: "东", 1: "中", 2: "西"}), size=np.exp(gapped["w"]))
    formula = (
        "y ~ L.y + x + L.x:w + C(region) + log(size) + I(w**2)"
        " | gmm(y x, 2:3, collapse) + iv(L.x:w C(region) log(size) I(w**2) z)"
    )
    results = SystemGMM.from_formula(formula, frame, **KEYS).fit()
    hand = frame.assign(
        lxw=lagged(frame, "x") * frame["w"], zhong=(frame["region"] == "中") * 1.0, xi=(frame["region"] == "西") * 1.0,
        square=frame["w"] ** 2,
    )  # fmt: skip
    expected = SystemGMM(
        hand, **KEYS, dependent="y", regressors=["x", "lxw", "zhong", "xi", "w", "square"],
        instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle(["lxw", "zhong", "xi", "w", "square", "z"])],
    ).fit()  # fmt: skip
    assert [name for name in results.names if name.startswith("region=")] == ["region=中", "region=西"]
    same = {"L.x:w": "lxw", "region=中": "zhong", "region=西": "xi", "log(size)": "w", "I(w**2)": "square"}
    for ours, theirs in {"L.y": "L.y", "x": "x", **same}.items():
        assert results.params[ours] == pytest.approx(expected.params[theirs], rel=1e-8), ours
        assert results.std_errors[ours] == pytest.approx(expected.std_errors[theirs], rel=1e-8), ours


def test_prediction_on_other_data_makes_the_terms_anew(gapped):
    frame = gapped.assign(region=gapped["id"].mod(3))
    results = SystemGMM.from_formula(
        "y ~ L.y + x:w + C(region) | gmm(y, 2:3, collapse) + iv(x:w C(region) z)", frame, **KEYS
    ).fit()
    own, other = results.predict(), results.predict(frame)
    np.testing.assert_allclose(own.to_numpy(), other.to_numpy(), rtol=1e-12, equal_nan=True)
    assert own.notna().sum() > 100


def test_a_base_may_be_chosen_and_lists_of_columns_are_resolved(gapped):
    frame = gapped.assign(region=gapped["id"].mod(3), q1=gapped["w"], q2=gapped["z"])
    model = DifferenceGMM(
        frame, **KEYS, dependent="y", regressors=["C(region, base=1):x", "q*", "q1-q2"],
        instruments=[GMMStyle("y", (2, 3), True), IVStyle(["C(region, base=1):x", "q?"])],
    )  # fmt: skip
    assert model.fit().names == ("L.y", "region=0:x", "region=2:x", "q1", "q2")


@pytest.mark.parametrize(
    ("term", "error", "says"),
    [
        ("C(absent)", UnknownColumnError, "'absent' is not a column"),
        ("C(x)", SpecificationError, "more than 200"),
        ("C(province, base=99)", SpecificationError, "the values are 0, 1, 2"),
        ("q*", UnknownColumnError, "no column of the data matches"),
        ("w-x", SpecificationError, "'x' stands before 'w'"),
        ("sin(x)", SpecificationError, "expected arithmetic"),
        ("lag(x)", SpecificationError, "A lag is L.x"),
        ("C(province, Treatment(3))", SpecificationError, "C\\(column, base=value\\)"),
        ("__import__('os').getcwd()", SpecificationError, "expected arithmetic"),
        ("log(absent)", UnknownColumnError, "'absent'"),
        ("x:absent", UnknownColumnError, "'absent'"),
    ],
)
def test_a_term_that_cannot_be_made_says_why(panel, term, error, says):
    with pytest.raises(error, match=says):
        SystemGMM(panel, **KEYS, dependent="y", regressors=[term], instruments=[GMMStyle("y", (2, 3)), IVStyle("w")]).fit()


def test_a_regressor_without_an_instrument_is_answered_with_its_class(panel):
    model = SystemGMM(panel, **KEYS, dependent="y", regressors=["x", "w"], instruments=[GMMStyle("y", (2, 2), True)])
    with pytest.raises(IdentificationError, match=r"names x, w: if exogenous, say exogenous=\['x', 'w'\]"):
        model.fit()


NAMES = st.sampled_from(["n", "w", "k", "ys", "出口"])
LAGS = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(sorted)


@settings(max_examples=60, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=3, unique=True), lags=LAGS)
def test_a_list_of_lags_is_every_lag_of_every_variable(names, lags):
    first, last = lags
    expected = [{0: "", 1: "L."}.get(lag, f"L{lag}.") + name for name in names for lag in range(first, last + 1)]
    assert expand_list(f"L({first}/{last}).({' '.join(names)})") == expected


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.floats(0.1, 100), min_size=1, max_size=5), power=st.integers(1, 4))
def test_an_expression_is_what_numpy_makes_of_it(values, power):
    frame = pd.DataFrame({"x": values})
    found = evaluate(f"np.log(x)*2 - x**{power}/3", frame)
    np.testing.assert_allclose(found, np.log(values) * 2 - np.array(values) ** power / 3)


def test_a_regressor_that_only_others_identify_is_noted(panel):
    groups = [GMMStyle(["y", "x"], (2, 4), True)]
    noted = SystemGMM(panel, **KEYS, dependent="y", regressors=["x", "w"], instruments=groups).fit()
    assert any("names w: if exogenous, say exogenous=['w']" in note for note in noted.notes) and "names w" in str(noted)
    named = SystemGMM(panel, **KEYS, dependent="y", regressors=["x"], exogenous="w", instruments=groups).fit()
    assert not any("No instrument group" in note for note in named.notes)
    dummies = "y ~ L.y + x + C(province) | gmm(y x, 2:4, collapse)"
    with pytest.raises(IdentificationError, match=r"say exogenous=\['C\(province\)'\]"):
        SystemGMM.from_formula(dummies, panel, **KEYS).fit()
    assert SystemGMM.from_formula(dummies, panel, **KEYS, exogenous="C(province)").fit().params.notna().all()


def test_what_the_formula_names_is_not_named_again(panel):
    with pytest.raises(SpecificationError, match="leave lags out"):
        SystemGMM.from_formula("y ~ L.y | gmm(y, 2:3)", panel, **KEYS, lags=1)


def test_every_model_class_takes_a_formula(panel):
    formula = "y ~ L.y + x + w | gmm(y x, 2:4, collapse, diff) + iv(w, diff)"
    nonlinear = NonlinearGMM.from_formula(formula, panel, **KEYS, nonlinear="noserial").fit()
    assert nonlinear.n_instruments == SystemGMM.from_formula(formula, panel, **KEYS).fit().n_instruments + 1
