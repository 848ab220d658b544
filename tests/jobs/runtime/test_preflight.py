"""Before anything starts: every fault of a command line at once, no session, no lake made."""

from __future__ import annotations

import json

import pytest

from conf.layouts import load_layouts
from jobs.commands.main import run_command
from jobs.core.errors import EXIT_REFUSED, EXIT_UNBALANCED
from jobs.core.lake import LAKE_FORMAT, MARKER
from jobs.runtime.command_line.catalogue import commands, parser_of


@pytest.fixture(autouse=True)
def no_session(monkeypatch):
    """Whatever starts a session here fails the test."""

    def refuse(*_, **__):
        raise AssertionError("a session was started")

    for module in ("context", "session"):
        monkeypatch.setattr(f"jobs.runtime.{module}.build_session", refuse)
    for job in ("montecarlo", "migrate", "restore"):
        monkeypatch.setattr(f"jobs.{job}.build_session", refuse)


@pytest.fixture
def root(tmp_path):
    """A lake without tables, as a run that was ended at once leaves it."""
    folder = tmp_path / "lake"
    folder.mkdir()
    (folder / MARKER).write_text(json.dumps({"format": LAKE_FORMAT, "product": "customs-lake", "floors": {}, "columns": ""}))
    return folder


def _printed(words, capsys):
    assert run_command([str(word) for word in words]) == EXIT_REFUSED
    return capsys.readouterr().err


def test_a_run_on_a_new_lake_without_raw_is_refused_and_makes_no_lake(tmp_path, capsys):
    printed = _printed(["run", "--lake", tmp_path / "new"], capsys)
    assert "--raw is missing" in printed and "holds no records yet" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_a_lake_without_records_asks_for_raw(root, capsys):
    assert "holds no records yet" in _printed(["run", "--lake", root], capsys)


def test_every_fault_of_a_run_is_said_at_once_and_nothing_is_made(tmp_path, capsys, monkeypatch):
    (tmp_path / "raw").mkdir()
    (tmp_path / "file").write_text("x")
    config = tmp_path / "mine.toml"
    config.write_text("[study]\nlast_yeer = 2010\n[places]\nuser_postcodes = 'gone.csv'\n[plausible]\nnear_zero = 7\n")
    layouts = tmp_path / "layouts"
    layouts.mkdir()
    (layouts / "broken.toml").write_text("name = 'broken'\n")
    (layouts / "other.toml").write_bytes("name = '海关'\n".encode("gb18030"))
    monkeypatch.setenv("CUSTOMS_LAKE_LAYOUTS", str(layouts))
    load_layouts.cache_clear()
    printed = _printed(
        ["run", "--raw", tmp_path / "rwa", "--lake", tmp_path / "new", "--years", "2009-2003", "--config", config,
         "--out", tmp_path / "file", "--set", "count.products=hs2"],
        capsys,
    )  # fmt: skip
    for part in (
        "unknown key study.last_yeer", "Did you mean last_year?", "plausible.near_zero: expected a share",
        "count.products: expected one of", "--years: expected years or ranges", f"Did you mean {tmp_path / 'raw'}?",
        "broken.toml", "other.toml: not UTF-8", f"--out {tmp_path / 'file'}: expected a folder, found a file",
    ):  # fmt: skip
        assert part in printed, part
    assert "things to mend first; nothing was started or changed" in printed
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("job", ["clean", "count", "panel", "estimate", "reconcile", "resolve", "plausible", "withdraw"])
def test_a_job_on_records_asks_for_a_lake_that_is_there_and_makes_none(job, tmp_path, capsys):
    more = {"withdraw": ["--file", "a.csv", "--reason", "why"]}.get(job, [])
    assert "no lake there" in _printed([job, "--lake", tmp_path / "lkae", *more], capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("job", [name for name, chosen in commands().items() if chosen.needs_raw])
def test_a_job_on_delivered_files_asks_for_them_before_it_makes_a_lake(job, tmp_path, capsys):
    assert "--raw is missing" in _printed([job, "--lake", tmp_path / "new"], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_lake_and_a_file_are_refused_as_lakes(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "raw").mkdir()
    printed = _printed(["run", "--raw", tmp_path / "raw", "--lake", tmp_path], capsys)
    assert "is not a lake" in printed and "notes.txt" in printed
    printed = _printed(["land", "--raw", tmp_path / "raw", "--lake", tmp_path / "notes.txt"], capsys)
    assert "expected a folder, found a file" in printed


def test_faults_of_table_files_come_with_all_others(root, tmp_path, capsys):
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "table9.toml").write_text("number = 9\ntitle = 'x'\n[[column]]\nsample = 'moon'\ndependent = 'lnvalue'\n")
    (tables / "table8.toml").write_text("number = \n")
    printed = _printed(["estimate", "--lake", root, "--table-files", tables, "--set", "study.first_year=1"], capsys)
    # tables are judged under settings that can be read
    assert "2000 <= first_year" in printed
    printed = _printed(["estimate", "--lake", tmp_path / "gone", "--table-files", tables], capsys)
    assert "table8.toml" in printed and "no lake there" in printed
    (tables / "table8.toml").unlink()
    assert "moon" in _printed(["estimate", "--lake", root, "--table-files", tables], capsys)
    printed = _printed(["estimate", "--lake", root, "--table-files", tmp_path / "table", "--study-profile", "papr"], capsys)
    assert "--study-profile" in printed
    assert "Did you mean" in _printed(["estimate", "--lake", root, "--table-files", tmp_path / "table"], capsys)


def test_boundaries_and_totals_are_read_before_anything_starts(root, tmp_path, capsys):
    (tmp_path / "map.json").write_text('{"type": "Topology"}')
    given = ["--geojson", tmp_path / "map.json"]
    assert "expected type FeatureCollection" in _printed(["report", "--lake", root, *given], capsys)
    assert "no such file" in _printed(["plausible", "--lake", root, "--totals", tmp_path / "none.csv"], capsys)


def test_a_user_file_of_the_settings_is_looked_at_before_anything_starts(root, tmp_path, capsys):
    setting = f"places.user_postcodes={tmp_path / 'codes.csv'}"
    printed = _printed(["clean", "--lake", root, "--set", setting, "--set", "places.user_units=none.csv"], capsys)
    assert "places.user_postcodes" in printed and "places.user_units = none.csv: no such file (set by --set)" in printed
    (tmp_path / "codes.csv").write_text("prefix,unit\n312000,330601\n")
    assert "codes.csv" in _printed(["clean", "--lake", root, "--set", setting], capsys)


def test_one_fault_is_said_as_it_is(tmp_path, capsys):
    printed = _printed(["land", "--raw", tmp_path / "raw", "--lake", tmp_path / "lake"], capsys)
    assert printed.strip().endswith(f"--raw {tmp_path / 'raw'}: no such folder.") and "things to mend" not in printed


def test_a_damaged_lake_is_heard_of_whatever_else_is_wrong(root, capsys):
    (root / MARKER).write_text('{"format": ')
    assert run_command(["clean", "--lake", str(root)]) == EXIT_UNBALANCED
    assert "repair" in capsys.readouterr().err
    assert run_command(["clean", "--lake", str(root), "--years", "early"]) == EXIT_UNBALANCED
    printed = capsys.readouterr().err
    assert "2 things to mend first" in printed and "--years: expected" in printed and "repair" in printed


WORDS = {
    "explain": ["table1.col1.lnAgg"], "maintain": ["health"], "withdraw": ["--file", "a.csv", "--reason", "why"],
    "erase": ["--firm", "1", "--reason", "why"], "restore": ["--at", "2024-05-01"], "places": ["conflicts"],
    "query": ["SELECT 1"], "export": ["gold.city_exports", "--out", "x.csv"], "handoff": ["--study", "s", "--out", "package"],
    "report": ["--out", "report"],
}  # fmt: skip
#: Without a lake, or a conversation.
ELSEWHERE = ("sniff", "config", "shell", "demo", "generate", "montecarlo", "doctor", "completion", "manifests")


@pytest.mark.parametrize("name", [name for name in commands() if name not in ELSEWHERE])
def test_every_command_on_a_lake_passes_from_what_is_looked_at_first_to_its_work(name, root, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw" / "customs").mkdir(parents=True)
    (tmp_path / "raw" / "customs" / "notes.csv").write_text("a,b\n1,2\n")
    raw = ["--raw", "raw"] if any(action.dest == "raw" for action in parser_of(name)._actions) else []
    try:
        code = run_command([name, *WORDS.get(name, []), "--lake", str(root), *raw])
    except AssertionError as error:
        # as far as the session, which is not for this test to start
        assert "a session was started" in str(error)
        return
    assert code in (0, EXIT_REFUSED, EXIT_UNBALANCED, 6), capsys.readouterr()
    assert "things to mend" not in capsys.readouterr().err
