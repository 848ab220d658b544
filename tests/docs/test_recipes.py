"""The recipes as they stand on the page: run where they need no Java, else read by what would read them."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from conf.settings import load_settings
from jobs.commands.main import run_command
from jobs.core.errors import EXIT_DONE, LakeError
from jobs.core.reading import open_lake
from jobs.runtime.command_line.catalogue import parser_of
from jobs.runtime.metrics import METRICS, PREFIX

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fixtures.small_lake import YEARS, write_small_lake  # noqa: E402  (found by the path set above)

PAGE = (ROOT / "docs" / "howto" / "recipes.md").read_text("utf-8")
# what starts Java, or an engine that is not here; it is parsed all the same
NEED_JAVA = ("run", "restore", "withdraw")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{re.escape(language)}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small lake at LAKE, where the page looks for it."""
    monkeypatch.chdir(tmp_path)
    return write_small_lake(tmp_path / "LAKE")


def _parsed(line: str) -> list[str]:
    words = shlex.split(re.split(r" >> | > ", line)[0])
    assert words[0].rpartition("/")[2] == "customs-lake", line
    parser_of(words[1]).parse_args(words[2:])
    return words[1:]


def test_every_kind_of_block_on_the_page_is_tried_here():
    tried = {"cron", "ini", "python-airflow", "toml", "yaml", "python", "bash", "sql", "stata", "r"}
    assert set(re.findall(r"^```([\w-]+)$", PAGE, re.MULTILINE)) == tried


@pytest.mark.parametrize("line", [line for block in _blocks("bash") for line in block.splitlines()])
def test_command_lines_parse_and_those_that_need_no_java_run(line, folder, monkeypatch, capsys):
    words = _parsed(line)
    if words[0] in NEED_JAVA or words[0] == "sniff":
        return
    if words[0] == "shell":
        monkeypatch.setattr(sys, "stdin", __import__("io").StringIO("tables\nSELECT count(*) AS n FROM gold.city_exports;\n"))
    assert run_command(words) == EXIT_DONE, capsys.readouterr().err
    out = words[words.index("--out") + 1] if "--out" in words else None
    assert out is None or (folder.parent / out).stat().st_size > 0


def test_python_of_the_page_runs_in_its_order_and_finds_what_it_says(folder):
    known: dict = {}
    for block in _blocks("python"):
        # the lake of this test was written a moment ago: a week ago there was none
        exec(block.replace('datetime.now(UTC) - timedelta(days=7)', "0"), known)
    assert set(known["by_year"].index) == set(YEARS) and known["panel"].height == 15
    assert known["large"]["year"].unique().to_list() == [2004]
    assert list(known["top"]["city_id"])[0] == "330600"
    assert known["changed"][["city_id", "year"]].to_numpy().tolist() == [["330600", 2005]]


def test_a_moment_finds_the_version_of_then_and_one_before_the_lake_says_so(folder):
    table = open_lake(str(folder))["gold.city_exports"]
    assert table.at("2100-01-01").version == 1
    with pytest.raises(LakeError, match="its log begins at"):
        table.at("2001-01-01T00:00")


def test_a_tables_folder_is_not_its_content_as_the_page_warns(folder):
    """Files of older versions lie beside those in force; read as Parquet they count twice."""
    files = pq.ParquetDataset(folder / "gold" / "city_exports").read().num_rows
    assert files == 2 * len(open_lake(str(folder))["gold.city_exports"].to_pandas()) == 30
    assert len(pd.read_parquet(folder / "gold" / "city_exports")) == 30


def test_cron_and_systemd_call_command_lines_that_exist():
    (line,) = [line for block in _blocks("cron") for line in block.splitlines()]
    assert re.fullmatch(r"(\S+ ){5}customs-lake .*", line)
    _parsed(line.split(" ", 5)[5])
    service, timer = _blocks("ini")
    parsed = configparser.ConfigParser(strict=True)
    parsed.optionxform = str
    parsed.read_string(service)
    words = _parsed(parsed["Service"]["ExecStart"])
    assert "--exit-code" not in words, "3 would be a failure to systemd"
    name, _, value = parsed["Service"]["Environment"].partition("=")
    assert load_settings(environment={name: value}).operations.metrics_file == value
    assert parsed["Service"]["RestartForceExitStatus"] == "75"
    other = configparser.ConfigParser()
    other.read_string(timer)
    assert other["Timer"]["OnCalendar"] and other["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_understands_the_calendar():
    calendar = re.search(r"OnCalendar=(.*)", PAGE)[1]
    assert subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True).returncode == 0


def test_airflow_file_is_python_whose_command_lines_exist():
    (code,) = _blocks("python-airflow")
    compile(code, "dag.py", "exec")
    lines = re.findall(r'bash_command="([^"]*)"', code)
    assert [_parsed(line)[0] for line in lines] == ["run", "compare"]


def test_settings_of_the_page_are_read(tmp_path):
    for block in _blocks("toml"):
        path = tmp_path / "mine.toml"
        path.write_text(block, encoding="utf-8")
        assert tomllib.loads(block) and load_settings(config_file=path, environment={})


def test_alerts_ask_for_numbers_that_are_written():
    (block,) = _blocks("yaml")
    rules = [rule for group in yaml.safe_load(block)["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(rf"{PREFIX}(\w+)", rule["expr"])}
    assert len(rules) == 3 and asked <= set(METRICS)


def test_stata_and_r_name_columns_of_the_panel():
    from schemas.panel import CITY_PANEL

    assert re.search(r"xtset (\w+) (\w+)", *_blocks("stata")).groups() == ("city_id", "year")
    assert {"city_id", "year"} <= set(CITY_PANEL.columns) & set(re.findall(r'"(\w+)"', *_blocks("r")))


@pytest.mark.spark
def test_spark_sql_of_the_page_runs(folder, spark):
    for statement in " ".join(_blocks("sql")).split(";"):
        if statement.strip():
            rows = spark.sql(statement.replace("LAKE/", f"{folder}/")).collect()
            assert rows


NOTEBOOK = ROOT / "docs" / "notebooks" / "looking_at_a_lake.ipynb"


# a kernel's own sockets and loops, closed when its process ends
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_notebook_runs_on_a_lake(folder):
    import nbclient
    import nbformat
    from jupyter_client import AsyncKernelManager

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LAKE": str(folder), "OMP_NUM_THREADS": "1"}
    manager = AsyncKernelManager(kernel_name="python3", transport="ipc")
    nbclient.NotebookClient(notebook, km=manager, timeout=120).execute(env=environment)
    printed = ["".join(out.get("text", "") for out in cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    assert printed[0].split() == ["gold.city_exports", "gold.city_panel", "ops.run"]
    assert printed[-1] == "15 rows at version 1, 15 now\n"


def test_notebook_is_committed_with_its_outputs_and_without_traces_of_a_machine():
    import nbformat

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "stderr" not in text and "/home/" not in text and "/tmp/" not in text and "ipykernel_" not in text
