"""Which of the paper's claims survive: each claim, the evidence, and a verdict made by a stated rule.

The verdicts are computed from the estimates, never written by hand. The rule: a claim *survives* when every cell it is
about has the claimed sign and the adjusted p-value is below 5%; it is *contradicted* when some cell has the opposite sign
with an adjusted p-value below 5%; otherwise the data *cannot tell*, which is no evidence against the claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import scipy

from estimation.tables.channels import channel_coefficients, channel_tests, subsample_differences
from estimation.tables.printed import PaperColumn, PrintedTable
from estimation.tables.study import StudyPanel

Verdict = Literal["survives", "contradicted", "cannot tell", "not tested"]
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the paper with what the estimates say.

    Attributes
    ----------
    name : str
        The claim in a sentence.
    verdict : {'survives', 'contradicted', 'cannot tell', 'not tested'}
    evidence : str
        The numbers behind the verdict.
    where : str
        Tables it is about.
    """

    name: str
    verdict: Verdict
    evidence: str
    where: str


def judge_claims(tables: Sequence[PrintedTable], panel: StudyPanel) -> tuple[Claim, ...]:
    """Judge every claim on the tables of one profile."""
    tests = channel_tests(tables, panel)
    coefficients = channel_coefficients(tables)
    differences = subsample_differences(tables)
    return (
        _larger_channel(tests), _larger_in_natural_units(tests), _positive_channels(coefficients),
        *_robust_measures(coefficients), _persistence(tables), _main_effects(tables),
        _size_ranking(differences), _region_ranking(differences), _valid_instruments(tables),
    )


def paper_channel_tests(paper: Mapping[tuple[int, int], PaperColumn]) -> pd.DataFrame:
    """Return what the paper's own printed numbers say of a6 > a5, for correlations of the two estimates it does not print.

    Returns
    -------
    DataFrame
        table, column, resilience (in the direction of resilience), productivity, difference, z at correlation 0, the
        correlation from which on the difference is significant at 5%, and how it reads.
    """
    rows = []
    for (table, column), printed in sorted(paper.items()):
        term = next(name for name in printed.cells if name.startswith("lnAgg*") and name != "lnAgg*lnPro")
        sign = -1.0 if term == "lnAgg*lnRunepd" else 1.0
        a5, a6 = printed.cells[term], printed.cells["lnAgg*lnPro"]
        gap = a6.coefficient - sign * a5.coefficient
        critical = scipy.stats.norm.ppf(1 - LEVEL / 2)
        # |gap| > c sqrt(v5 + v6 - 2 r s5 s6)  <=>  r > (v5 + v6 - (gap / c)^2) / (2 s5 s6)
        needed = (a5.std_error**2 + a6.std_error**2 - (gap / critical) ** 2) / (2 * a5.std_error * a6.std_error)
        rows.append({
            "table": table, "column": column, "resilience": sign * a5.coefficient, "productivity": a6.coefficient,
            "difference": gap, "z_uncorrelated": gap / float(np.hypot(a5.std_error, a6.std_error)),
            "correlation_needed": needed,
            "reading": "significant at any correlation" if needed <= -1 else
            "significant at no correlation" if needed >= 1 else f"significant only above {needed:.2f}",
        })
    return pd.DataFrame(rows)


def _larger_channel(tests: pd.DataFrame) -> Claim:
    name = "The productivity channel is larger than the resilience channel (per standard deviation)"
    if tests.empty:
        return Claim(name, "not tested", "no column could be estimated", "1-8")
    return Claim(name, _verdict(tests["difference"], tests["romano_wolf"]), (
        f"{int((tests['difference'] > 0).sum())} of {len(tests)} differences are positive; "
        f"{int(((tests['pvalue'] < LEVEL) & (tests['difference'] > 0)).sum())} are significant alone, "
        f"{int(((tests['holm'] < LEVEL) & (tests['difference'] > 0)).sum())} after Holm, "
        f"{int(((tests['romano_wolf'] < LEVEL) & (tests['difference'] > 0)).sum())} after Romano-Wolf"
    ), "1-8")


def _larger_in_natural_units(tests: pd.DataFrame) -> Claim:
    name = "The productivity channel is larger than the resilience channel (in natural units)"
    if tests.empty:
        return Claim(name, "not tested", "no column could be estimated", "1-8")
    significant = tests["natural_pvalue"] < LEVEL
    return Claim(name, _verdict(tests["natural_difference"], tests["natural_pvalue"] * len(tests)), (
        f"{int((tests['natural_difference'] > 0).sum())} of {len(tests)} differences are positive; significant alone: "
        f"{int((significant & (tests['natural_difference'] > 0)).sum())} positive, "
        f"{int((significant & (tests['natural_difference'] < 0)).sum())} negative; a unit of the resilience index is many "
        "standard deviations, so the sign can turn with the unit (verdict by Bonferroni)"
    ), "1-8")


def _positive_channels(coefficients: pd.DataFrame) -> Claim:
    name = "Both channels are positive for all three outcomes"
    return _sign_claim(name, coefficients[coefficients["table"] == 1] if len(coefficients) else coefficients, "1")


def _robust_measures(coefficients: pd.DataFrame) -> list[Claim]:
    names = {
        2: "Both channels are positive with unemployment as the measure of resilience",
        3: "Both channels are positive with the moving average as the measure of resilience",
        8: "Both channels are positive without the lowest and highest tenth of export value",
    }
    return [
        _sign_claim(name, coefficients[coefficients["table"] == number] if len(coefficients) else coefficients, str(number))
        for number, name in names.items()
    ]


def _sign_claim(name: str, cells: pd.DataFrame, where: str) -> Claim:
    if cells.empty:
        return Claim(name, "not tested", "no column of the table could be estimated", where)
    return Claim(name, _verdict(cells["estimate"], cells["romano_wolf"]), (
        f"{int((cells['estimate'] > 0).sum())} of {len(cells)} are positive, "
        f"{int(((cells['pvalue'] < LEVEL) & (cells['estimate'] > 0)).sum())} significantly alone, "
        f"{int(((cells['romano_wolf'] < LEVEL) & (cells['estimate'] > 0)).sum())} after Romano-Wolf over all columns"
    ), where)


def _persistence(tables: Sequence[PrintedTable]) -> Claim:
    name = "Exports persist: last year's outcome raises this year's"
    numbers = [column.ours["L.y"] for table in tables for column in table.columns if "L.y" in column.ours]
    if not numbers:
        return Claim(name, "not tested", "no column could be estimated", "1-8")
    values = pd.Series([number.coefficient for number in numbers])
    adjusted = pd.Series([min(1.0, number.pvalue * len(numbers)) for number in numbers])
    return Claim(name, _verdict(values, adjusted), (
        f"coefficients {values.min():.3f} to {values.max():.3f}; {int((values > 0).sum())} of {len(values)} positive, "
        f"{int(((adjusted < LEVEL) & (values > 0)).sum())} after Bonferroni"
    ), "1-8")


def _main_effects(tables: Sequence[PrintedTable]) -> Claim:
    name = "Agglomeration, resilience and productivity each raise exports (main effects, baseline)"
    cells = [
        column.ours[term]
        for table in tables if table.table.number == 1
        for column in table.columns for term in ("lnAgg", column.fit.column.resilience, "lnPro") if term in column.ours
    ]
    if not cells:
        return Claim(name, "not tested", "Table 1 could not be estimated", "1")
    values = pd.Series([cell.coefficient for cell in cells])
    adjusted = pd.Series([min(1.0, cell.pvalue * len(cells)) for cell in cells])
    return Claim(name, _verdict(values, adjusted), (
        f"{int((values > 0).sum())} of {len(values)} are positive, {int(((adjusted < LEVEL) & (values > 0)).sum())} after "
        "Bonferroni; at the mean of the other variables, where centred products put them"
    ), "1")


def _size_ranking(differences: pd.DataFrame) -> Claim:
    return _ranking("Both channels grow with city size: large above medium above small", differences,
                    ("large - medium", "medium - small"), "4, 5")


def _region_ranking(differences: pd.DataFrame) -> Claim:
    return _ranking("Both channels are strongest in the centre, then the east, then the west", differences,
                    ("east - central", "central - west", "east - west"), "6, 7", reversed_pairs=("east - central",))


def _ranking(
    name: str, differences: pd.DataFrame, pairs: Sequence[str], where: str, *, reversed_pairs: Sequence[str] = ()
) -> Claim:
    """Judge an order of subsamples from the differences of neighbours, Holm-adjusted over all of them."""
    found = differences[differences["compared"].isin(pairs)] if len(differences) else differences
    if found.empty or not set(pairs) <= set(found["compared"]):
        return Claim(name, "not tested", "some class of cities could not be estimated", where)
    signs = np.where(found["compared"].isin(reversed_pairs), -1.0, 1.0)
    values = found["difference"] * signs
    equal = differences[(differences["compared"] == "all equal") & differences["table"].isin(found["table"])]
    return Claim(name, _verdict(values, found["holm"]), (
        f"{int((values > 0).sum())} of {len(values)} differences between neighbours have the claimed sign, "
        f"{int(((found['holm'] < LEVEL) & (values > 0)).sum())} significantly (Holm); equality of all classes is refused "
        f"in {int((equal['pvalue'] < LEVEL).sum())} of {len(equal)} groups"
    ), where)


def _valid_instruments(tables: Sequence[PrintedTable]) -> Claim:
    name = "The instruments are valid: no AR(2), Hansen not refused"
    numbers = [column.statistics for table in tables for column in table.columns if "hansen_p" in column.statistics]
    if not numbers:
        return Claim(name, "not tested", "no column could be estimated", "1-8")
    ar2 = np.array([line["ar2_p"] for line in numbers])
    hansen = np.array([line["hansen_p"] for line in numbers])
    refused = int((ar2 < LEVEL).sum() + (hansen < LEVEL).sum())
    n_tests = int(np.isfinite(ar2).sum() + np.isfinite(hansen).sum())
    # all true: 5 % of tests refuse by chance; more than the 99th percentile of that is too many
    allowed = int(scipy.stats.binom.ppf(0.99, n_tests, LEVEL))
    return Claim(name, "survives" if refused <= allowed else "contradicted", (
        f"{refused} of {n_tests} tests refuse at 5% (up to {allowed} are compatible with chance); smallest AR(2) p "
        f"{np.nanmin(ar2):.3f}, smallest Hansen p {np.nanmin(hansen):.3f}, largest Hansen p {np.nanmax(hansen):.3f}"
    ), "1-8")


def _verdict(values: pd.Series, adjusted: pd.Series) -> Verdict:
    """Apply the rule of the module docstring."""
    significant = adjusted.to_numpy() < LEVEL
    positive = values.to_numpy() > 0
    if (significant & positive).all():
        return "survives"
    return "contradicted" if (significant & ~positive).any() else "cannot tell"
