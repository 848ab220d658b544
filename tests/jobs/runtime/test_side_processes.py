"""Tasks in processes of this machine, and the session that waits until somebody needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conf.settings import load_settings
from jobs.core.errors import InvalidRowsError, SurroundingsError
from jobs.core.storage import open_store
from jobs.core.stored_files import StoredFiles
from jobs.core.waiting import WaitingSession, needs_no_session
from jobs.runtime.executors import has_executors_elsewhere, run_on_executors, workers_elsewhere
from jobs.runtime.session import n_cores
from jobs.runtime.side_processes import ONE_THREAD, run_in_processes
from jobs.runtime.watching import tasks_of


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Processes that are started find the work."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parent)])


FUNCTION = "side_work.work"


@pytest.mark.parametrize(("n_processes", "expected"), [(1, 1), (2, 2), (8, 3)])
def test_every_task_is_done_once_in_so_many_processes(n_processes, expected):
    seen = []
    results = run_in_processes(["1", "2", "3"], FUNCTION, (10,), n_processes=n_processes, progress=seen.append)
    found = [row["result"].split() for row in results]
    assert sorted(value for value, *_ in found) == ["10", "20", "30"] and seen == [1, 2, 3]
    processes = {pid for _, pid, _ in found}
    assert len(processes) <= expected and (str(os.getpid()) in processes) == (n_processes == 1)
    if n_processes > 1:
        assert {threads for *_, threads in found} == {ONE_THREAD["POLARS_MAX_THREADS"]}
        assert os.environ.get("POLARS_MAX_THREADS") != "1", "of this process the threads stay"
    assert run_in_processes([], FUNCTION, (1,), n_processes=2) == []


@pytest.mark.parametrize(
    ("task", "error", "said"),
    [
        ("refused", InvalidRowsError, "2 rows"), ("odd", RuntimeError, "OddError: of its own"),
        ("killed", SurroundingsError, "memory"),
    ],
)
def test_what_a_task_raises_is_raised_here_and_nobody_is_left(task, error, said):
    from multiprocessing import active_children

    before = set(active_children())
    with pytest.raises(error, match=said):
        run_in_processes(["1", task, "2", "3"], FUNCTION, (1,), n_processes=2)
    assert set(active_children()) == before


def test_a_session_waits_until_something_is_asked_of_it():
    class Session:
        version, stopped = "4.2.0", False

        def stop(self):
            self.stopped = True

    started = []

    def start():
        started.append(Session())
        return started[0]

    waiting = WaitingSession(start, 2)
    assert needs_no_session(waiting) and not has_executors_elsewhere(waiting) and workers_elsewhere(waiting) is None
    assert isinstance(open_store(waiting, "/somewhere"), StoredFiles)
    watch = tasks_of(waiting)
    results = run_on_executors(waiting)(["1", "2"], FUNCTION, (3,))
    assert sorted(result.split()[0] for result in results) == ["3", "6"] and watch() == (2, 2)
    waiting.stop()
    assert started == [], "nobody needed it, and there was nothing to end"
    assert waiting.version == "4.2.0" and waiting.is_started and not needs_no_session(waiting)
    waiting.stop()
    assert len(started) == 1 and started[0].stopped


@pytest.mark.parametrize(
    ("master", "expected"), [("local", 1), ("local[3]", 3), ("local[2,4]", 2), ("local[*]", len(os.sched_getaffinity(0)))]
)
def test_cores_are_those_the_master_names(master, expected):
    assert n_cores(load_settings(environment={}, overrides=[f"spark.master={master}"])) == expected


def test_a_file_that_java_wrote_is_held_against_its_checksum_and_rewritten_without(tmp_path):
    from jobs.core.errors import LakeError

    files = StoredFiles(str(tmp_path))
    (tmp_path / "a.json").write_text("{}")
    # as Hadoop writes it: magic, bytes per checksum, a CRC-32 that is another content's
    (tmp_path / ".a.json.crc").write_bytes(b"crc\0" + (512).to_bytes(4, "big") + b"\1\2\3\4")
    with pytest.raises(LakeError, match="is not what was written"):
        files.read_text("a.json")
    files.write_text("a.json", "[]")
    assert files.read_text("a.json") == "[]" and not (tmp_path / ".a.json.crc").exists()


def test_a_script_that_cannot_be_imported_again_ends_with_an_error_and_does_not_wait_for_ever(tmp_path):
    # what every task is given is more than a pipe holds while nobody reads
    script = tmp_path / "unguarded.py"
    script.write_text(
        f"import sys\nsys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[3])]!r}\n"
        "from jobs.runtime.side_processes import run_in_processes\n"
        f"run_in_processes(['1', '2'], {FUNCTION!r}, (b'x' * 1_000_000,), n_processes=2)\n", "utf-8"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and "SurroundingsError" in done.stderr and "__main__" in done.stderr
