"""How a claim is judged: from estimates to a verdict and the numbers behind it, by one stated rule.

A claim is *supported* when every cell it is about has the claimed sign and an adjusted p-value below 5%; it is
*contradicted* when some cell has the opposite sign with an adjusted p-value below 5%; otherwise the data *cannot tell*,
which is no evidence against the claim. A test that does not reject is *not rejected*: no support either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import scipy

from estimation.dynamic_panel.postestimation import linear_combination
from estimation.tables.channels import channel_coefficients, channel_tests, subsample_differences
from estimation.tables.joint import holm
from estimation.tables.printed import PrintedTable
from estimation.tables.study import StudyPanel

Verdict = Literal["supported", "contradicted", "cannot tell", "not rejected", "not tested"]
Judged = tuple[Verdict, str]
LEVEL = 0.05
NO_COLUMN: Judged = ("not tested", "no column could be estimated")


@dataclass(frozen=True)
class Estimates:
    """The tables of one profile, and what is computed from them once for all claims.

    Attributes
    ----------
    tables : sequence of PrintedTable
    panel : StudyPanel
    """

    tables: Sequence[PrintedTable]
    panel: StudyPanel

    @cached_property
    def tests(self) -> pd.DataFrame:
        """Difference of the channels, a row a column."""
        return channel_tests(self.tables, self.panel)

    @cached_property
    def coefficients(self) -> pd.DataFrame:
        """Channel coefficients, a row a column and channel."""
        return channel_coefficients(self.tables)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Differences between subsamples."""
        return subsample_differences(self.tables)

    def columns(self, *numbers: int) -> list:
        """Estimated columns of the numbered tables (all when none is named)."""
        return [
            column
            for table in self.tables if not numbers or table.table.number in numbers
            for column in table.columns if column.fit.results is not None
        ]


def verdict(values: Iterable[float], adjusted: Iterable[float]) -> Verdict:
    """Apply the rule: claimed direction is positive."""
    positive = np.asarray(list(values)) > 0
    significant = np.asarray(list(adjusted)) < LEVEL
    if (significant & positive).all():
        return "supported"
    return "contradicted" if (significant & ~positive).any() else "cannot tell"


def shortfall(values: Iterable[float], adjusted: Iterable[float]) -> str:
    """Words on how far the cells are from what the rule asks of all of them; empty when nothing is missing."""
    positive, significant = np.asarray(list(values)) > 0, np.asarray(list(adjusted)) < LEVEL
    reached = int((significant & positive).sum())
    return "" if reached == len(positive) else f"; the rule asks for all {len(positive)}, {reached} meet it"


def signs(values: Sequence[float], pvalues: Sequence[float], *, more: str = "") -> Judged:
    """Judge that all values are positive, p-values adjusted by Holm."""
    if not len(values):
        return NO_COLUMN
    claimed, adjusted = np.asarray(values) > 0, holm(pvalues)
    return verdict(values, adjusted), (
        f"{int(claimed.sum())} of {len(values)} have the claimed sign,"
        f" {int(((adjusted < LEVEL) & claimed).sum())} significantly (Holm),"
        f" {int(((adjusted < LEVEL) & ~claimed).sum())} the opposite one significantly{more}"
        f"{shortfall(values, adjusted)}"
    )


def larger_channel(found: Estimates) -> Judged:
    """The productivity channel exceeds the resilience channel, per standard deviation."""
    tests = found.tests
    if tests.empty:
        return NO_COLUMN
    larger = tests["difference"] > 0
    return verdict(tests["difference"], tests["romano_wolf"]), (
        f"{int(larger.sum())} of {len(tests)} differences are positive;"
        f" {int(((tests['pvalue'] < LEVEL) & larger).sum())} are significant alone,"
        f" {int(((tests['holm'] < LEVEL) & larger).sum())} after Holm,"
        f" {int(((tests['romano_wolf'] < LEVEL) & larger).sum())} after Romano-Wolf"
        f"{shortfall(tests['difference'], tests['romano_wolf'])}"
    )


def larger_in_natural_units(found: Estimates) -> Judged:
    """The same difference for a change of one in each logarithm."""
    tests = found.tests
    if tests.empty:
        return NO_COLUMN
    significant, larger = tests["natural_pvalue"] < LEVEL, tests["natural_difference"] > 0
    return verdict(tests["natural_difference"], tests["natural_pvalue"] * len(tests)), (
        f"{int(larger.sum())} of {len(tests)} differences are positive; significant alone:"
        f" {int((significant & larger).sum())} positive, {int((significant & ~larger).sum())} negative; a unit of the"
        " resilience index is many standard deviations, so the sign can turn with the unit (verdict by Bonferroni)"
    )


def channels_positive(found: Estimates, number: int) -> Judged:
    """Both channels of one table are positive."""
    cells = found.coefficients
    cells = cells[cells["table"] == number] if len(cells) else cells
    if cells.empty:
        return "not tested", "no column of the table could be estimated"
    positive = cells["estimate"] > 0
    return verdict(cells["estimate"], cells["romano_wolf"]), (
        f"{int(positive.sum())} of {len(cells)} are positive,"
        f" {int(((cells['pvalue'] < LEVEL) & positive).sum())} significantly alone,"
        f" {int(((cells['romano_wolf'] < LEVEL) & positive).sum())} after Romano-Wolf over all columns"
        f"{shortfall(cells['estimate'], cells['romano_wolf'])}"
    )


def persistence(found: Estimates) -> Judged:
    """The lagged outcome has a positive coefficient in every column."""
    numbers = [column.ours["L.y"] for column in found.columns() if "L.y" in column.ours]
    if not numbers:
        return NO_COLUMN
    values = [number.coefficient for number in numbers]
    return signs(values, [n.pvalue for n in numbers], more=f"; coefficients {min(values):.3f} to {max(values):.3f}")


def main_effects(found: Estimates) -> Judged:
    """Agglomeration, resilience and productivity themselves, Table 1."""
    cells = [
        column.ours[term]
        for column in found.columns(1) for term in ("lnAgg", column.fit.column.resilience, "lnPro") if term in column.ours
    ]
    return signs(
        [cell.coefficient for cell in cells], [cell.pvalue for cell in cells],
        more="; at the mean of the other variables, where centred products put them",
    )


def larger_main_effect(found: Estimates) -> Judged:
    """Productivity itself exceeds resilience itself, in every column."""
    gaps = []
    for column in found.columns():
        results, measure = column.fit.results, column.fit.column.resilience
        if {"lnPro", measure} <= set(results.names):
            weights = {"lnPro": 1.0, measure: -float(column.fit.column.resilience_sign)}
            gaps.append(linear_combination(results, weights))
    return signs([gap.estimate for gap in gaps], [gap.pvalue for gap in gaps])


def per_cent_of_agglomeration(found: Estimates, claimed: float) -> Judged:
    """One per cent more agglomeration gives ``claimed`` per cent more export value: the elasticity in natural units."""
    column = next((c for c in found.columns(1) if c.fit.column.dependent == "lnvalue" and "lnAgg" in c.ours), None)
    if column is None:
        return NO_COLUMN
    factor = found.panel.constant("lnvalue").sd / found.panel.constant("lnAgg").sd
    estimate, error = column.ours["lnAgg"].coefficient * factor, column.ours["lnAgg"].std_error * factor
    half = scipy.stats.norm.ppf(1 - LEVEL / 2) * error
    inside = estimate - half <= claimed <= estimate + half
    return "cannot tell" if inside else "contradicted", (
        f"one per cent more gives {estimate:.2f} per cent (95% interval {estimate - half:.2f} to {estimate + half:.2f}),"
        " since all variables are in standard deviations of logarithms"
    )


def control_sign(found: Estimates, variable: str, sign: int) -> Judged:
    """A control has the expected sign in the three columns of Table 1."""
    return _controls(found.columns(1), {variable: sign})


def controls_alike(found: Estimates, expected: dict[str, int]) -> Judged:
    """The controls keep their signs in the columns by size and region."""
    return _controls(found.columns(4, 5, 6, 7), expected)


def resilience_by_size(found: Estimates) -> Judged:
    """Resilience itself is positive in large, medium and small cities (Table 4)."""
    cells = [
        column.ours[column.fit.column.resilience]
        for column in found.columns(4) if column.fit.column.resilience in column.ours
    ]
    if len(cells) < 3:
        return "not tested", "some class of cities could not be estimated"
    return signs([cell.coefficient for cell in cells], [cell.pvalue for cell in cells])


def ranking(found: Estimates, outcomes: Sequence[str], order: Sequence[str]) -> Judged:
    """Both channels fall along an order of subsamples, by the differences of neighbours (Holm over all of them)."""
    differences = found.differences
    rows = differences[differences["dependent"].isin(outcomes)] if len(differences) else differences
    values: list[float] = []
    pvalues: list[float] = []
    for first, second in zip(order, order[1:], strict=False):
        for turned, pair in ((1.0, f"{first} - {second}"), (-1.0, f"{second} - {first}")):
            hit = rows[rows["compared"] == pair] if len(rows) else rows
            values += [turned * value for value in hit.get("difference", ())]
            pvalues += list(hit.get("pvalue", ()))
    # two channels and every neighbouring pair of each outcome
    if len(values) < 2 * (len(order) - 1) * len(outcomes):
        return "not tested", "some class of cities could not be estimated"
    tables = rows.loc[rows["compared"].str.contains(order[0]), "table"]
    equal = rows[(rows["compared"] == "all equal") & rows["table"].isin(tables)]
    rejected = int((equal["pvalue"] < LEVEL).sum())
    return signs(values, pvalues, more=f"; equality of all classes is rejected in {rejected} of {len(equal)} groups")


def instruments(found: Estimates) -> Judged:
    """Neither AR(2) nor Hansen rejects more often than chance allows."""
    numbers = [column.statistics for column in found.columns() if "hansen_p" in column.statistics]
    if not numbers:
        return NO_COLUMN
    ar2 = np.array([line["ar2_p"] for line in numbers])
    hansen = np.array([line["hansen_p"] for line in numbers])
    rejected = int((ar2 < LEVEL).sum() + (hansen < LEVEL).sum())
    n_tests = int(np.isfinite(ar2).sum() + np.isfinite(hansen).sum())
    # all true: 5 % of tests reject by chance; more than the 99th percentile of that is too many
    allowed = int(scipy.stats.binom.ppf(0.99, n_tests, LEVEL))
    return "not rejected" if rejected <= allowed else "contradicted", (
        f"{rejected} of {n_tests} tests reject at 5% (up to {allowed} are compatible with chance); smallest AR(2) p"
        f" {np.nanmin(ar2):.3f}, smallest Hansen p {np.nanmin(hansen):.3f}, largest Hansen p {np.nanmax(hansen):.3f}"
        " (a p-value near 1 is a sign of too many instruments, not support)"
    )


def _controls(columns: Sequence, expected: dict[str, int]) -> Judged:
    cells = [
        (sign * column.ours[name].coefficient, column.ours[name].pvalue)
        for column in columns for name, sign in expected.items() if name in column.ours
    ]
    return signs([value for value, _ in cells], [pvalue for _, pvalue in cells])
