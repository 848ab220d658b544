"""Fits side by side, summaries in every form, restrictions in words, and what is loaded when."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from estimation import BiasCorrectedMM, DifferenceGMM, NonlinearGMM, SystemGMM, compare, two_way_clustered
from estimation.dynamic_panel.restrictions import read_restrictions
from estimation.errors import SpecificationError, UnknownColumnError
from estimation.postestimation import linear_combination

KEYS = {"entity": "id", "time": "year"}
pytestmark = pytest.mark.filterwarnings("ignore::estimation.errors.HansenPValueWarning")
CHINESE = {"x": "出口集聚指数", "w": "a_very_long_name_of_a_regressor_indeed"}


@pytest.fixture(scope="module")
def fits(panel):
    """A system, a difference, and a system with period dummies, with a Chinese and a very long name."""
    data = panel.rename(columns=CHINESE)
    x, w = CHINESE.values()
    formula = f"y ~ L.y + {x} + {w} | gmm(y {x}, 2:3, collapse) + iv({w})"
    return (
        SystemGMM.from_formula(formula, data, **KEYS).fit(),
        DifferenceGMM.from_formula(formula, data, **KEYS).fit(),
        SystemGMM.from_formula(formula, data, **KEYS, time_effects="level").fit(small=True),
    )


def test_frame_holds_the_numbers_of_the_fits(fits):
    frame = compare(*fits, names=["system", "difference", "dummies"]).to_frame()
    assert frame.loc[("L.y", "coef"), "system"] == fits[0].params["L.y"]
    assert frame.loc[("L.y", "std_err"), "difference"] == fits[1].std_errors["L.y"]
    assert np.isnan(frame.loc[("_cons", "coef"), "difference"])
    assert frame.loc[("n_instruments", ""), "dummies"] == fits[2].n_instruments
    assert not any(term.startswith("year=") for term, _ in frame.index)
    assert any(term.startswith("year=") for term, _ in compare(*fits, periods=True).to_frame().index)


def test_long_and_chinese_names_stand_in_line(fits):
    lines = compare(*fits, names=["系统", "diff", "dummies"]).to_text().splitlines()
    body = [line for line in lines if "." in line and "p <" not in line]
    points = {tuple(cell_len(line[:at]) for at, letter in enumerate(line) if letter == "." and at > 20) for line in body}
    # decimal points of a column stand below each other: at most one place a column, three columns
    assert len({place for places in points for place in places}) == 3
    rules = [line for line in lines if set(line) == {"-"}]
    assert len(set(map(len, rules))) == 1 and max(map(cell_len, lines[:-1])) <= len(rules[0])


def test_summary_stands_in_line_with_long_and_chinese_names(fits):
    lines = fits[0].summary.splitlines()
    rows = [line for line in lines if line.startswith(("L.y", "出口", "a_very", "_cons"))]
    assert len(rows) == 4 and len({cell_len(row.rstrip()) for row in rows}) == 1


def test_markdown_latex_and_html_escape_what_would_be_read_as_marks(fits):
    table = compare(*fits, names=["a|b", "R&D_1", "<i>"], title="50% & more")
    markdown, latex, page = table.to_markdown(), table.to_latex(), table.to_html()
    assert r"a\|b" in markdown and r"\*\*\*" in markdown
    assert {line.replace(r"\|", "").count("|") for line in markdown.splitlines() if line.startswith("|")} == {5}
    assert r"R\&D\_1" in latex and r"50\% \& more" in latex and latex.count(r"\toprule") == 1
    assert "&lt;i&gt;" in page and table._repr_html_() == page
    assert [row.count("<td") for row in page.split("<tr>") if "<td style" in row] == [3] * (2 * 4 + 7)


def test_workbook_holds_the_printed_table_and_the_numbers(fits, tmp_path):
    table = compare(*fits)
    table.to_excel(tmp_path / "table.xlsx")
    book = openpyxl.load_workbook(tmp_path / "table.xlsx")
    assert [cell.value for cell in book["table"][2]][:2] == ["L.y", f"{fits[0].params['L.y']:.3f}***"]
    numbers = {(row[0], row[1]): row[2] for row in book["numbers"].iter_rows(min_row=2, values_only=True)}
    assert numbers["L.y", "coef"] == pytest.approx(fits[0].params["L.y"], rel=1e-15)


def test_every_face_of_one_line_is_one_line(fits):
    assert "\n" not in repr(fits[0]) and "\n" not in repr(compare(*fits))
    assert repr(fits[0]).startswith("<System GMM, two-step") and "60 groups" in repr(fits[0])
    assert str(compare(*fits)) == compare(*fits).to_text()


def test_names_labels_and_dependents_head_the_table(fits, panel):
    other = SystemGMM(panel, **KEYS, dependent="x", exogenous="w").fit()
    table = compare({"one": fits[0], "two": other}, labels={"L.y": "lagged outcome"}, statistics=["N", "sargan_p"])
    text = table.to_text()
    assert "lagged outcome" in text and table.heads == [["y", "x"], ["one", "two"]]
    assert "Sargan" not in text and "sargan_p" in text and "Groups" not in text


@pytest.mark.parametrize(
    ("arguments", "settings_", "says"),
    [
        ((), {}, "at least one fit"),
        ((1,), {}, "expected results of fits, found int"),
        (("fit",), {"names": ["a", "b"]}, "one name for each"),
        (("fit",), {"statistics": ["r2"]}, "unknown statistics"),
    ],
)
def test_what_cannot_be_compared_is_refused(fits, arguments, settings_, says):
    chosen = [fits[0] if argument == "fit" else argument for argument in arguments]
    with pytest.raises(SpecificationError, match=says):
        compare(*chosen, **settings_)


def test_other_results_may_stand_beside(fits):
    class Plain:
        params = pd.Series({"L.y": 0.5, "trend": 0.1})
        std_errors = pd.Series({"L.y": 0.1, "trend": 0.2})
        pvalues = pd.Series({"L.y": 0.001, "trend": 0.6})
        nobs = 7

    text = compare(fits[0], Plain()).to_text()
    assert "trend" in text and "0.500***" in text


def test_every_estimator_of_the_package_may_stand_beside(panel):
    system = SystemGMM(panel, **KEYS, dependent="y", endogenous="x", exogenous="w").fit()
    nonlinear = NonlinearGMM(panel, **KEYS, dependent="y", endogenous="x", exogenous="w").fit()
    corrected = BiasCorrectedMM(panel, **KEYS, dependent="y", regressors=["x", "w"]).fit()
    table = compare(system, nonlinear, corrected, two_way_clustered(system, "province"))
    frame = table.to_frame()
    assert frame.loc[("L.y", "coef")].notna().all()
    assert frame.loc[("hansen_p", "")].isna().tolist() == [False, False, True, False]
    assert all("\n" not in repr(fit) for fit in table.fits)
    assert corrected.wald_test("x = w").stat == pytest.approx(linear_combination(corrected, "x - w").stat ** 2, rel=1e-9)


def test_maketables_takes_the_results_as_they_are(fits):
    maketables = pytest.importorskip("maketables", reason="comes with the optional group `dev`")
    text = maketables.ETable(list(fits)).make(type="tex")
    assert f"{fits[0].params['L.y']:.3f}" in text and "Hansen" in text


def test_summary_gives_itself_in_every_form(fits):
    summary = fits[2].summary
    assert summary.as_text() == str(summary) == str(fits[2]) and repr(summary) == str(summary)
    assert f"<td>{fits[2].params['L.y']:.6g}</td>" in summary.as_html() and summary.as_html().count("<table") == 3
    assert r"\toprule" in summary.as_latex() and r"a\_very\_long" in summary.as_latex()
    assert f"L.y,{float(fits[2].params['L.y'])!r}" in summary.as_csv()
    assert [len(table) for table in summary.tables][1] == len(fits[2].names)


def test_fitted_values_are_the_prediction(fits):
    pd.testing.assert_series_equal(fits[0].fitted_values, fits[0].predict())


# -- restrictions in words ---------------------------------------------------------------------------------------------

NAMES = ("L.n", "w", "wage", "k", "x:z", "year=2005", "year=2006", "_cons", "出口")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w + k = 1", [({"w": 1, "k": 1}, 1)]),
        ("w = k", [({"w": 1, "k": -1}, 0)]),
        ("2*w - k/4 = 1 - 3", [({"w": 2, "k": -0.25}, -2)]),
        ("w = k = 0", [({"w": 1, "k": -1}, 0), ({"k": 1}, 0)]),
        ("w = 1, wage = 2", [({"w": 1}, 1), ({"wage": 1}, 2)]),
        ("year=2005 = year=2006", [({"year=2005": 1, "year=2006": -1}, 0)]),
        ("L.n + x:z - _cons", [({"L.n": 1, "x:z": 1, "_cons": -1}, 0)]),
        ("-出口 = -1e-2", [({"出口": -1}, -0.01)]),
        ("w + w + k = k + 1", [({"w": 2}, 1)]),
        ("3 = w", [({"w": -1}, -3)]),
    ],
)
def test_restrictions_are_read(text, expected):
    assert [(one.weights, one.value) for one in read_restrictions(text, NAMES)] == expected


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("q = 1", UnknownColumnError, "'q' is not a parameter"),
        ("ww = 1", UnknownColumnError, "'ww'"),
        ("w = ", SpecificationError, "on either side"),
        ("w +", SpecificationError, "expected a term after"),
        ("w k = 1", SpecificationError, "found 'k'"),
        ("(w + k) = 1", SpecificationError, "brackets"),
        ("w = w", SpecificationError, "no parameter is left"),
        ("w/0 = 1", SpecificationError, "division by zero"),
        ("1 = 2", SpecificationError, "no parameter is left"),
    ],
)
def test_faulty_restrictions_say_why(text, error, says):
    with pytest.raises(error, match=says):
        read_restrictions(text, NAMES)


@settings(max_examples=100, deadline=None)
@given(
    weights=st.dictionaries(st.sampled_from(NAMES), st.integers(-5, 5).filter(bool), min_size=1, max_size=4),
    value=st.integers(-9, 9),
)
def test_a_restriction_survives_being_written_and_read(weights, value):
    written = " ".join(f"{'-' if weight < 0 else '+'} {abs(weight)}*{name}" for name, weight in weights.items())
    found = read_restrictions(f"{written} = {value}", NAMES)
    assert [(one.weights, one.value) for one in found] == [(weights, value)]
    assert [(one.weights, one.value) for one in read_restrictions(str(found[0]), NAMES)] == [(weights, value)]


def test_tests_in_words_equal_tests_by_matrix(fits):
    fit = fits[0]
    x, w = CHINESE.values()
    R = np.array([[0.0, 1, 1, 0], [1.0, 0, 0, 0]])
    in_words = fit.wald_test(f"{x} + {w} = 1, L.y = 0.5")
    by_matrix = fit.wald_test(R, np.array([1.0, 0.5]))
    assert (in_words.stat, in_words.df) == (pytest.approx(by_matrix.stat, rel=1e-12), 2)
    assert in_words.null == f"{x} + {w} = 1, L.y = 0.5"
    combination = linear_combination(fit, f"{x} + {w} = 1")
    assert combination.stat**2 == pytest.approx(fit.wald_test(f"{x} + {w} = 1").stat, rel=1e-10)
    assert combination.estimate == pytest.approx(fit.params[x] + fit.params[w] - 1, rel=1e-12)
    with pytest.raises(SpecificationError, match="states its values"):
        fit.wald_test("L.y = 0.5", q=1.0)
    with pytest.raises(UnknownColumnError):
        fit.wald_test("absent")


# -- what is loaded when ---------------------------------------------------------------------------------------------


def test_importing_the_package_loads_no_numerical_library_and_fitting_none_of_the_slow_ones():
    """import estimation is for everyone who only wants a name of it; scipy.stats alone takes 0.8 s to load."""
    script = """
import json, sys
import estimation
first = sorted({"numpy", "pandas", "scipy", "pyspark", "formulaic", "matplotlib"} & set(sys.modules))
import numpy as np, pandas as pd
from estimation import SystemGMM
rng = np.random.default_rng(1)
y = rng.normal(size=(40, 6)).cumsum(axis=1)
panel = pd.DataFrame([(i, t, y[i, t]) for i in range(40) for t in range(6)], columns=["id", "t", "y"])
import warnings
warnings.simplefilter("ignore")
print(SystemGMM(panel, dependent="y", entity="id", time="t", n_lags=1, endogenous=[],
      instruments=[estimation.GMMStyle("y", (2, 3))]).fit(), file=sys.stderr)
second = sorted({"scipy.stats", "scipy.optimize", "matplotlib", "pyspark", "formulaic", "openpyxl"} & set(sys.modules))
print(json.dumps([first, second]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], []]
