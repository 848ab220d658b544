"""China Customs partner codes of both vintages, with ISO 3166 alpha-3, kind and the spellings seen.

Carried over from ``chinautils`` (R), which took them from customs' own list; no Python package has them. The codes
341, 342, 345, 346 and 348 are the older numbers of the Central Asian states (now 145 to 149): both are valid and map to
one economy. The year of that change is not documented, so no interval is claimed for it. ISO codes are checked against
``pycountry``.
"""

from __future__ import annotations

import re
import unicodedata

import pandas as pd

from schemas.reference.builders.common import read_source

KINDS = {
    "normal": "normal",
    "entrepot": "normal",
    "china_reimport": "self",
    "sub_territory": "territory",
    "historic": "historic",
    "residual": "residual",
    "unknown": "unknown",
    "int_org": "organisation",
    "neutral_packaging": "unknown",
}
INTERVALS = {
    "260": ("2011", ""),
    "349": ("", "2007"),
    "358": ("2006", ""),
    "359": ("2006", ""),
    "449": ("", "2011"),
    "409": ("2010", ""),
    "417": ("2010", ""),
    "436": ("2010", ""),
    "999": ("", "2008"),
}
"""Years in which an economy or code began or ended, inclusive and exclusive; informative, not enforced."""
WITHDRAWN_ISO = {"SCG", "ANT"}
"""Codes of ISO 3166-3 that stay in use for historic partners."""


def normalise_alias(text: str) -> str:
    """Return the spelling the resolver compares: NFKC, no whitespace, upper case.

    Examples
    --------
    >>> normalise_alias("波斯尼亚　黑塞哥维那"), normalise_alias("刚果（布）")
    ('波斯尼亚黑塞哥维那', '刚果(布)')
    """
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).upper()


def build_partners() -> pd.DataFrame:
    """Return ``partners.csv``.

    Raises
    ------
    ValueError
        If an ISO code is unknown to pycountry.
    """
    import pycountry

    table = read_source("partner_codes")
    unknown = [c for c in table["iso3"] if c and c not in WITHDRAWN_ISO and pycountry.countries.get(alpha_3=c) is None]
    if unknown:
        raise ValueError(f"partner_codes: ISO 3166 alpha-3 codes unknown to pycountry: {unknown}.")
    table["kind"] = [
        "superseded" if kind.startswith("superseded") else KINDS[kind] for kind in table["kind"]
    ]
    table["valid_from"] = [INTERVALS.get(code, ("", ""))[0] for code in table["code"]]
    table["valid_to"] = [INTERVALS.get(code, ("", ""))[1] for code in table["code"]]
    return table[["code", "name_zh", "name_en", "iso3", "kind", "valid_from", "valid_to"]].sort_values("code")


def build_partner_aliases(partners: pd.DataFrame) -> pd.DataFrame:
    """Return ``partner_aliases.csv``: names, ISO codes and spellings seen, one code each."""
    current = partners[partners["kind"] != "superseded"]
    rows = {code: code for code in partners["code"]}
    for row in current.itertuples():
        for alias in (row.name_zh, row.name_en):
            rows.setdefault(normalise_alias(alias), row.code)
    counts = current["iso3"].value_counts()
    for row in current.itertuples():
        if row.iso3 and (counts[row.iso3] == 1 or row.kind in ("normal", "self")):
            rows.setdefault(row.iso3, row.code)
    for row in read_source("partner_spellings").itertuples():
        rows[normalise_alias(row.alias)] = row.code
    table = pd.DataFrame(sorted(rows.items()), columns=["alias", "code"])
    if unknown := set(table["code"]) - set(partners["code"]):
        raise ValueError(f"partner_spellings: codes that partners.csv lacks: {sorted(unknown)}.")
    return table
