"""A standalone cluster of one master and two workers on loopback: the packaged zip runs on it, workers and executors die.

The first test runs always; CUSTOMS_LAKE_CRASH_KILLS=30 kills ten executors in the second (and thirty drivers in
test_crash.py).
"""

from __future__ import annotations

import collections
import logging
import os
import random
import re
import signal
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
EXECUTOR_KILLS = max(2, int(os.environ.get("CUSTOMS_LAKE_CRASH_KILLS", "0")) // 3)
KILLS_PER_RUN = 5

log = logging.getLogger(__name__)


@pytest.fixture
def submit(cluster, launcher, tools, tmp_path):
    """A function that gives the documented line, through the counts, where the checkout cannot be seen."""
    away = tmp_path / "away"
    given = tools.submission_folder(away) | {"MASTER": cluster.url, "STEPS": "--through count", "RAW": str(launcher.raw)}
    tools.write_defaults(away, {})

    def start(lake: Path):
        line = tools.documented_line("Standalone")
        return launcher.spawn(["bash", "-c", line], cwd=away, env=given | {"LAKE": str(lake)})

    return start


def test_zip_runs_on_two_workers_and_the_pipeline_outlives_one(cluster, submit, launcher, tools, expected, content, tmp_path):
    lake = tmp_path / "lake"
    process = submit(lake)
    tools.wait_until(lambda: any((lake / "bronze" / "declaration").rglob("*.parquet")), process)
    assert process.poll() is None, _log(process)[-4000:]
    tools.kill(cluster.workers[0])
    printed = launcher.finish(process)
    assert re.search(r"count +2003-2004", printed), printed[-3000:]
    used = {number for number in range(2) if list((tmp_path / f"work_{number}").glob("app-*/*"))}
    assert used == {0, 1}, "both workers must have run an executor"
    assert content(lake) == expected


def test_executors_killed_at_random_moments_change_no_row(
    cluster, submit, launcher, tools, undisturbed, expected, content, tmp_path
):
    draw = random.Random(20032)
    complete = tools.count_files(undisturbed) + tools.reference_files
    kills, places = 0, collections.Counter()
    while kills < EXECUTOR_KILLS:
        lake = tmp_path / f"lake_{kills}"
        process = submit(lake)
        for target in sorted(draw.sample(range(1, complete), min(KILLS_PER_RUN, EXECUTOR_KILLS - kills))):
            tools.wait_until(lambda lake=lake, target=target: tools.count_files(lake) >= target, process)
            # two at least live in a quiet moment; right after a kill there may be none for a second
            tools.wait_until(cluster.executors, process)
            os.kill(draw.choice(cluster.executors()), signal.SIGKILL)
            kills += 1
            places[tools.newest_table(lake)] += 1
            log.info("killed executor %d of %d in %s", kills, EXECUTOR_KILLS, tools.newest_table(lake))
        printed = launcher.finish(process)
        assert re.search(r"count +2003-2004", printed), printed[-3000:]
        assert content(lake) == expected, f"after executors killed in {dict(places)}"
    log.info("%d executors killed: %s", kills, dict(places))


def _log(process) -> str:
    return process.log.read_text("utf-8", errors="replace")
