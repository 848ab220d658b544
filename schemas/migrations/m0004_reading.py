"""Format 4: bronze says which member, sheet or table a row came from, and what was mended while its line was read."""

from __future__ import annotations

from schemas.migrations.steps import AddColumns, LeaveTable, Migration

MIGRATION = Migration(
    format=4,
    description="bronze with the part of the file a row came from and the marks of its reading",
    steps=(
        AddColumns("bronze.declaration", (("source_part", "string"), ("reading_marks", "array<string>"))),
        LeaveTable("ref.customs_places", "ref.customs_districts and ref.customs_district_names"),
    ),
)
