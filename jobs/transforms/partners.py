"""Destinations: customs' name or three-digit code to partner code, ISO 3166 alpha-3 and kind.

Both vintages of codes are known, so Kazakhstan as 341 or 145 is one economy. A destination counts as an economy when it
has an ISO code and is not China itself (142: goods that come back through a bonded zone); unknown, residual and
organisation codes stay as raw codes only. Parts of a state with codes of their own (Canary Islands, Tahiti) count as
the economy they carry in ISO 3166.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.reference.partner_keys import ACCENTED, DECIMALS, MEANINGLESS, PLAIN

NOT_AN_ECONOMY = ("self", "unknown", "residual", "organisation")


@dataclass(frozen=True, slots=True)
class PartnerReference:
    """Spellings and codes of partners.

    Attributes
    ----------
    aliases : DataFrame
        ``alias, partner_code, country_iso3, partner_kind``; one row per spelling, codes among the spellings.
    """

    aliases: DataFrame


def add_partners(frame: DataFrame, reference: PartnerReference) -> DataFrame:
    """Add ``partner_code, country_iso3, partner_kind, is_destination``; null code and kind for a spelling not known.

    Parameters
    ----------
    frame : DataFrame
        ``partner_text``: name or code without spaces, or null.
    reference : PartnerReference
        Spellings.
    """
    aliases = reference.aliases.select(
        F.col("alias").alias("_alias"), "partner_code", "country_iso3", "partner_kind"
    )
    found = frame.withColumn("_spelling", _spelling(F.col("partner_text"))).join(
        F.broadcast(aliases), on=F.col("_spelling") == F.col("_alias"), how="left"
    )
    is_economy = F.col("country_iso3").isNotNull() & ~F.col("partner_kind").isin(*NOT_AN_ECONOMY)
    return found.withColumn("is_destination", F.coalesce(is_economy, F.lit(False))).drop("_spelling", "_alias")


def _spelling(text: Column) -> Column:
    """As :func:`schemas.reference.partner_keys.partner_key`."""
    plain = F.regexp_replace(F.translate(text, ACCENTED, PLAIN), DECIMALS, "$1")
    return F.upper(F.regexp_replace(plain, MEANINGLESS, ""))
