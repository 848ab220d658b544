"""Format 5: CHECK constraints that other writers of Delta tables can enforce, too: no regular expressions, no arrays."""

from __future__ import annotations

from schemas.migrations.steps import Migration, ReplaceCheck

MIGRATION = Migration(
    format=5,
    description="checks of silver by lengths and comparisons, which all writers of Delta tables understand",
    steps=(
        ReplaceCheck("silver.declaration", "hs6_code_digits", "length(hs6_code) = 6"),
        ReplaceCheck("silver.declaration", "hs8_code_digits", "length(hs8_code) = 8"),
        ReplaceCheck("silver.quarantine", "has_a_reason", "primary_reason <> ''"),
        ReplaceCheck("silver.firm_quarantine", "has_a_reason", "primary_reason <> ''"),
    ),
)
