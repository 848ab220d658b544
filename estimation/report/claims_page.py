"""Claims as Markdown: what the estimates say of each, and what the paper's own printed errors allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from estimation.tables.claims import STATEMENTS, Claim, paper_channel_tests
from estimation.tables.layout import three_digits
from estimation.tables.printed import PaperColumn

RULE = (
    "A claim is **supported** when every cell it is about has the claimed sign and an adjusted p-value below 5%; it is "
    "**contradicted** when some cell has the opposite sign with an adjusted p-value below 5%; otherwise the data "
    "**cannot tell**, which is no evidence against it. A specification test that does not reject is **not rejected**, which "
    "is no support. A claim whose columns could not be estimated is **not tested**."
)


def claims_markdown(claims: Sequence[Claim]) -> str:
    """Return the judged claims of one study."""
    heads = ["| claim | the paper says | tables | our test | verdict | evidence |", "|---|---|---|---|---|---|"]
    lines = ["# What the estimates say of the paper's claims", "", RULE, "", *heads]
    lines += [
        f"| {one.name} | {one.sentence} | {one.where} | {one.test} | **{one.verdict}** | {one.evidence} |" for one in claims
    ]
    return "\n".join([*lines, ""])


def paper_page(paper: Mapping[tuple[int, int], PaperColumn]) -> str:
    """Return the page on the central claim from the paper's printed numbers alone, computed."""
    frame = paper_channel_tests(paper)
    always = frame[frame["correlation_needed"] <= -1]
    never = frame[frame["correlation_needed"] >= 1]
    between = len(frame) - len(always) - len(never)
    uncorrelated = int((frame["z_uncorrelated"] > 1.959964).sum())
    larger = int((frame["difference"] > 0).sum())
    baseline = never[never["table"] == 1]
    lines = [
        "# The paper's claims, and how they are judged", "",
        "Written by `python -m jobs.commands.claims_page docs/methodology/claims.md`; do not edit. A test says when it is"
        " stale.",
        "",
        "## The rule", "", RULE, "",
        "Adjusted p-values are Romano-Wolf over all columns (joint distribution by city) where a joint covariance exists,",
        "Holm between neighbouring classes, Bonferroni elsewhere. `customs-lake report` judges the claims on the lake's own",
        "data and writes `claims.md` beside the report; this page needs only the paper's printed numbers.", "",
        "## Is the productivity channel larger? What the printed numbers allow", "",
        "The paper compares point values of the two interactions and tests nothing. The test needs the covariance of the two",
        "coefficients, which is not printed; so for each column the correlation above which the difference would be",
        "significant at 5% is computed. Unemployment counts with its sign turned.", "",
        f"- The point value of the productivity channel is larger in {larger} of {len(frame)} columns.",
        f"- If the two estimates were uncorrelated, {uncorrelated} of {len(frame)} differences would be significant.",
        f"- {len(always)} are significant at any correlation: {_listed(always)}.",
        f"- {len(never)} are significant at no correlation, {len(baseline)} of the 3 baseline columns among them.",
        f"- {between} depend on the correlation.", "",
        "| column | resilience | productivity | difference | z if uncorrelated | correlation needed |",
        "|---|---:|---:|---:|---:|---|",
    ]
    lines += [_row(row) for row in frame.itertuples()]
    lines += ["", "## Every claim, what the paper says, and our test", "", "| claim | tables | the paper says | our test |"]
    lines += ["|---|---|---|---|"]
    lines += [f"| {one.name} | {one.where} | {one.sentence} | {one.test} |" for one in STATEMENTS]
    return "\n".join([*lines, ""])


def _row(row: Any) -> str:
    return (
        f"| T{row.table}({row.column}) | {three_digits(row.resilience)} | {three_digits(row.productivity)} | "
        f"{three_digits(row.difference)} | {row.z_uncorrelated:.2f} | {row.reading} |"
    )


def _listed(frame: pd.DataFrame) -> str:
    return ", ".join(f"T{row.table}({row.column})" for row in frame.itertuples()) or "none"
