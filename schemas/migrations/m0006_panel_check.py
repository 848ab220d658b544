"""Format 6: the panel's CHECK constraint in a function of Delta's own library, which writes the panel without Spark."""

from __future__ import annotations

from schemas.migrations.steps import Migration, ReplaceCheck

MIGRATION = Migration(
    format=6,
    description="check of the panel by a function that every writer knows",
    steps=(
        ReplaceCheck(
            "gold.city_panel", "nothing_missing_is_complete", "cardinality(missing_variables) > 0 OR is_complete"
        ),
    ),
)
