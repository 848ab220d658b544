"""Format 3: receipts say what a file's records sum up to and how it is read."""

from __future__ import annotations

from schemas.migrations.steps import AddColumns, ExtendKey, Migration

MIGRATION = Migration(
    format=3,
    description="receipts with the content of a file by month and the tables in it",
    steps=(
        AddColumns("ops.file_receipt", (("parts", "string"), ("content", "string"), ("has_postcodes", "boolean"))),
        # a file of several years has a receipt for each
        ExtendKey("ops.file_receipt", ("source_file", "file_sha256", "source_year", "received_at")),
    ),
)
