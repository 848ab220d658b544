"""The walk of docs/operations/new_year.md, executed command by command as it stands there."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from conf.layouts import load_layouts
from jobs.commands.main import run_command
from jobs.core.errors import EXIT_DONE, EXIT_QUALITY, EXIT_REFUSED

pytestmark = [
    pytest.mark.lake,
    pytest.mark.skipif(
        not os.environ.get("CUSTOMS_LAKE_CLUSTER_TESTS"),
        reason="eight commands, each with its own start, take minutes: set CUSTOMS_LAKE_CLUSTER_TESTS=1",
    ),
]
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operations" / "new_year.md"
COMMAND = re.compile(r"^    \$ (.+)$", re.MULTILINE)
NEW_HEADING = "customs_value"


@pytest.fixture
def shell(spark, tmp_path, monkeypatch, capsys):
    """Executes one line of the page in this process and returns (exit code, output)."""
    # each command would end the session that the whole suite shares
    monkeypatch.setattr(type(spark), "stop", lambda self: None)
    monkeypatch.setenv("CUSTOMS_LAKE__SPARK__SHUFFLE_PARTITIONS", "2")
    places = {"RAW": tmp_path / "raw", "LAKE": tmp_path / "lake", "LAYOUTS": tmp_path / "layouts"}

    def execute(line: str) -> tuple[int, str]:
        words = [str(places.get(word, word)) for word in shlex.split(line)]
        if words[0] == "export":
            name, value = words[1].split("=")
            monkeypatch.setenv(name, str(places[value]))
            load_layouts.cache_clear()
            return EXIT_DONE, ""
        capsys.readouterr()
        code = run_command(words[1:])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    execute.places = places
    yield execute
    load_layouts.cache_clear()


def _deliver_2012(raw, write_delivery):
    write_delivery(raw, [2012], months=(1,))
    path = raw / "customs" / "data201201.csv"
    path.write_text(path.read_text("utf-8").replace(",value,", f",{NEW_HEADING},", 1), "utf-8")


def _write_layout(folder):
    """What step 2 asks a person to do: copy the nearest layout and change the heading."""
    folder.mkdir()
    text = (ROOT / "conf" / "layouts" / "monthly_english.toml").read_text("utf-8")
    text = text.replace('"monthly_english"', '"monthly_2012"').replace('value = ["value"]', f'value = ["{NEW_HEADING}"]')
    (folder / "monthly_2012.toml").write_text(text, "utf-8")


def test_every_command_of_the_page_does_what_the_page_says(shell, write_delivery):
    raw, lake = shell.places["RAW"], shell.places["LAKE"]
    write_delivery(raw, [2010, 2011], months=(1,))
    code, _ = shell(f"customs-lake run --raw {raw} --lake {lake} --through count")
    assert code == EXIT_DONE
    _deliver_2012(raw, write_delivery)
    _write_layout(shell.places["LAYOUTS"])
    commands = COMMAND.findall(PAGE.read_text("utf-8"))
    assert [line.split()[1] for line in commands] == [
        "sniff", "CUSTOMS_LAKE_LAYOUTS=LAYOUTS", "plan", "run", "reconcile", "compare", "fsck", "maintain",
    ]
    look, export, plan, run, reconcile, compare, fsck, pin = commands
    code, printed = shell(look)
    assert code == EXIT_REFUSED
    assert "nearest, monthly_english" in printed and "also needs: value" in printed
    shell(export)
    code, printed = shell(plan)
    assert code == EXIT_DONE
    assert re.search(r"2012 +1 +40 +load +build +build +never built", printed)
    assert len(re.findall(r"20(?:10|11) +1 +40 +skip +skip +skip", printed)) == 2
    code, printed = shell(run)
    assert code == EXIT_DONE
    code, printed = shell(reconcile)
    assert code == EXIT_DONE and re.search(r"2012 +1 +40 .* 0$", printed, re.MULTILINE)
    code, printed = shell(compare)
    # forty lines a year are few enough for a count to move more than the bounds allow: that is told, with its exit code
    assert code in (EXIT_DONE, EXIT_QUALITY) and re.search(r"^2012 +40", printed, re.MULTILINE), printed
    code, printed = shell(fsck)
    assert code == EXIT_DONE and " 0 errors" in printed, printed
    code, printed = shell(pin)
    assert code == EXIT_DONE
