"""What a person sees of a step: one line that moves on a terminal, plain lines in a log, nothing under spark-submit."""

from __future__ import annotations

import logging
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.core import progress
from jobs.core.progress import Step, advance, aside, expect, moving, report

ROOT = Path(__file__).resolve().parents[3]


def _after(step, seconds):
    return step.text(now=step.started + seconds)


@pytest.mark.parametrize(("step", "seconds", "text"), [
    (Step("look", "files", total=40, done=10, n_bytes=80_000_000, bytes_done=20_000_000), 4,
     "10 of 40 files, 20 of 80 MB, 5.0 MB/s, about 12 s left"),
    (Step("generate", "rows", total=600_000, done=150_000), 30,
     "150,000 of 600,000 rows, 5,000 rows/s, about 1 min 30 s left"),
    # Spark's tasks stand for rows that nobody counts on the way
    (Step("clean", "records", total=2_000_000, tasks=(8, 16)), 100,
     "about 1,000,000 of 2,000,000 records, 10,000 records/s, about 1 min 40 s left"),
    (Step("panel", tasks=(3, 4)), 9, "3 of 4 tasks, about 3 s left"),
    (Step("estimate", "columns", total=90, done=3, note="table1 (paper)"), 60,
     "3 of 90 columns, 1 min 0 s, about 29 min 0 s left, table1 (paper)"),
    (Step("spark", note="starts"), 3, "3 s, starts"),
    (Step("fsck", n_bytes=4_000_000_000, bytes_done=1_000_000_000), 3600, "1,000 of 4,000 MB, 0.3 MB/s, about 3 h 0 min left"),
    # nothing is promised of the first moment, and nothing when all is done
    (Step("look", "files", total=4, done=1), 0.5, "1 of 4 files"),
    (Step("look", "files", total=4, done=4), 10, "4 of 4 files, 10 s"),
    # a generated world meets the rows asked for within 2 %
    (Step("generate", "rows", total=600_000, done=601_000), 10, "601,000 of 601,000 rows, 60,100 rows/s"),
])  # fmt: skip
def test_line_has_amounts_rate_and_time_left_as_far_as_they_are_known(step, seconds, text):
    assert _after(step, seconds) == text


def test_whatever_works_inside_a_step_moves_it_and_without_one_nothing_happens():
    expect(10)
    advance(3)
    report("fits", 1, 2)
    with moving("outer", place="2 of 9") as outer:
        expect(10, "files", n_bytes=50)
        advance(n_bytes=5, note="a.csv")
        assert (outer.done, outer.bytes_done, outer.note) == (1, 5, "a.csv")
        with moving("inner") as inner:
            advance(7)
            assert inner.place == "2 of 9"
        advance()
        assert (outer.done, inner.done) == (2, 7)
        report("fits", 3, 8)
        assert outer.text().startswith("3 of 8 fits")


def test_a_log_gets_plain_lines_now_and_then_and_the_tasks_of_spark(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.05)
    monkeypatch.setattr(logging.getLogger("customs_lake"), "propagate", True)
    with caplog.at_level(logging.INFO, logger="customs_lake"), moving("clean", watch=lambda: (4, 8)):
        expect(1000, "records")
        deadline = time.monotonic() + 10
        while "of 1,000 records" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.02)
    assert "clean     at work: about 500 of 1,000 records" in caplog.text
    assert "\x1b" not in caplog.text and "\r" not in caplog.text


def test_a_watch_that_fails_ends_no_step(monkeypatch):
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.01)

    def broken():
        raise ConnectionError("the session is gone")

    with moving("clean", watch=broken) as step:
        time.sleep(0.05)
    assert step.tasks == (0, 0)


def test_nothing_is_shown_and_no_thread_started_under_spark_submit(monkeypatch):
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    started = []
    monkeypatch.setattr(progress.threading, "Thread", lambda **kwargs: started.append(kwargs))
    with moving("clean", watch=lambda: (1, 2)):
        assert progress._shown is None
    assert started == []


def _on_a_terminal(code, *, seconds=30.0, until="", send=None):
    """What a program writes to a terminal, and its exit code."""
    main, side = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
    started = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=side, stdout=side, stderr=side, env=environment,
        start_new_session=True,
    )
    os.close(side)
    written, first = b"", None
    while time.monotonic() - started < seconds:
        if select.select([main], [], [], 0.1)[0]:
            try:
                piece = os.read(main, 65536)
            except OSError:
                break
            first = first or time.monotonic() - started
            written += piece
        if until and until.encode() in written and send is not None:
            # as a terminal does: to the program and all it started
            os.killpg(child.pid, send)
            send = None
        if child.poll() is not None and not select.select([main], [], [], 0)[0]:
            break
    code = child.wait(timeout=20)
    os.close(main)
    return written.decode("utf-8", "replace"), code, first


def test_a_terminal_sees_one_line_that_moves_and_logs_above_it():
    code = """
import logging, time
from jobs.core.progress import advance, aside, expect, moving
from jobs.runtime.ending import configure_logging
configure_logging()
with moving("land"):
    expect(3, "files", n_bytes=30_000_000)
    for number in range(3):
        time.sleep(0.5)
        advance(n_bytes=10_000_000, note=f"{number}.csv")
    logging.getLogger("customs_lake").info("a line of the log")
    with aside():
        print("a line of output")
print("end")
"""
    text, code, _ = _on_a_terminal(code)
    assert code == 0
    assert "1 of 3 files" in text and "2 of 3 files" in text and "MB/s" in text
    lines = [line for line in text.replace("\r", "\n").split("\n") if "a line of" in line]
    assert all("files" not in line for line in lines) and len(lines) == 2
    # the line itself is taken away
    assert text.rstrip().endswith("end")


@pytest.mark.parametrize("until", ["city-years planned", "rows in"])
def test_ctrl_c_ends_a_command_with_one_sentence_and_leaves_nothing_half_written(tmp_path, until):
    words = ["customs-lake", "generate", "--out", str(tmp_path / "world"), "--preset", "small", "--processes", "2"]
    # processes that are started need a program that can be imported again
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"if __name__ == '__main__':\n    from jobs.commands.start import main\n    sys.argv = {words}\n    sys.exit(main())\n"
    )
    code = f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')"
    text, code, _ = _on_a_terminal(code, seconds=120, until=until, send=signal.SIGINT)
    assert code == 130
    assert "Interrupted" in text and "Traceback" not in text and "KeyboardInterrupt" not in text
    assert not list((tmp_path / "world").glob("*")), "half a world would stand in the way of the next try"


def test_ctrl_c_while_modules_are_loaded_is_a_sentence_too(monkeypatch, capsys):
    from jobs.commands import main

    def interrupted(_):
        raise KeyboardInterrupt

    known = main.commands()
    monkeypatch.setattr(main, "commands", lambda: known)
    monkeypatch.setattr(main, "work_of", interrupted)
    monkeypatch.setattr(main, "parse", lambda name, words: __import__("argparse").Namespace())
    assert main.run_command(["land"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_first_line_of_a_long_command_comes_before_its_modules_are_loaded():
    code = """
import sys
from jobs.commands.main import run_command
import jobs.commands.main as main
main.work_of = lambda name: sys.exit(9)
main.run_command(["run", "--lake", "LAKE"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 9 and "run       begins on LAKE" in done.stderr


def test_output_beside_the_line_is_printed_without_one(capsys):
    with aside():
        sys.stdout.write("plain\n")
    assert capsys.readouterr().out == "plain\n"
