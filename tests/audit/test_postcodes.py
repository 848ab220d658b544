"""What the audit of the postcode table must find; the counts themselves are printed by the audit."""

from __future__ import annotations

import pandas as pd
import pytest

from schemas.reference.builders.common import seats
from schemas.reference.builders.postcodes import Zones, evidence_by_year
from schemas.reference.shipped import read_shipped
from tests.audit.postcodes import judge_core_rule, settled_by


@pytest.fixture(scope="module")
def evidence():
    return dict(evidence_by_year(read_shipped("county_units"), seats()))[2007]


def test_four_digits_settle_most_codes_and_six_nearly_all(evidence):
    """A count of the directory apart from this one gave 13.0 % of codes unsettled by four, 5.4 by five, 0.9 by six."""
    counts = pd.DataFrame(list(settled_by(evidence, 2007)))
    share = counts[["four", "five", "six", "not"]].sum() / counts[["four", "five", "six", "not"]].sum().sum()
    assert share["four"] == pytest.approx(0.87, abs=0.015)
    assert share["six"] + share["not"] == pytest.approx(0.054, abs=0.005)
    assert share["not"] == pytest.approx(0.009, abs=0.003)
    assert len(counts) == 287


def test_core_rule_is_right_nine_times_in_ten(evidence):
    n_core, n_right = judge_core_rule(evidence)
    assert n_core > 100 and n_right / n_core > 0.9


@pytest.mark.parametrize(
    ("unit", "prefix", "stands"),
    [
        # one list's vote in another province's block; the unit's own division number in place of a postcode
        ("640502", "5240", False), ("650109", "1541", False), ("640521", "7452", False),
        # two lists against the directory
        ("513324", "6162", False), ("513334", "6243", False), ("341004", "2450", False),
        # lists alone where the directory has nothing, and a single code beside others of the prefecture
        ("420117", "4314", True), ("440823", "5240", True), ("440802", "5240", True),
        # 嵊泗 in 舟山 has the codes of Shanghai's block: the directory and the lists agree
        ("330922", "2024", True),
    ],
)
def test_claim_stands_or_falls_by_the_rule(evidence, unit, prefix, stands):
    zones = Zones(evidence)
    (found,) = [one for one in evidence if one.unit_code == unit]
    assert prefix in found.prefixes(4)
    assert zones.stands(found, prefix) is stands
