"""CONTRIBUTING's diffs are applied to a copy of the tree; the product in the copy must know each new thing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("conf", "schemas", "estimation", "jobs", "docs")
# a section of CONTRIBUTING, and what is asked of the changed copy
QUESTIONS = {
    "A layout": """
        from conf.layouts import load_layouts, match_layout
        names = ["统计年份", "进出口标志", "商品代码", "统计美元值", "最终目的国代码", "境内货源地代码"]
        assert match_layout(names).name == "yearly_2015"
    """,
    "A cleaning rule": """
        from conf.rules import load_rules
        names = [rule.name for rule in load_rules()]
        assert names.index("value_implausible") == names.index("value_nonpositive") + 1
    """,
    "A variable": """
        from schemas.panel import BASELINE, CITY_PANEL
        assert {"lnnumfirm", "z_lnnumfirm"} <= set(CITY_PANEL.columns)
        assert "lnnumfirm" not in BASELINE
    """,
    "A result table": """
        from conf.tables import read_table_files
        from estimation.tables import parse_tables
        shared, files = read_table_files()
        (own,) = [table for table in parse_tables(shared, files, profile="defensible") if table.number == 9]
        assert [column.dependent for column in own.columns] == ["lnvalue"]
    """,
    "A command": """
        from jobs.commands.main import run_command
        from jobs.runtime.command_line.catalogue import commands
        assert commands()["tables"].group == "Looking at it"
        assert run_command(["tables", "--lake", "LAKE"]) == 4, "what is no lake is said by the command's own work"
    """,
    "A reference table": """
        from schemas.catalog import TABLES
        from schemas.reference.shipped import TABLE_NAMES, read_shipped
        assert "airports" in TABLE_NAMES and TABLES["ref.airports"].made_by == ("references",)
        assert read_shipped("airports").loc[0, "city_id"] == "330100"
    """,
}


def _sections() -> dict[str, list[str]]:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    titled = re.split(r"^### (.*)$", text, flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"```diff\n(.*?)```", body, re.DOTALL)
        for title, body in zip(titled[::2], titled[1::2], strict=True)
    }


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_diff_of_the_page_is_tried():
    assert {title for title, diffs in _sections().items() if diffs} == set(QUESTIONS)


@pytest.mark.parametrize("title", QUESTIONS)
def test_addition_is_a_few_lines_that_the_product_then_knows(title, copy):
    (diff,) = _sections()[title]
    added = [line for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert len(added) <= 15
    # lines may have moved since the page was written: git finds them by their context
    command = ["git", "apply", "-C1", "--unidiff-zero", "-"]
    applied = subprocess.run(command, input=diff, cwd=copy, text=True, capture_output=True)
    assert applied.returncode == 0, f"CONTRIBUTING, {title}: the diff does not fit the tree any more. {applied.stderr}"
    question = "\n".join(line.removeprefix(" " * 8) for line in QUESTIONS[title].splitlines())
    asked = subprocess.run([sys.executable, "-c", question], cwd=copy, text=True, capture_output=True)
    assert asked.returncode == 0, asked.stderr
