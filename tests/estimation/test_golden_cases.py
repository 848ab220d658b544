"""Reference cases: numbers of Stata, DPD for Ox, R, gretl and linearmodels, each within the tolerance it states."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

from estimation import EstimationWarning, PanelGMM
from estimation.specfile import case_from_machine

_spec = importlib.util.spec_from_file_location("golden", Path(__file__).with_name("golden.py"))
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)

OWN = sorted(golden.OWN_CASES.glob("o*.json"))
OWN_NAMES = {path.name for path in OWN}
SHARED = [path for path in sorted(golden.SHARED_CASES.glob("o*.json")) if path.name not in OWN_NAMES]
N_SHARED = 20
COUNTS = ("n_obs", "n_groups", "n_instruments", "df")


def _fit(path: Path):
    case, data = golden.read_golden(path)
    model_case = case_from_machine(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        return case, PanelGMM.from_case(data, model_case).fit_options(model_case.options)


@pytest.mark.parametrize("path", OWN + SHARED, ids=lambda path: path.stem)
def test_fit_equals_reference_program(path):
    case, results = _fit(path)
    tolerance = case["tolerance"]
    wrong = []
    for name, (estimate, error) in case["coefs"].items():
        if not golden.is_close(results.params[name], estimate, tolerance, "coef"):
            wrong.append((name, results.params[name], estimate))
        if error is not None and golden.is_compared(tolerance, "se"):
            if not golden.is_close(results.std_errors[name], error, tolerance, "se"):
                wrong.append((f"se {name}", results.std_errors[name], error))
    for name, ratio in case.get("t_ratios", {}).items():
        if abs(results.tstats[name] - ratio) > tolerance["t_ratio_abs"]:
            wrong.append((f"t {name}", results.tstats[name], ratio))
    tests = {
        "ar1": results.ar_test(1).stat,
        "ar2": results.ar_test(2).stat,
        "hansen": results.hansen.stat,
        "sargan": results.sargan.stat,
    }
    for name, value in tests.items():
        expected = case["tests"].get(name)
        if expected is not None and golden.is_compared(tolerance, "test"):
            if not golden.is_close(value, expected, tolerance, "test"):
                wrong.append((name, value, expected))
    for name in COUNTS:
        expected = case["tests"].get(name)
        if expected is not None and getattr(results, name) != expected:
            wrong.append((name, getattr(results, name), expected))
    assert not wrong


@pytest.mark.parametrize(
    "path",
    [path for path in SHARED if "diff_in_hansen" in path.read_text(encoding="utf-8")],
    ids=lambda path: path.stem,
)
def test_difference_in_hansen_equals_printed_log(path):
    case, results = _fit(path)
    limit = case["diff_in_hansen_tol_abs"]
    found = [(d.excluding.stat, d.excluding.df, d.difference.stat, d.difference.df) for d in results.diff_in_hansen]
    for line in case["diff_in_hansen"]:
        assert any(
            abs(j - line["excluding"]) <= limit
            and df == line["excluding_df"]
            and abs(c - line["difference"]) <= limit
            and c_df == line["difference_df"]
            for j, df, c, c_df in found
        ), (line, found)


def test_own_reference_cases_are_there():
    assert len(OWN) == 3


def test_shared_reference_cases_are_all_read():
    if not golden.SHARED_CASES.is_dir():
        pytest.skip("the reference numbers on other people's data are not distributed with this repository")
    assert len(SHARED) == N_SHARED
