"""Two processes on one lake: different years both succeed, the same year ends once, a reader sees whole versions."""

from __future__ import annotations

import os
import signal
import time

import pytest

from jobs.core.lake import Lake
from schemas import silver

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
STEPS = "land,ingest,clean"


def test_two_years_at_once_both_succeed_while_a_reader_sees_whole_versions(
    launcher, tools, expected, content, spark, tmp_path
):
    lake = tmp_path / "lake"
    both = [launcher.start(lake, STEPS, "--years", str(year)) for year in tools.years]
    whole = {}
    for line in expected["silver.declaration"]:
        year = int(line.split("year=")[1].split(",")[0])
        whole[year] = whole.get(year, 0) + 1
    seen = set()
    while any(process.poll() is None for process in both):
        time.sleep(0.3)
        if (lake / "silver" / "declaration" / "_delta_log").is_dir():
            frame = Lake.peek(spark, str(lake)).read(silver.DECLARATION).groupBy("year").count()
            seen |= {(row["year"], row["count"]) for row in frame.collect()}
    for process in both:
        launcher.finish(process)
    assert seen <= set(whole.items()), "a reader saw part of a year"
    found = content(lake, layers=("bronze", "silver", "ops"))
    assert found == {name: expected[name] for name in found}


def test_second_run_on_the_same_year_ends_with_75_and_one_copy_remains(launcher, tools, expected, content, tmp_path):
    lake = tmp_path / "lake"
    first = launcher.start(lake, STEPS, "--years", "2003")
    tools.wait_until(lambda: (lake / "_locks" / "silver.declaration.2003.lock").exists(), first)
    # stopped while it holds the year: the second cannot be lucky
    os.killpg(first.pid, signal.SIGSTOP)
    second = launcher.start(lake, STEPS, "--years", "2003")
    printed = launcher.finish(second, 75)
    assert "is being written by another run" in printed and "nothing was changed" in printed
    os.killpg(first.pid, signal.SIGCONT)
    launcher.finish(first)
    found = content(lake, layers=("silver",))
    assert found == {name: [row for row in expected[name] if "year=2003" in row] for name in found}
