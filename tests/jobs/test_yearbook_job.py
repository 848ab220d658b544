"""The yearbook job on a lake: sheets in, two tables out, nothing done twice."""

from __future__ import annotations

import pandas as pd
import pytest

from jobs import yearbook
from jobs.core.errors import InputRefusedError
from jobs.core.lake import Lake
from jobs.runtime.context import JobContext
from jobs.world.yearbook_sheets import write_yearbook
from schemas import yearbook as tables

CITIES = {"110000": "北京市", "130200": "唐山市", "540100": "拉萨市"}


def sheets(folder, years=(2007, 2008, 2009)):
    rows = [
        (code, name, year, indicator, "districts", 50.0 + i if not (code == "540100" and year == 2008) else 0.5)
        for i, (code, name) in enumerate(CITIES.items())
        for year in years
        for indicator in ("nonagri_population", "road_area")
    ]
    columns = ["city_id", "city_name", "year", "indicator", "area", "value"]
    write_yearbook(pd.DataFrame(rows, columns=columns), folder)


@pytest.mark.lake
def test_sheets_become_tables_once(spark, settings, tmp_path):
    raw = tmp_path / "raw"
    sheets(raw / "yearbook")
    (raw / "yearbook" / "etdz.csv").write_text("city_id,year,ETDZ\n110000,2007,1\n", encoding="utf-8")
    context = JobContext(spark, Lake.open(spark, str(tmp_path / "lake"), create=True), settings, "run-1", raw=raw)
    outcome = yearbook.run(context)
    assert outcome.changed
    values = context.lake.read(tables.YEARBOOK)
    tables.YEARBOOK.assert_key(values)
    assert {(row["city_id"], row["year"]) for row in values.collect()} == {
        (code, year) for code in CITIES for year in (2007, 2008, 2009)
    } - {("540100", 2008)}
    refused = context.lake.read(tables.YEARBOOK_QUARANTINE).collect()
    assert {(row["primary_reason"], row["city_id"], row["year"]) for row in refused} == {("typing_error", "540100", 2008)}
    tables.YEARBOOK_QUARANTINE.assert_key(context.lake.read(tables.YEARBOOK_QUARANTINE))
    assert not yearbook.run(context).changed
    (raw / "yearbook" / "corrections.csv").write_text(
        "city_id,year,indicator,area,value,unit,source\n540100,2008,road_area,districts,52,万平方米,bureau\n", encoding="utf-8"
    )
    (raw / "yearbook" / "2010.xlsx").unlink()
    (raw / "yearbook" / "2010" / "2-22.csv").unlink()
    assert "1 corrected" in yearbook.run(context).message
    assert context.lake.read(tables.YEARBOOK).where("year = 2009").count() == 0
    assert not yearbook.run(context).changed


def test_folder_without_sheets_is_refused(settings, tmp_path):
    context = JobContext(None, None, settings, "run", raw=tmp_path)
    with pytest.raises(InputRefusedError, match="expected the sheets of the city yearbook"):
        yearbook.run(context)
