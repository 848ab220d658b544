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


@pytest.mark.parametrize(("words", "codes", "said"), [
    (["describe"], (0,), ""),
    (["compare"], (0, 4, 6), ""),
    (["plan"], (0, 4), ""),
    (["report", "--tables", "1"], (4,), "estimate"),
    (["explain", "table1.col1.lnAgg"], (4,), "estimate"),
    (["handoff", "--study", "s"], (4,), "estimate"),
    (["export", "gold.city_panel"], (0,), "15 rows"),
    (["query", "SELECT count(*) AS n FROM gold.city_exports"], (0,), ""),
])  # fmt: skip
def test_every_command_that_looks_ends_explained(words, codes, said, tmp_path, capsys):
    root = write_small_lake(tmp_path / "lake")
    out = {"export": ["--out", tmp_path / "x.csv"], "report": ["--out", tmp_path / "o"], "handoff": ["--out", tmp_path / "p"]}
    code = run_command([*words, "--lake", str(root), *map(str, out.get(words[0], []))])
    printed = capsys.readouterr()
    assert code in codes, printed
    assert said in printed.out + printed.err and "Traceback" not in printed.err
    assert words[0] != "query" or "15" in printed.out


def test_placed_records_are_printed_for_a_program(tmp_path, capsys):
    root = write_small_lake(tmp_path / "lake")
    assert run_command(["query", "SELECT city_id, year FROM gold.city_exports LIMIT 2", "--lake", str(root), "--json"]) == 0
    assert [set(json.loads(line)) for line in capsys.readouterr().out.splitlines()] == [{"city_id", "year"}] * 2
