"""China Customs partner codes of both vintages, with ISO 3166 alpha-3, kind and the spellings seen.

Carried over from ``chinautils`` (R), which took them from customs' own list; no Python package has them. The codes
341, 342, 345, 346 and 348 are the older numbers of the Central Asian states (now 145 to 149): both are valid and map to
one economy. The year of that change is not documented, so no interval is claimed for it. ISO codes are checked against
``pycountry``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pandas as pd

from schemas.reference.builders.common import read_source
from schemas.reference.partner_keys import partner_key

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
MISSING_WORDS = ("NULL", "NAN", "NA")
"""Words for nothing in the files, though ISO's two letters for Namibia are one of them."""
NO_STATES = ("110", "121", "143")
"""Partners of which 共和国 is never said."""
SHORT_FORMS = {
    "SAINT": ("ST",), "AND": ("&",), "ISLANDS": ("IS", "ISDS"), "ISLAND": ("IS",), "DEMOCRATIC": ("DEM",),
    "PEOPLE'S": ("PEO'S", "PEOPLES"), "REPUBLIC": ("REP",), "FEDERATED": ("FED",), "FEDERATION": ("FED",),
    "UNITED": ("UTD",),
}
STATES = {
    "REPUBLIC": ("REPUBLIC", "REPUBLIC OF", "REP", "REP OF"),
    "DEMOCRATIC REPUBLIC": ("DEM REP", "DEM REP OF", "DEMOCRATIC REPUBLIC", "DEMOCRATIC REPUBLIC OF"),
    "ISLAMIC REPUBLIC": ("ISLAMIC REPUBLIC OF", "ISLAMIC REP OF", "ISLAMIC REP"),
    "UNITED REPUBLIC": ("UNITED REPUBLIC OF", "UNITED REP OF", "UNITED REP"),
    "FEDERATED STATES": ("FEDERATED STATES OF", "FED STATES OF", "FED STATES", "FS"),
}
WITHDRAWN_ISO = {"SCG", "ANT"}
"""Codes of ISO 3166-3 that stay in use for historic partners."""


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
    """Return ``partner_aliases.csv``: codes, names, ISO codes and spellings, each with the one code it means.

    Spellings seen in files come first, then customs' own names, then those of ISO 3166 and of the UN as two packages have
    them, last what customary abbreviation makes of them; a spelling that would mean two codes of one rank is left out.
    """
    rows: dict[str, str] = {code: code for code in partners["code"]}
    for source in _ranks(partners):
        claims: dict[str, set[str]] = {}
        for alias, code in source:
            claims.setdefault(partner_key(alias), set()).add(code)
        for alias, codes in claims.items():
            if len(codes) == 1 and alias and alias not in MISSING_WORDS:
                rows.setdefault(alias, min(codes))
    table = pd.DataFrame(sorted(rows.items()), columns=["alias", "code"])
    if unknown := set(table["code"]) - set(partners["code"]):
        raise ValueError(f"partner spellings: codes that partners.csv lacks: {sorted(unknown)}.")
    return table


def _ranks(partners: pd.DataFrame) -> Iterator[Iterable[tuple[str, str]]]:
    """Spellings with their codes, the surest first."""
    current = partners[partners["kind"] != "superseded"]
    counts = current["iso3"].value_counts()
    economies = {
        row.iso3: row.code
        for row in current.itertuples()
        if row.iso3 and (counts[row.iso3] == 1 or row.kind in ("normal", "self"))
    }
    for name in ("partner_spellings", "partner_names_seen"):
        yield [(row.alias, row.code) for row in read_source(name).itertuples()]
    yield [(name, row.code) for row in current.itertuples() for name in (row.name_zh, row.name_en)]
    yield economies.items()
    published = [(name, economies[iso3]) for iso3, name in _published_names() if iso3 in economies]
    yield published
    spelt = [(row.alias, row.code) for row in read_source("partner_names_seen").itertuples()]
    yield [(short, code) for name, code in (*spelt, *published) for short in abbreviations(name)]
    normal = current[(current["kind"] == "normal") & ~current["code"].isin(NO_STATES)]
    yield [(row.name_zh + "共和国", row.code) for row in normal.itertuples()]


def _published_names() -> Iterator[tuple[str, str]]:
    """ISO 3166 alpha-3 code and a name or code: ISO's by pycountry, ISO's and the UN's by country_converter."""
    import country_converter
    import pycountry

    for country in pycountry.countries:
        fields = ("alpha_2", "name", "official_name", "common_name")
        yield from ((country.alpha_3, getattr(country, field)) for field in fields if hasattr(country, field))
    for row in country_converter.CountryConverter().data.itertuples():
        yield from ((row.ISO3, name) for name in (row.name_short, row.name_official) if isinstance(name, str))


def abbreviations(name: str) -> set[str]:
    """Customary short forms of an English name.

    Examples
    --------
    >>> sorted(abbreviations("Republic of Moldova"))
    ['MOLDOVA REP', 'MOLDOVA REP OF', 'MOLDOVA REPUBLIC', 'MOLDOVA REPUBLIC OF', 'REP OF MOLDOVA']
    >>> sorted(abbreviations("Saint Kitts and Nevis"))
    ['SAINT KITTS & NEVIS', 'ST KITTS & NEVIS', 'ST KITTS AND NEVIS']
    """
    plain = re.sub(r"^THE ", "", re.sub(r",\s*", ", ", name.upper().replace(".", "")))
    forms = {plain}
    for long, shorts in SHORT_FORMS.items():
        forms |= {re.sub(rf"\b{long}\b", short, form) for form in forms for short in shorts}
    for state, endings in STATES.items():
        if plain.startswith(f"{state} OF ") and plain not in ("REPUBLIC OF CONGO", "REPUBLIC OF KOREA"):
            stem = re.sub("^THE ", "", plain.removeprefix(f"{state} OF "))
            forms |= {f"{stem} {ending}" for ending in endings}
            forms |= {f"{ending.removesuffix(' OF')} OF {stem}" for ending in endings}
    return forms - {name.upper()}
