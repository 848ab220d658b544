"""Two moments of a lake: what changed, by how much, and which file, rule or setting made it."""

from __future__ import annotations

import datetime as dt
import json
import shutil

import pandas as pd
import pytest

from jobs.commands.main import run_command
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED, InputRefusedError, LakeError
from jobs.core.reading import LakeReader
from jobs.study.change_causes import cause_of, causes_between
from jobs.study.change_text import render
from jobs.study.changes import changes_between
from jobs.study.moments import moment_of
from tests.fixtures.lakes import MOMENT, write_table

CITY, YEAR = "320100", 2004
OLD, NEW = "a" * 64, "b" * 64


def _rows(root, name):
    return pd.DataFrame(LakeReader.look(str(root))[name].to_arrow().to_pylist())


def _record(sha, row, value, city=CITY):
    return {"year": YEAR, "city_id": city, "file_sha256": sha, "source_row": row, "value_usd": value}


def _receipt(name, sha, moment, year=YEAR, status="received", lines=2):
    return {
        "source_file": name, "file_sha256": sha, "bytes": 1, "layout": "l", "encoding": "utf-8", "delimiter": ",",
        "headings": [], "source_year": year, "n_lines": lines, "receipt_status": status, "received_at": moment, "run_id": "r1",
    }


def _build(table, moment, **inputs):
    return {
        "table_name": table, "year": YEAR, "fingerprint": str(inputs), "table_version": 0, "n_rows": 1, "built_at": moment,
        "run_id": "r", "inputs": list(inputs.items()),
    }


def _run(run_id, moment, settings, config):
    return {
        "run_id": run_id, "job": "clean", "arguments": json.dumps({"raw": None, "settings": settings}), "code_version": "1",
        "config_sha256": config, "started_at": moment, "ended_at": moment, "run_status": "done", "message": "",
        "run_seconds": 1.0, "versions_read": [], "versions_written": [], "rows_written": [],
    }


@pytest.fixture
def changed_lake(study_lake):
    """A second file came and a rule refused one record of the first; one city-year and one coefficient follow."""
    root, later = study_lake, MOMENT + dt.timedelta(days=1)
    write_table(root, "silver.declaration", [_record(OLD, 1, 100), _record(OLD, 2, 50), _record(OLD, 3, 7, "110000")])
    write_table(root, "silver.quarantine", [{"year": YEAR, "primary_reason": "import", "reasons": ["import"],
                                             "file_sha256": OLD, "source_row": 9}])
    write_table(root, "ops.file_receipt", [_receipt("customs/a.csv", OLD, MOMENT, lines=4)])
    write_table(root, "ops.build", [_build("silver.declaration", MOMENT, files="f1", rules="r1")])
    write_table(root, "ops.run", [_run("20260102T030405-aaaaaa", MOMENT, {}, "c1")])
    before = dt.datetime.now(dt.UTC)
    write_table(root, "silver.declaration", [_record(OLD, 1, 100), _record(NEW, 1, 400), _record(OLD, 3, 7, "110000")])
    write_table(root, "silver.quarantine", [
        {"year": YEAR, "primary_reason": reason, "reasons": [reason], "file_sha256": OLD, "source_row": row}
        for reason, row in (("import", 9), ("value_too_small", 2))
    ])
    write_table(root, "ops.file_receipt", [
        _receipt("customs/a.csv", OLD, MOMENT, lines=4), _receipt("customs/b.csv", NEW, later, lines=1),
    ])
    write_table(root, "ops.build", [
        _build("silver.declaration", MOMENT, files="f1", rules="r1"),
        _build("silver.declaration", later, files="f2", rules="r2"),
    ])
    exports = _rows(root, "gold.city_exports")
    mine = (exports["city_id"] == CITY) & (exports["year"] == YEAR)
    exports.loc[mine, "value_usd"] += 350
    exports.loc[mine, "n_products"] += 1
    write_table(root, "gold.city_exports", exports[~((exports["city_id"] == "110000") & (exports["year"] == 2011))])
    panel = _rows(root, "gold.city_panel")
    panel.loc[(panel["city_id"] == CITY) & (panel["year"] == YEAR), "lnvalue"] += 0.25
    write_table(root, "gold.city_panel", panel)
    estimates = _rows(root, "gold.estimate")
    hit = (estimates["result_table"] == "table1") & (estimates["result_column"] == "col1") & (estimates["term"] == "lnAgg")
    estimates.loc[hit & (estimates["result_statistic"] == "coefficient"), "estimate"] += 0.01
    estimates["panel_version"] = 1
    estimates.loc[estimates["result_table"] == "table4", "spec_sha256"] = "another"
    write_table(root, "gold.estimate", estimates[estimates["result_column"] != "col3"])
    write_table(root, "ops.run", [
        _run("20260102T030405-aaaaaa", MOMENT, {}, "c1"),
        _run("20260103T030405-bbbbbb", later, {"count.products": "family"}, "c2"),
    ])
    return root, before.isoformat()


def test_what_changed_and_by_how_much(changed_lake):
    root, before = changed_lake
    first, second = moment_of(before, str(root)), moment_of("now", str(root))
    found = changes_between(first, second)
    row = found.city_years.set_index(["city_id", "year"]).loc[(CITY, YEAR)]
    assert row["what"] == "changed" and row["value_usd_change"] == 350 and row["n_products_change"] == 1
    assert found.city_years.set_index(["city_id", "year"]).loc[("110000", 2011), "what"] == "gone"
    assert len(found.city_years) == 2
    cell = found.variables.iloc[0]
    assert len(found.variables) == 1 and (cell["variable"], round(cell["change"], 9)) == ("lnvalue", 0.25)
    changed = found.estimates[found.estimates["what"] == "changed"]
    assert len(changed) == 1 and changed["change"].iloc[0] == pytest.approx(0.01)
    assert changed["in_errors"].iloc[0] == pytest.approx(0.01 / changed["std_error_before"].iloc[0])
    assert set(found.estimates["result_column"]) == {"col1", "col3"}


def test_which_file_rule_and_setting_made_it(changed_lake):
    root, before = changed_lake
    first, second = moment_of(before, str(root)), moment_of("now", str(root))
    found = changes_between(first, second)
    causes = causes_between(first, second, found)
    assert causes.files.to_dict("records") == [
        {"source_file": "customs/b.csv", "what": "added", "years": [YEAR], "lines_before": 0, "lines_after": 1}
    ]
    row = next(one for one in found.city_years.to_dict("records") if one["city_id"] == CITY)
    words = cause_of(row, causes)
    assert "customs/b.csv (added): +1 records, US$ +400" in words
    assert "customs/a.csv (value_too_small refuses +1, cleaning rules): -1 records, US$ -50" in words
    assert "estimates, version of the panel: 0 -> 1" in causes.origins
    assert "estimates, another specification: table4 (defensible)" in causes.origins
    assert causes.parts == {YEAR: {"silver.declaration": ["delivered files", "cleaning rules"]}}
    refused = causes.refused.to_dict("records")
    assert [(one["reason"], one["before"], one["after"]) for one in refused] == [("value_too_small", 0, 1)]


def test_settings_are_those_that_runs_recorded(changed_lake):
    root, _ = changed_lake
    # the moments of these runs lie before the lake's commits: their settings alone are compared
    first, second = moment_of("now", str(root)), moment_of("now", str(root))
    object.__setattr__(first, "limit_ms", int(MOMENT.timestamp() * 1000))
    causes = causes_between(first, second, changes_between(first, second))
    assert causes.settings.to_dict("records") == [{"setting": "count.products", "before": "default", "after": "family"}]


def test_the_command_prints_it_and_writes_json_without_java(changed_lake, capsys):
    root, before = changed_lake
    words = ["compare", "--lake", str(root), "--between", before, "now"]
    assert run_command(words) == EXIT_DONE
    text = capsys.readouterr().out
    assert "2 city-years differ (1 gone, 1 changed), US$ -650 in all; 1 values of the panel" in text
    assert f"320100 {CITY} 2004 changed: US$ 1,000 -> 1,350, products 5 -> 6" in text
    assert "table1.col1.lnAgg (defensible)" in text and "customs/b.csv added: 0 -> 1 lines of 2004" in text
    assert run_command([*words, "--json"]) == EXIT_DONE
    content = json.loads(capsys.readouterr().out)
    assert "columns gone: table1.col3 (defensible), table4.col3 (defensible)" in text
    assert content["city_years"][0]["cause"] and content["causes"]["files"][0]["source_file"] == "customs/b.csv"
    assert content["to"]["versions"]["gold.city_panel"] == 1 and content["from"]["versions"]["gold.city_panel"] == 0
    assert run_command([*words[:4], "1", "1"]) == EXIT_DONE
    assert "Nothing differs" in capsys.readouterr().out


def test_two_lakes_and_versions_of_the_panel(changed_lake, study_lake, tmp_path):
    root, before = changed_lake
    other = shutil.copytree(root, tmp_path / "other")
    first = moment_of(f"{root}@{before}", str(other))
    assert first.lake.root == str(root) and first.versions["gold.city_panel"] == 0
    assert changes_between(moment_of("now", str(root)), moment_of(str(other), str(root))).is_empty
    assert not changes_between(first, moment_of(str(other), str(root))).is_empty
    assert moment_of("0", str(root)).versions["gold.city_panel"] == 0


@pytest.mark.parametrize(("text", "words"), [
    ("yesterday", "expected now, a moment such as"), ("77", "has versions 0 to 1"),
    ("20200101T000000-abcdef", r"not in the run manifest .*20260103T030405-bbbbbb"), ("2001-01-01", "nothing was there yet"),
])
def test_a_moment_that_is_none_is_refused_with_what_there_is(changed_lake, text, words):
    with pytest.raises((InputRefusedError, LakeError), match=words):
        moment_of(text, str(changed_lake[0]))


def test_files_that_were_vacuumed_are_said_so(changed_lake, capsys):
    root, before = changed_lake
    first = LakeReader.look(str(root)).delta_table(LakeReader.look(str(root))["gold.city_exports"].table, 0)
    for name in first.file_uris():
        (root / "gold" / "city_exports" / name.rpartition("/")[2]).unlink()
    assert run_command(["compare", "--lake", str(root), "--between", before, "now"]) == EXIT_REFUSED
    assert "vacuumed" in capsys.readouterr().err


def test_cells_of_the_yearbook_and_tables_written_between_are_named(study_lake):
    cell = {"city_id": CITY, "year": YEAR, "indicator": "gdp", "area": "districts", "indicator_unit": "10,000 yuan",
            "unit_printed": "x", "city_printed": "x", "edition": 2005, "is_corrected": False}
    write_table(study_lake, "silver.yearbook", [cell | {"indicator_value": 12.5, "source_cell": "2005.xls!1!C7"}])
    before = dt.datetime.now(dt.UTC).isoformat()
    write_table(study_lake, "silver.yearbook", [cell | {"indicator_value": 13.5, "source_cell": "2005.xls!1!C7"}])
    first, second = moment_of(before, str(study_lake)), moment_of("now", str(study_lake))
    changes = changes_between(first, second)
    causes = causes_between(first, second, changes)
    text = render(first, second, changes, causes)
    assert "2005.xls!1!C7 (320100 2004 gdp): 12.5 -> 13.5" in text
    assert "silver.yearbook: version 0 -> 1" in text and "gold.city_panel" not in text.partition("Tables written")[2]
