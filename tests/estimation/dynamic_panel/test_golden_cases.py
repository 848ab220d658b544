"""Reference cases: numbers of Stata, DPD for Ox, R, gretl and linearmodels, each within the tolerance it states.

A value passes when |difference| <= max(abs, rel x |value|) with the tolerances of its case; counts must be exact. Cases on our
own synthetic panels stand in tests/golden; those on other people's data are read from beside the repository.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from estimation import EstimationWarning, PanelGMM
from estimation.dynamic_panel.specfile import case_from_machine

ROOT = Path(__file__).resolve().parents[3]
OWN_CASES = ROOT / "tests" / "golden" / "dynamic_panel"
# reference numbers on other people's data are not distributed; they stand beside the repository where they exist
SHARED_CASES = ROOT.parent / "shared" / "golden" / "dynamic_panel"

OWN = sorted(OWN_CASES.glob("o*.json"))
OWN_NAMES = {path.name for path in OWN}
SHARED = [path for path in sorted(SHARED_CASES.glob("o*.json")) if path.name not in OWN_NAMES]
N_SHARED = 20
NOT_HERE = "the reference numbers on other people's data are not distributed with this repository"
WITH_DIFFERENCE = [path for path in SHARED if "diff_in_hansen" in path.read_text(encoding="utf-8")]
COUNTS = ("n_obs", "n_groups", "n_instruments", "df")


def read_golden(path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return a case and its data, period dummies d2010... made where the case asks for them."""
    case = json.loads(path.read_text(encoding="utf-8"))
    data = pd.read_csv(path.parent / case.get("prepared_data", case["data_file"]))
    for name in case["machine_spec"]["x"]:
        if name.startswith("d20") and name not in data.columns:
            data[name] = (data[case["data_time"]] == int(name[1:])).astype(float)
    return case, data


def is_close(value: float, expected: float, tolerance: dict[str, float], kind: str) -> bool:
    """Compare with `<kind>_abs` and `<kind>_rel` of a case."""
    limit = max(tolerance.get(f"{kind}_abs", 0.0), tolerance.get(f"{kind}_rel", 0.0) * abs(expected))
    return abs(value - expected) <= limit


def is_compared(tolerance: dict[str, float], kind: str) -> bool:
    """Whether a case compares this kind of number."""
    return f"{kind}_abs" in tolerance or f"{kind}_rel" in tolerance


def _fit(path: Path):
    case, data = read_golden(path)
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
        if not is_close(results.params[name], estimate, tolerance, "coef"):
            wrong.append((name, results.params[name], estimate))
        if error is not None and is_compared(tolerance, "se"):
            if not is_close(results.std_errors[name], error, tolerance, "se"):
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
        if expected is not None and is_compared(tolerance, "test"):
            if not is_close(value, expected, tolerance, "test"):
                wrong.append((name, value, expected))
    for name in COUNTS:
        expected = case["tests"].get(name)
        if expected is not None and getattr(results, name) != expected:
            wrong.append((name, getattr(results, name), expected))
    assert not wrong


@pytest.mark.parametrize(
    "path",
    WITH_DIFFERENCE or [pytest.param(SHARED_CASES, marks=pytest.mark.skip(reason=NOT_HERE))],
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
    if not SHARED_CASES.is_dir():
        pytest.skip(NOT_HERE)
    assert len(SHARED) == N_SHARED
