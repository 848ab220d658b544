"""Spelling of a production place as the look-ups know it: ``schemas.reference.place_keys`` for a column of records."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.reference.place_keys import (
    ENDINGS_PATTERN,
    HIGH_TECH,
    HIGH_TECH_PATTERN,
    MEANINGLESS,
    NAME_AFTER_CODE,
    NEEDLESS,
    PLAIN,
    WIDE,
)


def place_key_column(text: Column) -> Column:
    """Upper case, half width, letters and digits only, one word for each sort of zone; a code without its name."""
    key = F.translate(F.upper(text), WIDE, PLAIN)
    for pattern, word in ((NAME_AFTER_CODE, ""), (MEANINGLESS, ""), (HIGH_TECH_PATTERN, HIGH_TECH), (NEEDLESS, "")):
        key = F.regexp_replace(key, pattern, word)
    return key


def without_ending_column(key: Column) -> Column:
    """As :func:`schemas.reference.place_keys.without_ending`."""
    return F.regexp_replace(key, ENDINGS_PATTERN, "")
