"""Text as it was typed, for frames; what space, full width and nothing are is settled in jobs/kernels/plain_text.py."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.kernels.plain_text import FULL_WIDTH, HALF_WIDTH, MISSING_WORDS, SPACES


def clean_text(column: Column) -> Column:
    """Text without spaces, half-width digits, null when it says nothing."""
    text = F.translate(F.regexp_replace(column, SPACES, ""), FULL_WIDTH, HALF_WIDTH)
    return F.when(~F.upper(text).isin(*MISSING_WORDS), text)
