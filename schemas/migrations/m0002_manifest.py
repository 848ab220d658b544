"""Format 2: runs say what they read and wrote, builds say what they depended on, receipts say why."""

from __future__ import annotations

from schemas.migrations.steps import AddColumns, Migration

MIGRATION = Migration(
    format=2,
    description="run manifest: versions read and written, rows, seconds; parts of each fingerprint; reason of a receipt",
    steps=(
        AddColumns(
            "ops.run",
            (
                ("versions_read", "map<string,bigint>"),
                ("versions_written", "map<string,bigint>"),
                ("rows_written", "map<string,bigint>"),
                ("run_seconds", "double"),
                ("spark_version", "string"),
                ("application_id", "string"),
            ),
        ),
        AddColumns("ops.build", (("inputs", "map<string,string>"),)),
        AddColumns("ops.file_receipt", (("receipt_reason", "string"),)),
    ),
)
