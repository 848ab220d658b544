"""HS six-digit codes by revision, conversions between neighbouring revisions, and families over 1996-2012.

Carried over from the UN conversion tables as packed in ``concordance`` 2.1.0 for R; no Python package has them. The
tables run backward, one older code for each newer one, so a conversion never multiplies rows, and some older codes
(about 300 of HS 2002) are reached by no newer one.
"""

from __future__ import annotations

import pandas as pd

from schemas.reference.builders.common import read_source

REVISIONS = ("1996", "2002", "2007", "2012", "2017", "2022")
UNSPECIFIED = "999999"
"""The UN's residual for unspecified goods; not a heading of the HS."""


def build_codes() -> pd.DataFrame:
    """Return ``hs6_codes.csv``."""
    codes = read_source("hs6_by_revision")
    codes = codes[codes["hs6_code"] != UNSPECIFIED]
    flags = [f"in_hs{revision}" for revision in REVISIONS]
    codes = codes[(codes[flags] == "1").any(axis=1)]
    return codes[["hs6_code", *flags]].sort_values("hs6_code").reset_index(drop=True)


def build_conversions(codes: pd.DataFrame) -> pd.DataFrame:
    """Return ``hs6_conversions.csv``: newer to neighbouring older revision, unchanged codes included."""
    changed = read_source("hs6_changed")
    exceptions = {
        (row.from_revision, row.to_revision, row.from_hs6): row.to_hs6 for row in changed.itertuples()
    }
    rows = []
    for older, newer in zip(REVISIONS, REVISIONS[1:], strict=False):
        valid_older = set(codes.loc[codes[f"in_hs{older}"] == "1", "hs6_code"])
        for code in codes.loc[codes[f"in_hs{newer}"] == "1", "hs6_code"]:
            target = exceptions.get((newer, older, code), code)
            if target in valid_older:
                rows.append((newer, older, code, target))
    return pd.DataFrame(rows, columns=["from_revision", "to_revision", "from_hs6", "to_hs6"])


def build_families(codes: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
    """Return ``hs6_families.csv``; a code that never changed is its own family.

    Families link HS 1996 to 2012; codes of 2017 and 2022 take the family of the HS 2012 code they convert to.
    """
    changed = read_source("hs6_families_changed")
    family = {(row.revision.removeprefix("HS"), row.hs6): row.family for row in changed.itertuples()}
    for revision in ("1996", "2002", "2007", "2012"):
        for code in codes.loc[codes[f"in_hs{revision}"] == "1", "hs6_code"]:
            family.setdefault((revision, code), code)
    steps = {(row.from_revision, row.from_hs6): row.to_hs6 for row in conversions.itertuples()}
    for newer, older in (("2017", "2012"), ("2022", "2017")):
        for code in codes.loc[codes[f"in_hs{newer}"] == "1", "hs6_code"]:
            target = steps.get((newer, code))
            if target and (older, target) in family:
                family[(newer, code)] = family[(older, target)]
    rows = [(code, revision, name) for (revision, code), name in family.items()]
    table = pd.DataFrame(rows, columns=["hs6_code", "revision", "family"])
    valid = {(r, c) for r in REVISIONS for c in codes.loc[codes[f"in_hs{r}"] == "1", "hs6_code"]}
    table = table[[key in valid for key in zip(table["revision"], table["hs6_code"], strict=True)]]
    return table.sort_values(["revision", "hs6_code"]).reset_index(drop=True)
