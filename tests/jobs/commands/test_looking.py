"""Commands that look at a lake without Java, from the command line to their end: each is explained, none is a defect."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jobs.commands.main import run_command

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.fixtures.small_lake import write_small_lake  # noqa: E402  (found by the path set above)

NOT_RECORDED = "gold.estimate"


@pytest.mark.parametrize(("words", "codes", "output"), [
    (["describe"], (0,), ""),
    (["compare"], (0, 4, 6), ""),
    (["plan"], (0, 4), ""),
    (["report", "--tables", "1"], (4,), "estimate"),
    (["explain", "table1.col1.lnAgg"], (4,), "estimate"),
    (["handoff", "--study", "s"], (4,), "estimate"),
    (["export", "gold.city_panel"], (0,), "15 rows"),
    (["query", "SELECT count(*) AS n FROM gold.city_exports"], (0,), ""),
])  # fmt: skip
def test_every_command_that_looks_ends_explained(words, codes, output, tmp_path, capsys):
    root = write_small_lake(tmp_path / "lake")
    out = {"export": ["--out", tmp_path / "x.csv"], "report": ["--out", tmp_path / "o"], "handoff": ["--out", tmp_path / "p"]}
    code = run_command([*words, "--lake", str(root), *map(str, out.get(words[0], []))])
    printed = capsys.readouterr()
    assert code in codes, printed
    assert output in printed.out + printed.err and "Traceback" not in printed.err
    assert words[0] != "query" or "15" in printed.out


def test_placed_records_are_printed_for_a_program(tmp_path, capsys):
    root = write_small_lake(tmp_path / "lake")
    assert run_command(["query", "SELECT city_id, year FROM gold.city_exports LIMIT 2", "--lake", str(root), "--json"]) == 0
    assert [set(json.loads(line)) for line in capsys.readouterr().out.splitlines()] == [{"city_id", "year"}] * 2


def test_a_plan_is_there_for_a_program(tmp_path, capsys):
    # a lake that is not there yet
    root = tmp_path / "lake"
    run_command(["plan", "--lake", str(root), "--json"])
    assert json.loads(capsys.readouterr().out) == {"files": {}, "left_out": [], "years": []}
    (tmp_path / "raw" / "customs").mkdir(parents=True)
    (tmp_path / "raw" / "customs" / "data2005.csv").write_text("a,b\n1,2\n")
    headings = "日期,进口或出口,税号编码,企业编码,邮编,消费地或生产地,起运国或目的国,金额,数量"
    lines = [f"200401,出口,8471301{k},32049100{k:02d},213000,江苏省常州,美国,{1000 + k}.5,{k + 1}" for k in range(8)]
    rows = [headings, *lines]
    (tmp_path / "raw" / "customs" / "200401.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run_command(["plan", "--lake", str(root), "--raw", str(tmp_path / "raw"), "--json"])
    plan = json.loads(capsys.readouterr().out)
    assert set(plan["files"]) == {"new", "corrected", "unchanged", "renamed", "withdrawn", "reread"}
    assert plan["files"]["new"] == ["customs/200401.csv"] and plan["years"][0]["bronze"] == "load"
    assert "customs/data2005.csv" in [item["source_file"] for item in plan["left_out"]]


def test_damage_is_there_for_a_program(tmp_path, capsys):
    root = write_small_lake(tmp_path / "lake")
    next((root / "gold" / "city_panel").glob("*.parquet")).unlink()
    assert run_command(["fsck", "--lake", str(root), "--json"]) == 5
    found = json.loads(capsys.readouterr().out)
    assert [item["table"] for item in found["damages"]] == ["gold.city_panel"] and found["findings"] == []
