"""Canonical codes over all vintages: trade regime, ownership, intermediary by name, HS section, region of the partner.

Records write a regime as two digits (14), three (014), four (0615: the last two are the statistical code) or in words, and
an ownership as a digit or in words. The patterns are of what Java, Rust and Python all understand.

References
----------
.. [1] General Administration of Customs, tables of trade modes and of enterprise types (code, name).
.. [2] Ahn, Khandelwal and Wei (2011), "The Role of Intermediaries in Facilitating Trade", JIE 84: words in a firm's name.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

#: Regime codes 14 (processing with supplied materials) and 15 (with imported materials), and their names.
PROCESSING = "^0?1[45]$|^[0-9]{2}1[45]$|^加工贸易$|来料加工|进料加工|來料加工|進料加工|(?i)process"
ORDINARY = "^0?10$|^[0-9]{2}10$|一般贸易|一般貿易|(?i)ordinary"
REGIMES = ("ordinary", "processing", "other")
# by the text of the record; customs' list of enterprise types: 1 state, 2-4 foreign, 5 collective, 6 private, 7 individual
OWNERSHIP_PATTERNS = {
    "foreign": "^[234]$|外商|合资|合作|外资|独资|(?i)foreign|joint",
    "state": "^1$|国有|国企|(?i)state",
    "collective": "^5$|集体|(?i)collective",
    "private": "^[67]$|私营|民营|个体|(?i)private",
}
OWNERSHIPS = (*OWNERSHIP_PATTERNS, "other")
#: Member of what cannot be read.
UNKNOWN = "unknown"
#: Words that make a trading company of a name, by who published the rule; Lu's are Ahn's and further ones.
INTERMEDIARY_WORDS: dict[str, tuple[str, ...]] = {
    "ahn": ("进出口", "经贸", "贸易", "科贸", "外经"),
    "lu": (
        "进出口", "经贸", "贸易", "外贸", "外经", "工贸", "科贸", "商贸", "边贸", "技贸", "进口", "出口", "物流", "仓储",
        "采购", "供应链", "货运",
    ),
    "crowley": ("商贸", "物流", "仓储", "经贸", "科贸", "仓库"),
}
INTERMEDIARY_RULES = tuple(INTERMEDIARY_WORDS)
#: First chapters of the 21 sections of the Harmonized System.
SECTION_STARTS = (1, 6, 15, 16, 25, 28, 39, 41, 44, 47, 50, 64, 68, 71, 72, 84, 86, 90, 93, 94, 97)
ROMAN = (
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI", "XVII", "XVIII",
    "XIX", "XX", "XXI",
)
#: First digit of a customs partner code to the region it stands for.
REGIONS = {
    "1": "asia", "2": "africa", "3": "europe", "4": "latin_america", "5": "north_america", "6": "oceania", "7": "other",
}
#: Member of what is no destination economy: China itself, and partners that are not known.
NO_DESTINATION = "no_destination"


def section_of(chapter: str) -> str:
    """Section of a two-digit HS chapter in Roman numerals; empty for what is no chapter."""
    if not (chapter.isdigit() and 1 <= int(chapter) <= 97):
        return ""
    return ROMAN[sum(int(chapter) >= start for start in SECTION_STARTS) - 1]


def canonical_regimes(texts: pl.Series) -> pl.Series:
    """Regime of each text, one of :data:`REGIMES` or :data:`UNKNOWN`; each distinct text is read once."""
    text = pl.col("text").str.strip_chars()
    regime = (
        pl.when(text.fill_null("") == "").then(pl.lit(UNKNOWN))
        .when(text.str.contains(PROCESSING)).then(pl.lit("processing"))
        .when(text.str.contains(ORDINARY)).then(pl.lit("ordinary")).otherwise(pl.lit("other"))
    )
    return _of_distinct(texts.alias("text").to_frame(), regime)


def canonical_ownerships(texts: pl.Series, firm_ids: pl.Series) -> pl.Series:
    """Ownership of each record, one of :data:`OWNERSHIPS` or :data:`UNKNOWN`.

    By its text; where there is none by the sixth digit of the firm's ten-digit customs code, which is the same list.
    """
    digit = firm_ids.str.extract("^[0-9]{5}([0-9])[0-9]{4}$")
    text = pl.when(pl.col("text").str.strip_chars().fill_null("") == "").then("digit").otherwise("text")
    chosen = [pl.when(text.fill_null("") == "").then(pl.lit(UNKNOWN))]
    chosen += [
        pl.when(text.str.strip_chars().str.contains(pattern)).then(pl.lit(name))
        for name, pattern in OWNERSHIP_PATTERNS.items()
    ]
    return _of_distinct(pl.DataFrame({"text": texts, "digit": digit}), pl.coalesce(*chosen, pl.lit("other")))


def regions_of(partners: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """ISO code of an economy to its region, from customs' code to (ISO code, kind): the present list's code decides.

    The codes 341 to 348 were Central Asia's before it got codes of Asia: those are superseded, and not what counts.
    """
    regions: dict[str, str] = {}
    for is_present in (False, True):
        for code, (iso3, kind) in sorted(partners.items()):
            if iso3 and (kind in ("normal", "territory")) == is_present:
                regions[iso3] = REGIONS.get(code[:1], "other")
    return regions


def _of_distinct(frame: pl.DataFrame, value: pl.Expr) -> pl.Series:
    distinct = frame.unique().with_columns(value.alias("_value"))
    return frame.join(distinct, on=frame.columns, how="left", nulls_equal=True, maintain_order="left").get_column("_value")
