"""What a record borrows: the postcode of its firm in the files that carry one."""

from __future__ import annotations

import pytest

from jobs.cleaning.judging import firm_postcodes
from schemas.bronze import DECLARATION

pytestmark = pytest.mark.spark


def test_firm_has_the_postcode_of_most_of_its_readable_records_however_spelt(spark):
    seen = [
        ("3204940001", "213000", None), (" 3204940001", "213000.0", None), ("3204 940001", " 213000", None),
        ("3204940001", "200120", None), ("3204940001", "200120", None), ("3204940001", "21", None),
        ("3204940001", None, None), *[("3204940001", "200120", "broken")] * 4, ("3204940002", "312000", None),
        (None, "310000", None),
        # as often: the later year decides
        ("3204940003", "213000", None), ("3204940003", "310000", 2006),
    ]
    lines = []
    for number, (firm, postcode, broken) in enumerate(seen):
        year, broken = (broken, None) if isinstance(broken, int) else (2005, broken)
        values = {
            "source_year": year, "firm_id": firm, "postcode": postcode, "malformed_row": broken, "layout": "x",
            "source_file": "x", "source_row": number, "load_id": "0", "file_sha256": "0",
        }
        lines.append(tuple(values.get(field.name) for field in DECLARATION.fields))
    rows = spark.createDataFrame(lines, DECLARATION.ddl(), verifySchema=False)
    found = {tuple(row) for row in firm_postcodes(rows).collect()}
    assert found == {("3204940001", "213000"), ("3204940002", "312000"), ("3204940003", "310000")}
