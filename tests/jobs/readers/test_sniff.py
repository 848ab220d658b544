"""What sniff says of a folder, on the terminal, as JSON and in files; no JVM."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import sniff

ROOT = Path(__file__).resolve().parents[3]
HEADINGS = "日期,进口或出口,税号编码,企业编码,邮编,消费地或生产地,起运国或目的国,金额,备注"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CUSTOMS_LAKE_CACHE", str(tmp_path / "cache"))
    raw = tmp_path / "raw"
    raw.mkdir()
    for month in (1, 2, 4):
        record = f"2004{month:02d},出口,8471301{{0}},320491000{month},213000,江苏省常州,美国,{month}0{{0}}.5,x"
        lines = [record.format(k) for k in range(9)]
        (raw / f"data2004{month:02d}.csv").write_text("\n".join([HEADINGS, *lines]) + "\n", encoding="gb18030")
    (raw / "copy of january 2004.csv").write_bytes((raw / "data200401.csv").read_bytes())
    (raw / "data200503.csv").write_text("a,b,c\n1,2,3\n")
    (raw / "Thumbs.db").write_bytes(b"x")
    return raw


def test_report_names_every_file_and_the_months_that_are_missing(folder, capsys):
    assert sniff.main([str(folder)]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("5 files, ") and "about" in err.splitlines()[0]
    assert all(path.name in out for path in folder.iterdir())
    assert "3 5 6 7 8 9 10 11 12" in out and "3 of 6 would be loaded" in out
    assert "the same 9 records as" in out and "match none of the" in out
    assert sniff.main([str(folder)]) == 0
    assert "5 of them known from before" in capsys.readouterr().err


def test_json_and_files_say_all_of_it(folder, tmp_path, capsys):
    assert sniff.main([str(folder), "--json", "--out", str(tmp_path / "out")]) == 0
    report = json.loads(capsys.readouterr().out)
    files = {item["file"]: item for item in report["files"]}
    first = files["data200402.csv"]
    how = [first[name] for name in ("kind", "encoding", "delimiter", "layout")]
    assert how == ["text", "gb18030", ",", "monthly_chinese"]
    assert (first["n_rows"], first["value_usd"], first["years"]) == (9, "1840.50", {"2004": [2]})
    assert first["columns_not_taken"] == ["备注"] and first["action"] == "load"
    assert {name: item["action"] for name, item in files.items() if item["action"] != "load"} == {
        "copy of january 2004.csv": "duplicate", "data200503.csv": "refused", "Thumbs.db": "useless",
    }
    years = {item["year"]: item for item in report["years"]}
    assert (years[2004]["n_files"], years[2004]["n_rows"], years[2004]["value_usd"]) == (3, 27, "6421.50")
    assert years[2004]["months_missing"] == [3, 5, 6, 7, 8, 9, 10, 11, 12]
    assert years[2005]["waits_for"] == ["data200503.csv"]
    assert json.loads((tmp_path / "out" / "sniff.json").read_text("utf-8")) == report
    with open(tmp_path / "out" / "files.csv", encoding="utf-8-sig", newline="") as stream:
        assert [row["file"] for row in csv.DictReader(stream)] == sorted(files)


def test_years_choose_and_a_folder_without_a_usable_file_ends_with_four(folder, tmp_path, capsys):
    assert sniff.main([str(folder), "--years", "2005"]) == 4
    assert "a year that was not asked for" in capsys.readouterr().out
    assert sniff.main([str(tmp_path / "nowhere")]) == 4
    assert "no such folder" in capsys.readouterr().err
    assert sniff.main([str(folder), "--set", "delivery.max_share_lost=7"]) == 4
    assert "between 0 and 1" in capsys.readouterr().err


def test_layout_is_proposed_for_a_file_and_a_wrong_name_is_refused(folder, capsys):
    renamed = (folder / "data200401.csv").read_text("gb18030").replace("金额", "总值")
    (folder / "data200407.csv").write_text(renamed, encoding="gb18030")
    assert sniff.main([str(folder), "--propose", "data200407.csv"]) == 0
    proposed = capsys.readouterr().out
    assert 'production_place = ["消费地或生产地"]' in proposed and "总值" in proposed
    assert sniff.main(["--propose", str(folder / "data200407.csv")]) == 0
    assert capsys.readouterr().out == proposed
    assert sniff.main([str(folder), "--propose", "nowhere.csv"]) == 4
    assert "nowhere.csv: no such file" in capsys.readouterr().err


def test_no_spark_is_loaded(folder):
    program = (
        "import sys; from jobs import sniff; code = sniff.main([sys.argv[1], '--json']);"
        " sys.exit(9 if 'pyspark' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rows_are_estimated_from_the_first_lines(folder):
    from jobs.kernels.raw_folder import raw_folder
    from jobs.readers.raw_listing import list_delivery
    from jobs.readers.sniffing import estimate_rows

    raw = raw_folder(folder)
    (folder / "data200406.csv").write_text(HEADINGS + "\n" + ("y" * 99 + "\n") * 5_000, encoding="utf-8")
    files, _ = list_delivery(raw)
    estimated = estimate_rows(raw, [item for item in files if item[0] == "data200406.csv"])
    assert estimated == pytest.approx(5_001, rel=0.05)
