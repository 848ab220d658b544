"""HS six-digit codes by revision, conversions between neighbouring revisions, and families over 1996-2012.

Carried over from the UN conversion tables as packed in ``concordance`` 2.1.0 for R; no Python package has them. The
tables run backward, one older code for each newer one, so a conversion never multiplies rows, and some older codes
(299 of HS 2002) are reached by no newer one. The UN's correlation tables, which list every pair that shares goods, are not
packed anywhere we know; a user may add them (setting ``count.user_correlations``).
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from schemas.reference.builders.common import read_source

REVISIONS = ("1996", "2002", "2007", "2012", "2017", "2022")
FAMILY_REVISIONS = REVISIONS[:4]
UNSPECIFIED = "999999"
"""The UN's residual for unspecified goods; not a heading of the HS."""
CORRECTIONS = {
    ("140390", "2002"): "0",  # 140300 took its place and that of 140310: 5,224 codes, as the WCO counts
    ("710820", "1996"): "1",  # monetary gold and coin are in the UN's list of HS 1996: 5,132 codes, as UN Comtrade counts
    ("711890", "1996"): "1",
}
"""Code and revision to whether it is valid, where the packed tables err."""


def build_codes() -> pd.DataFrame:
    """Return ``hs6_codes.csv``."""
    codes = read_source("hs6_by_revision")
    codes = codes[codes["hs6_code"] != UNSPECIFIED].copy()
    for (code, revision), is_valid in CORRECTIONS.items():
        codes.loc[codes["hs6_code"] == code, f"in_hs{revision}"] = is_valid
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
    """Return ``hs6_families.csv``: groups of codes that any link connects, over HS 1996 to 2012.

    Links are the conversions, the groups of the source (codes merged into one, from the tables between other revisions), and
    numbers that stay in use while the table converts the newer one to another: their goods went both ways. Codes of 2017 and
    2022 take the family of the code they convert to. A code that never changed is its own family.
    """
    valid = {revision: set(codes.loc[codes[f"in_hs{revision}"] == "1", "hs6_code"]) for revision in REVISIONS}
    groups = _Groups((revision, code) for revision in FAMILY_REVISIONS for code in valid[revision])
    for row in conversions.itertuples():
        groups.link((row.from_revision, row.from_hs6), (row.to_revision, row.to_hs6))
        if row.from_hs6 in valid[row.to_revision]:
            groups.link((row.from_revision, row.from_hs6), (row.to_revision, row.from_hs6))
    for _, rows in read_source("hs6_families_changed").groupby("family"):
        first, *others = zip(rows["revision"].str.removeprefix("HS"), rows["hs6"], strict=True)
        for other in others:
            groups.link(first, other)
    family = groups.names()
    steps = {(row.from_revision, row.from_hs6): (row.to_revision, row.to_hs6) for row in conversions.itertuples()}
    for newer in REVISIONS[len(FAMILY_REVISIONS):]:
        family |= {(newer, c): family[steps[newer, c]] for c in valid[newer] if steps.get((newer, c)) in family}
    rows = sorted((revision, code, name) for (revision, code), name in family.items())
    return pd.DataFrame(rows, columns=["revision", "hs6_code", "family"])[["hs6_code", "revision", "family"]]


class _Groups:
    """Disjoint sets of codes of revisions."""

    def __init__(self, members: Iterable[tuple[str, str]]) -> None:
        self._parents = {member: member for member in members}

    def link(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        """Put two codes in one set; a code of another revision is passed over."""
        if one in self._parents and other in self._parents:
            self._parents[self._root(one)] = self._root(other)

    def _root(self, member: tuple[str, str]) -> tuple[str, str]:
        while self._parents[member] != member:
            self._parents[member] = member = self._parents[self._parents[member]]
        return member

    def names(self) -> dict[tuple[str, str], str]:
        """Member to its set's name: the code itself if it is alone, otherwise that of the oldest and smallest code."""
        sets: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for member in sorted(self._parents):
            sets.setdefault(self._root(member), []).append(member)
        return {
            member: code if len({number for _, number in members}) == 1 else f"F{revision[2:]}_{code}"
            for members in sets.values() for revision, code in [members[0]] for member in members
        }
