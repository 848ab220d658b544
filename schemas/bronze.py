"""Bronze: records as delivered, every column a string, with the file and row they came from."""

from __future__ import annotations

from schemas.fields import RAW_COLUMNS, fields
from schemas.table import Table

DECLARATION = Table(
    name="bronze.declaration",
    made_by=("ingest",),
    made_from=("ops.file_receipt",),
    fields=fields(
        "source_year!", "source_month", *RAW_COLUMNS, "extra", "malformed_row", "layout!", "source_file!",
        "file_sha256!", "source_row!", "load_id!", "loaded_at!", "source_part", "reading_marks",
    ),
    key=("file_sha256", "source_row"),
    partition_by=("source_year",),
    description="One row per data line of a delivered customs file, exports and imports, nothing repaired.",
    caveats=(
        "Holds telephone, fax, e-mail and contact person only where privacy.personal_columns says keep; by default no step"
        " keeps them. No other table has them.",
        "Erased records are empty rows: file, row number and count stay, so that every balance holds.",
        "Rows of a superseded file stay; silver reads only the files in force.",
    ),
    append_only=True,
    # long free text: statistics only where a reader searches, they doubled the time of a write
    properties={"delta.dataSkippingStatsColumns": "file_sha256,load_id"},
)
TABLES = (DECLARATION,)
