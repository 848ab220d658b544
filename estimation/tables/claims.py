"""Every claim of the paper: what it says and where, how it is tested here, and the verdict on the estimates.

The verdicts are computed, never written by hand; `estimation.tables.verdicts` has the rule. The sentences are the paper's
in our words, with the place they stand at. Where its text and its tables differ the table is taken, and the difference is
said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import scipy

from estimation.tables import verdicts
from estimation.tables.printed import PaperColumn, PrintedTable
from estimation.tables.study import StudyPanel
from estimation.tables.verdicts import LEVEL, Estimates, Judged, Verdict

#: Signs the paper expects of its controls (section on variables, text on Table 1).
CONTROL_SIGNS = {"lnphumc": 1, "lnrd": 1, "lnseadis": -1, "lnfdi": 1, "lnroadper": 1, "ETDZ": 1}
CONTROL_NAMES = {
    "lnphumc": "Human capital", "lnrd": "Science spending", "lnseadis": "Distance to the sea", "lnfdi": "Foreign capital",
    "lnroadper": "Roads per head", "ETDZ": "A development zone",
}
BY_COLUMN = "sign and significance of each coefficient, Holm over them"
BY_JOINT = "sign and significance of each coefficient, Romano-Wolf over all columns (joint distribution by city)"
#: The rule behind a verdict, in the words that stand beside it.
BY_ALL_CELLS = (
    "supported if every cell has the claimed sign with an adjusted p below 5%, contradicted if some cell has the opposite"
    " sign with an adjusted p below 5%, otherwise the data cannot tell"
)
BY_INTERVAL = "contradicted if the claimed number lies outside the 95% interval, otherwise the data cannot tell"
BY_CHANCE = (
    "contradicted if more tests reject at 5% than chance gives in 99 of 100 cases, otherwise not rejected, which is no support"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One claim of the paper, before it is judged.

    Attributes
    ----------
    name : str
        The claim in a sentence that can be tested.
    where : str
        Tables it is about.
    sentence : str
        What the paper says, and where.
    test : str
        What is tested here.
    judge : callable
        Estimates to verdict and evidence.
    rule : str
        When the verdict is which.
    """

    name: str
    where: str
    sentence: str
    test: str
    judge: Callable[[Estimates], Judged]
    rule: str = BY_ALL_CELLS


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the paper with what the estimates say.

    Attributes
    ----------
    name, where, sentence, test, rule : str
        As of :class:`Statement`.
    verdict : {'supported', 'contradicted', 'cannot tell', 'not rejected', 'not tested'}
    evidence : str
        The numbers behind the verdict.
    """

    name: str
    verdict: Verdict
    evidence: str
    where: str
    sentence: str
    test: str
    rule: str


STATEMENTS = (
    Statement(
        "The productivity channel is larger than the resilience channel (per standard deviation)", "1-8",
        "Abstract and conclusion: agglomeration raises exports through productivity more than through resilience; the paper"
        " compares the two printed coefficients of each column and tests nothing.",
        "difference of the two interactions with their joint covariance, Romano-Wolf over all columns",
        verdicts.larger_channel,
    ),
    Statement(
        "The productivity channel is larger than the resilience channel (in natural units)", "1-8",
        "As above; the paper does not say in which unit the channels are compared.",
        "the same difference for a change of one in each logarithm, Bonferroni", verdicts.larger_in_natural_units,
    ),
    Statement(
        "Both channels are positive for all three outcomes", "1",
        "Text on Table 1: resilience and productivity both strengthen the effect of agglomeration on exports.", BY_JOINT,
        partial(verdicts.channels_positive, number=1),
    ),
    Statement(
        "Both channels are positive with unemployment as the measure of resilience", "2",
        "Text on Table 2: the result does not depend on the measure of resilience.", BY_JOINT,
        partial(verdicts.channels_positive, number=2),
    ),
    Statement(
        "Both channels are positive with the moving average as the measure of resilience", "3",
        "Text on Table 3: the result does not depend on the measure of resilience.", BY_JOINT,
        partial(verdicts.channels_positive, number=3),
    ),
    Statement(
        "Both channels are positive without the lowest and highest tenth of export value", "8",
        "Text on Table 8: the result is not driven by extreme values.", BY_JOINT,
        partial(verdicts.channels_positive, number=8),
    ),
    Statement(
        "Exports persist: last year's outcome raises this year's", "1-8",
        "Text on Table 1: the first lag of every outcome is significant, so a dynamic panel is needed.", BY_COLUMN,
        verdicts.persistence,
    ),
    Statement(
        "Agglomeration, resilience and productivity each raise exports (main effects, baseline)", "1",
        "Text on Table 1: each of the three raises value, products and destinations.", BY_COLUMN, verdicts.main_effects,
    ),
    Statement(
        "Productivity itself raises exports more than resilience itself", "1-8",
        "Text on Table 1: productivity's coefficient, given as .0395, is called higher than resilience's, given as .0895."
        " The table has them the other way round (lnRes .0395, lnPro .0895): the text swaps the two numbers. In the tables"
        " resilience is the larger one in 14 of 30 columns.",
        "difference of the two main effects in every column, Holm", verdicts.larger_main_effect,
    ),
    Statement(
        "One per cent more agglomeration raises export value by 20 per cent", "1",
        "Text on Table 1: the coefficient .200 is read as an effect of 20 per cent, although all variables are"
        " standardised.",
        "elasticity: coefficient times the sd of lnvalue over that of lnAgg; 20 outside its 95% interval",
        partial(verdicts.per_cent_of_agglomeration, claimed=20.0), BY_INTERVAL,
    ),
    *(
        Statement(
            f"{CONTROL_NAMES[name]} ({name}) {'raises' if sign > 0 else 'lowers'} exports", "1",
            f"Section on variables and text on Table 1: the coefficient of {name} is"
            f" {'positive' if sign > 0 else 'negative'} for all three outcomes.",
            BY_COLUMN, partial(verdicts.control_sign, variable=name, sign=sign),
        )
        for name, sign in CONTROL_SIGNS.items()
    ),
    Statement(
        "The controls act by size and region as they do in the baseline", "4-7",
        "Texts on Tables 4 to 7: the controls agree with the baseline. Printed without a star are, among others, lnphumc in"
        " T6(3) and T7(6), lnrd in T7(6), lnfdi in T4(3) and ETDZ in six columns of these tables.",
        BY_COLUMN, partial(verdicts.controls_alike, expected=CONTROL_SIGNS),
    ),
    Statement(
        "Resilience raises export value in large, medium and small cities", "4",
        "Text on Table 4: resilience is significant in all three. The table prints small cities without a star"
        " (.0228, error .0216).",
        BY_COLUMN, verdicts.resilience_by_size,
    ),
    Statement(
        "Both channels grow with city size for value and destinations: large above medium above small", "4, 5",
        "Texts on Tables 4 and 5: for export value and destinations large cities come first, then medium, then small ones.",
        "differences between neighbouring classes by stacked estimation, Holm",
        partial(verdicts.ranking, outcomes=("lnvalue", "lnnumcou"), order=("large", "medium", "small")),
    ),
    Statement(
        "For products both channels are strongest in medium cities, then large, then small", "5",
        "Text on Table 5: for products medium cities come first, then large, then small ones.",
        "differences between neighbouring classes by stacked estimation, Holm",
        partial(verdicts.ranking, outcomes=("lnnum",), order=("medium", "large", "small")),
    ),
    Statement(
        "Both channels are strongest in the centre, then the east, then the west", "6, 7",
        "Texts on Tables 6 and 7, conclusion (4). In the table the resilience channel of products is larger in the east"
        " (.159) than in the centre (.0984).",
        "differences between neighbouring regions by stacked estimation, Holm",
        partial(verdicts.ranking, outcomes=("lnvalue", "lnnum", "lnnumcou"), order=("central", "east", "west")),
    ),
    Statement(
        "The instruments are not rejected: no AR(2), Hansen above 5%", "1-8",
        "Below every table: AR(2) and Hansen do not reject, so the instruments are called valid.",
        "number of rejections against what chance gives; a test that does not reject is no proof", verdicts.instruments,
        BY_CHANCE,
    ),
)


def judge_claims(tables: Sequence[PrintedTable], panel: StudyPanel) -> tuple[Claim, ...]:
    """Judge every claim on the tables of one profile."""
    found = Estimates(tables, panel)
    judged = []
    for one in STATEMENTS:
        verdict, evidence = one.judge(found)
        judged.append(Claim(one.name, verdict, evidence, one.where, one.sentence, one.test, one.rule))
    return tuple(judged)


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
