"""One matrix of surroundings, on demand: the same rows in every one of them, or one sentence and nothing changed."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "import sys; from jobs.commands.main import main; sys.exit(main())"]
#: What a run is about here, not whether these few records are of usual quality.
CALM = ["--set", "quality.max_share_reason=1.0", "--set", "quality.max_share_quarantined=1.0"]
UTF8 = {"LC_ALL": "C.UTF-8"}
# name: environment (None takes a variable away), name of the lake's folder, wrapper of the command
SAME_ROWS = {
    "Shanghai": ({"TZ": "Asia/Shanghai"}, "lake", []),
    "New York": ({"TZ": "America/New_York"}, "lake", []),
    "Kiritimati": ({"TZ": "Pacific/Kiritimati"}, "lake", []),
    "POSIX": ({"LC_ALL": "POSIX"}, "lake", []),
    "Turkish": ({"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}, "lake", []),
    "no home": ({"HOME": None}, "lake", []),
    "home nowhere": ({"HOME": "/nowhere"}, "lake", []),
    "hash seed 0": ({"PYTHONHASHSEED": "0"}, "lake", []),
    "hash seed 42": ({"PYTHONHASHSEED": "42"}, "lake", []),
    "umask 077": ({}, "lake", ["sh", "-c", 'umask 077; exec "$@"', "sh"]),
    "space": ({}, "a lake", []),
    "backtick": ({}, "a`lake", []),
    "quotes": ({}, "a'la\"ke", []),
    "hash sign": ({}, "a#lake", []),
    "per cent": ({}, "a%20lake", []),
    "semicolon and brackets": ({}, "a;(l)[a]{ke}", []),
    "Chinese": ({}, "湖", []),
    "Chinese under POSIX": ({"LC_ALL": "POSIX"}, "湖", []),
    "long": ({}, "x" * 200, []),
    "soft limit of 64 files": ({}, "lake", ["sh", "-c", 'ulimit -S -n 64; exec "$@"', "sh"]),
}
ONE_SENTENCE = {
    "hard limit of 64 files": ({}, "lake", ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"], "at most 64 files may be open"),
    "temporary folder nowhere": ({"TMPDIR": "/nowhere"}, "lake", [], "TMPDIR=/nowhere"),
    "too long": ({}, "x" * 300, [], "whose longest name has 300"),
    "read-only": ({}, "/proc/lake", [], "cannot be written"),
}


def environment(changes):
    given = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    return {name: value for name, value in given.items() if value is not None}


def call(arguments, changes=(), wrapper=()):
    done = subprocess.run(
        [*wrapper, *COMMAND, *arguments], env=environment(dict(changes)), capture_output=True, cwd=ROOT, check=False,
        timeout=900,
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "backslashreplace")


def exported(lake, folder):
    out = folder / "out.csv"
    code, printed = call(["export", "gold.city_exports", "--lake", str(lake), "--out", str(out)], UTF8)
    assert code == 0, printed
    with open(out, encoding="utf-8-sig", newline="") as stream:
        return sorted(map(tuple, csv.reader(stream)))


@pytest.fixture(scope="module")
def plain(tmp_path_factory, write_delivery):
    """A raw folder, and what its counts are in plain surroundings."""
    folder = tmp_path_factory.mktemp("plain")
    raw = write_delivery(folder / "raw", [2003], months=(1,))
    code, printed = call(["run", "--raw", str(raw), "--lake", str(folder / "lake"), "--through", "count", *CALM], UTF8)
    assert code == 0, printed
    return raw, exported(folder / "lake", folder)


@pytest.mark.parametrize(("changes", "name", "wrapper"), SAME_ROWS.values(), ids=SAME_ROWS)
def test_the_same_rows_come_out(plain, tmp_path, changes, name, wrapper):
    raw, expected = plain
    here = Path(shutil.copytree(raw, tmp_path / name / "raw"))
    lake = tmp_path / name / "lake"
    arguments = ["run", "--raw", str(here), "--lake", str(lake), "--through", "count", *CALM]
    code, printed = call(arguments, changes, wrapper)
    assert code == 0 and "Traceback" not in printed and "java." not in printed, printed
    assert exported(lake, tmp_path) == expected
    assert call(["fsck", "--lake", str(lake), "--deep"], changes, wrapper)[0] == 0


@pytest.mark.parametrize(("changes", "name", "wrapper", "words"), ONE_SENTENCE.values(), ids=ONE_SENTENCE)
def test_one_sentence_and_nothing_changed(plain, tmp_path, changes, name, wrapper, words):
    raw, _ = plain
    lake = tmp_path / name
    code, printed = call(["run", "--raw", str(raw), "--lake", str(lake), "--through", "count", *CALM], changes, wrapper)
    assert code == 4 and words in printed and "Traceback" not in printed and "java." not in printed, printed
    assert list(tmp_path.iterdir()) == []


