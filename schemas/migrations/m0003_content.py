"""Format 3: receipts say what a file's records sum up to and how it is read."""

from __future__ import annotations

from schemas.migrations.steps import AddColumns, Migration

MIGRATION = Migration(
    format=3,
    description="receipts with the content of a file by month and the tables in it",
    steps=(
        AddColumns("ops.file_receipt", (("parts", "string"), ("content", "string"), ("has_postcodes", "boolean"))),
    ),
)
