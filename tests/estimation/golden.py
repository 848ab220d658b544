"""Reading reference cases and comparing a fit with them; used by the golden-case tests.

A value passes when |difference| <= max(abs, rel x |value|) with the tolerances the case states.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
OWN_CASES = ROOT / "tests" / "reference" / "dynamic_panel"
# reference numbers on other people's data are not distributed; they stand beside the repository where they exist
SHARED_CASES = ROOT.parent / "shared" / "golden" / "dynamic_panel"


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
