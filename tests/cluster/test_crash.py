"""Killed with SIGKILL at random moments, or met by a full disk: the next run ends with the undisturbed run's rows.

A moment is chosen by the number of files written so far, not by time, so that it does not depend on the machine and
falls into every write: data files, log entries, receipts, references, bronze, silver, gold and the manifest alike.
"""

from __future__ import annotations

import collections
import logging
import os
import random
import shutil
import subprocess

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(7200)]
# a kill costs half a minute of processor time: a few in every run of the suite, thirty for the full proof
KILLS = int(os.environ.get("CUSTOMS_LAKE_CRASH_KILLS", "3"))
STEPS = os.environ.get("CUSTOMS_LAKE_CRASH_STEPS", "land,ingest,clean,count")
KILLS_PER_LAKE = 5
SMALL_DISK = "2500k"

log = logging.getLogger(__name__)


def test_run_killed_at_random_moments_ends_like_an_undisturbed_one(launcher, tools, undisturbed, expected, content, tmp_path):
    draw = random.Random(20031)
    complete = tools.count_files(undisturbed) + (tools.reference_files if "references" in STEPS else 0)
    assert complete > 30
    kills = n_lakes = 0
    places = collections.Counter()
    while kills < KILLS:
        lake = tmp_path / f"lake_{n_lakes}"
        n_lakes += 1
        for _ in range(min(KILLS_PER_LAKE, KILLS - kills)):
            present = tools.count_files(lake)
            # the first third of what is left: else most kills would fall into the last table
            target = present + draw.randint(1, max(2, (complete - present) // 3))
            process = launcher.start(lake, STEPS)
            tools.wait_until(lambda lake=lake, target=target: tools.count_files(lake) >= target, process)
            if process.poll() is not None:
                # orphans of earlier kills count too: this run was through before the moment came
                launcher.finish(process, 0, 3)
                break
            tools.kill(process)
            kills += 1
            places[tools.newest_table(lake)] += 1
            log.info("killed %d of %d, at file %d of %d, in %s", kills, KILLS, target, complete, tools.newest_table(lake))
        printed = launcher.finish(launcher.start(lake, STEPS), 0, 3)
        assert "WARNING" not in printed and "log level" not in printed, "the JVM greets on the terminal"
        found = content(lake)
        differing = [name for name in expected if found[name] != expected[name]]
        assert differing == [], f"after kills in {dict(places)}"
        log.info("lake %d has the undisturbed rows", n_lakes)
    log.info("%d kills in %d lakes: %s", kills, n_lakes, dict(places))
    assert len(places) > 1, "every kill fell into the same table: the moments are not random"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own of a few megabytes; its size and mode can be changed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a small file system: {mounted.stderr.strip()}")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)

    yield folder, remount
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_and_read_only_disk_are_explained_and_the_next_run_finishes(small_disk, launcher, expected, content):
    folder, remount = small_disk
    filler = folder / "filler"
    filler.write_bytes(bytes(2_400_000))
    lake = folder / "lake"
    printed = launcher.finish(launcher.start(lake, "land,ingest"), 4)
    assert "No space left on device" in printed and "LakeError" in printed, printed[-3000:]
    filler.unlink()
    remount("size=64m")
    remount("ro")
    printed = launcher.finish(launcher.start(lake, "land,ingest"), 4)
    assert "read-only" in printed.lower(), printed[-3000:]
    remount("rw")
    launcher.finish(launcher.start(lake, "land,ingest"))
    found = content(lake, layers=("bronze",))
    assert found == {name: expected[name] for name in found}


def test_folder_that_may_not_be_written_is_refused_before_anything_is_done(launcher, tmp_path):
    # root is asked no permissions: without these two capabilities it is like any owner
    prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if prefix and shutil.which("setpriv") is None:
        pytest.skip("root without setpriv (util-linux) cannot be denied a permission")
    lake = tmp_path / "lake"
    lake.mkdir()
    lake.chmod(0o555)
    printed = launcher.finish(launcher.start(lake, "land", prefix=prefix), 4)
    lake.chmod(0o755)
    assert "may not write" in printed or "Permission denied" in printed, printed[-3000:]
    assert list(lake.iterdir()) == []
