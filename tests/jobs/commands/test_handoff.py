"""A study handed over: every file read back, the numbers again, what never leaves, and what is refused with a sentence."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import tomllib

import numpy as np
import pandas as pd
import pyreadstat
import pytest
import yaml
from pandas.io.stata import StataReader

from conf.settings import load_settings
from estimation.replication import StudyData
from jobs.commands.handoff import hand_off
from jobs.commands.main import run_command
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED, InputRefusedError, NotBalancedError
from jobs.core.ledger import new_run_id
from jobs.core.reading import LakeReader
from jobs.generate import generate
from jobs.runtime.command_line.catalogue import parse
from jobs.runtime.context import JobContext
from jobs.study.package_words import refuse_names
from tests.fixtures.lakes import FEW, MOMENT, write_table


def _context(root, *, profile=None, settings=()):
    lake = LakeReader.look(str(root))
    return JobContext(lake.spark, lake, load_settings(profile=profile, environment={}, overrides=settings), new_run_id())


def _hand_off(root, out, name="study", settings=(), **options):
    context, tables = _context(root, settings=settings), options.pop("tables", "1,4")
    return hand_off(context, name, out, profiles=("defensible",), tables=tables, **options)


@pytest.fixture(scope="module")
def package(_study_lake, tmp_path_factory):
    """A package of a delivered lake, and what made it."""
    out = tmp_path_factory.mktemp("handed") / "package"
    made, checks = _hand_off(_study_lake, out, authors=["Li, Mei", "Ritz GmbH"])
    return out, made, checks


def _stata(path):
    with StataReader(path, convert_categoricals=False) as reader:
        return reader.read()


def test_the_panel_reads_back_equal_to_the_last_bit_from_every_file(package):
    out, made, _ = package
    frames = {
        "csv": pd.read_csv(out / "study.csv", float_precision="round_trip", dtype={"city_id": str, "province_code": str}),
        "parquet": pd.read_parquet(out / "study.parquet"), "dta": _stata(out / "study.dta"),
    }
    for ending, read in frames.items():
        assert list(read) == list(made.frame), ending
        for name in made.frame:
            ours = made.frame[name]
            if pd.api.types.is_numeric_dtype(ours):
                assert read[name].to_numpy(float).tobytes() == ours.to_numpy(float).tobytes(), (ending, name)
            else:
                assert read[name].astype(str).tolist() == ours.astype(str).tolist(), (ending, name)


def test_the_stata_file_has_labels_in_two_languages_and_notes(package):
    out, made, _ = package
    _, meta = pyreadstat.read_dta(str(out / "study.dta"))
    assert meta.column_names_to_labels["lnAgg"] == "Log of non-agricultural population"
    assert meta.variable_value_labels["city"][320400] == "Changzhou"
    assert meta.value_labels["province_zh"][320000] == "江苏省" and meta.value_labels["s_large_zh"] == {0: "否", 1: "是"}
    assert any(made.handed.sha256 in note for note in meta.notes) and any("version 0" in note for note in meta.notes)
    raw = (out / "study.dta").read_bytes()
    assert b"_lang_list\0" in raw and "城市（代码，数值）".encode() in raw and b"_lang_l_zh\0" in raw


def test_few_firms_never_leave_and_the_tables_are_those_of_what_is_left(package):
    out, made, _ = package
    data = pd.read_csv(out / "study.csv", dtype={"city_id": str})
    cell = data[(data["city_id"] == FEW[0]) & (data["year"] == FEW[1])].iloc[0]
    exported = [name for name in data if re.search(r"lnvalue|lnnum|value_usd|n_products|n_destinations", name)]
    assert cell[exported].isna().all() and cell["is_complete"] == 0 and not np.isnan(cell["lnAgg"])
    assert made.n_suppressed == 1
    numbers = pd.read_csv(out / "numbers.csv")
    gap = (numbers["coefficient"] - numbers["lake_coefficient"]).abs()
    assert 0 < gap.max() < 0.1 and numbers["lake_coefficient"].notna().all()
    assert "1 city-years of fewer than 3 firms" in (out / "README.md").read_text("utf-8")


def test_scripts_give_the_numbers_and_the_readme_says_how_near(package):
    out, _, checks = package
    assert len(checks) == 12 and max(check.worst for check in checks) < 1e-9
    text = (out / "README.md").read_text("utf-8")
    for heading in (
        "## Overview", "### Statement about rights", "### Summary of availability", "## Dataset list",
        "### Software requirements", "### Memory, runtime and storage requirements", "## Instructions to replicators",
        "## List of tables and programs", "## References",
    ):
        assert heading in text
    assert "Customs records (confidential)" in text and "9 files with 63 lines" in text and "| count | 12 | counted |" in text
    assert "GENERATED" not in text


def test_every_file_is_in_the_checksums_and_in_the_descriptor(package):
    out, _, _ = package
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    lines = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text("utf-8").splitlines())
    assert set(lines) == set(files) - {"SHA256SUMS"}
    assert all(hashlib.sha256(files[name].read_bytes()).hexdigest() == digest for name, digest in lines.items())
    descriptor = json.loads((out / "datapackage.json").read_text("utf-8"))
    resources = {one["path"]: one for one in descriptor["resources"]}
    assert set(resources) == set(files) - {"SHA256SUMS", "datapackage.json"}
    assert all(re.fullmatch(r"[-a-z0-9._]+", one["name"]) for one in resources.values())
    fields = resources["study.csv"]["schema"]["fields"]
    assert [field["name"] for field in fields] == list(pd.read_csv(out / "study.csv", nrows=0))
    assert resources["study.csv"]["schema"]["primaryKey"] == ["city", "year"]


def test_the_descriptor_is_a_valid_data_package(package):
    frictionless = pytest.importorskip("frictionless", reason="the validator of data packages is not installed")
    report = frictionless.validate(str(package[0] / "datapackage.json"))
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "note"])[:5]
    assert report.stats["tasks"] == len(list(package[0].rglob("*.*"))) - 1


def test_citation_codebook_and_configuration_are_what_others_read(package):
    out, made, _ = package
    citation = yaml.safe_load((out / "CITATION.cff").read_text("utf-8"))
    assert citation["type"] == "dataset" and citation["authors"][0] == {"family-names": "Li", "given-names": "Mei"}
    rows = pd.read_csv(out / "codebook.csv")
    assert rows["name"].tolist() == list(made.frame) and rows["meaning"].notna().all()
    assert (rows["meaning_zh"].str.contains(r"[\u4e00-\u9fff]")).all()
    assert "<td>集聚（标准化）</td>" in (out / "codebook.html").read_text("utf-8")
    frozen = load_settings(config_file=out / "configuration.toml", environment={})
    assert frozen.sha256() == load_settings(environment={}).sha256()
    assert tomllib.loads((out / "table_files" / "table4.toml").read_text("utf-8"))["number"] == 4
    assert len(pd.read_csv(out / "inputs.csv")) == 9


@pytest.mark.parametrize("name", ["a b", "../x", "", "con", "表", "x" * 61, ".hidden"])
def test_a_name_that_is_no_name_of_a_file_is_refused(study_lake, tmp_path, name):
    with pytest.raises(InputRefusedError, match="--study: the name becomes the name of files"):
        _hand_off(study_lake, tmp_path / "out", name)


def test_a_folder_that_holds_something_is_left_alone(study_lake, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputRefusedError, match="expected a new or an empty folder; found mine.txt"):
        _hand_off(study_lake, tmp_path / "out")
    with pytest.raises(InputRefusedError, match="found a file"):
        _hand_off(study_lake, tmp_path / "out" / "mine.txt")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_columns_of_ones_own_get_names_that_stata_allows(study_lake, tmp_path):
    long = "a_control_of_mine_with_a_name_of_forty_letters"
    panel = LakeReader.look(str(study_lake))["gold.city_panel"].to_pandas()
    (tmp_path / "mine").mkdir()
    panel[["city_id", "year"]].assign(**{long: range(len(panel)), "int": 1.5}).to_csv(tmp_path / "mine" / "m.csv", index=False)
    (tmp_path / "mine" / "mine.toml").write_text(
        f'number = 9\n[panel]\nextra = "m.csv"\n[[column]]\ndependent = "lnvalue"\nexogenous = ["lnrd", "{long}"]\n', "utf-8"
    )
    with pytest.raises(InputRefusedError, match="mine .*not recorded in this lake"):
        _hand_off(study_lake, tmp_path / "out", tables="9", table_files=tmp_path / "mine")
    with pytest.raises(InputRefusedError, match="'int': Stata allows 32 letters,.* be '_int' there"):
        refuse_names(StudyData(pd.DataFrame({"int": [1]})), {"int": "_int"})


def test_half_a_package_is_never_there(study_lake, tmp_path, monkeypatch):
    def full(*given, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jobs.commands.handoff.citation", full)
    with pytest.raises(OSError, match="No space"):
        _hand_off(study_lake, tmp_path / "place" / "out", tables="1")
    assert list((tmp_path / "place").iterdir()) == []


def test_without_the_exports_nobody_can_tell_the_small_cells_and_nothing_is_handed_over(study_lake, tmp_path):
    shutil.rmtree(study_lake / "gold" / "city_exports")
    with pytest.raises(InputRefusedError, match=r"gold.city_exports of the panel is not there any more.*fewest_firms=0"):
        _hand_off(study_lake, tmp_path / "out", tables="1")
    assert not (tmp_path / "out").exists()


def test_numbers_of_another_estimator_are_not_handed_over(study_lake, tmp_path):
    rows = pd.DataFrame(LakeReader.look(str(study_lake))["gold.estimate"].to_arrow().to_pylist())
    rows["estimate"] = rows["estimate"] * 1.001
    write_table(study_lake, "gold.estimate", rows)
    with pytest.raises(NotBalancedError, match=r"does not give our numbers in 3 of 6 commands: table1\.col1\.defensible"):
        _hand_off(study_lake, tmp_path / "out", tables="1", settings=["privacy.fewest_firms=0"])
    assert not (tmp_path / "out").exists()


def test_a_study_that_is_not_whole_is_refused_with_every_reason_unless_accepted(study_lake, tmp_path):
    lake = LakeReader.look(str(study_lake))
    rows = pd.DataFrame(lake["gold.estimate"].to_arrow().to_pylist())
    failed = (rows["result_table"] == "table4") & (rows["result_column"] == "col3")
    rows.loc[failed & (rows["term"] != "(model)"), "estimate"] = None
    rows.loc[failed, "failure"] = "8 cities in it, expected at least 10"
    write_table(study_lake, "gold.estimate", rows[~failed | (rows["term"] == "(model)")])
    panel = pd.DataFrame(lake["gold.city_panel"].to_arrow().to_pylist())
    panel.loc[panel["year"] == 2011, ["lnvalue", "z_lnvalue"]] = None
    write_table(study_lake, "gold.city_panel", panel)
    with pytest.raises(InputRefusedError) as refused:
        _hand_off(study_lake, tmp_path / "out", at=0, tables="4")
    assert "table4 (defensible) (3) lnvalue, small cities: not estimated: 8 cities" in str(refused.value)
    estimates = pd.DataFrame(lake["gold.estimate"].to_arrow().to_pylist())
    write_table(study_lake, "gold.estimate", estimates.assign(panel_version=1))
    with pytest.raises(InputRefusedError, match=r"(?s)no exports of 2011; the lake has 2003-2010 of 2003-2011.*8 cities"):
        _hand_off(study_lake, tmp_path / "out", tables="4")
    write_table(study_lake, "gold.estimate", estimates.assign(panel_version=0))
    made, _ = _hand_off(study_lake, tmp_path / "out", tables="4", accept_incomplete=True)
    assert any("8 cities" in sentence for sentence in made.without)
    assert "## What is missing" in (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "* not estimated: 8 cities" in (tmp_path / "out" / "tables.do").read_text("utf-8")


def test_versions_pinned_under_the_name_are_used_and_another_configuration_is_refused(study_lake, tmp_path):
    pin = {"pin_name": "paper-2015", "table_name": "gold.city_panel", "table_version": 7, "pin_status": "pinned",
           "pinned_at": MOMENT, "run_id": "r"}
    write_table(study_lake, "ops.pin", [pin])
    with pytest.raises(InputRefusedError, match="nothing was estimated on version 7"):
        _hand_off(study_lake, tmp_path / "out", "paper-2015")
    with pytest.raises(InputRefusedError, match="estimated under configuration .* Give the same --profile"):
        hand_off(_context(study_lake, profile="paper"), "study", tmp_path / "out", profiles=("defensible",), tables="1")


def test_the_command_ends_with_its_code_and_starts_no_java(study_lake, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--lake", str(study_lake), "--study", "s1", "--tables", "1", "--study-profile", "defensible"]
    assert run_command(["handoff", *words, "--out", "out"]) == EXIT_DONE
    assert "6 commands, largest difference" in capsys.readouterr().out
    assert run_command(["handoff", *words, "--out", "out"]) == EXIT_REFUSED
    assert "found CITATION.cff" in capsys.readouterr().err
    unknown = ["--study-profile", "defensible", "--tables", "77", "--out", "new"]
    assert run_command(["handoff", *words[:4], *unknown]) == EXIT_REFUSED


def test_generated_data_carry_the_banner_everywhere_and_are_whole(study_lake, tmp_path):
    marker = json.loads((study_lake / "_customs_lake.json").read_text())
    (study_lake / "_customs_lake.json").write_text(json.dumps(marker | {"origin": "generated"}))
    made, _ = _hand_off(study_lake, tmp_path / "out", tables="1")
    assert made.n_suppressed == 0
    for name in ("README.md", "tables.do", "tables.R", "codebook.html", "datapackage.json", "CITATION.cff"):
        assert "GENERATED DATA" in (tmp_path / "out" / name).read_text("utf-8"), name
    assert "Generated data" in (tmp_path / "out" / "results" / "defensible" / "table1.txt").read_text("utf-8")
    _, meta = pyreadstat.read_dta(str(tmp_path / "out" / "study.dta"), metadataonly=True)
    assert meta.notes[0].startswith("GENERATED DATA") and "GENERATED" in meta.file_label


def test_the_world_beside_a_package_comes_with_commands_that_parse(study_lake, tmp_path, monkeypatch):
    asked = {}
    # the generator has tests of its own; here a small one takes its place
    monkeypatch.setattr("jobs.commands.handoff.WORLD_RECORDS", 2_000)
    whole = generate

    def few(out, **options):
        asked.update(options)
        return whole(out, n_cities=3, years=(2003,), **options)

    monkeypatch.setattr("jobs.generate.generate", few)
    out = tmp_path / "out"
    _hand_off(study_lake, out, tables="1", with_world=True)
    assert asked["records"] == 2_000 and (out / "world" / "truth" / "world.json").is_file()
    text = (out / "world" / "run.sh").read_text("utf-8")
    readme = (out / "README.md").read_text("utf-8")
    assert "GENERATED DATA" in text and "sh world/run.sh" in readme
    lines = [line for line in (*text.splitlines(), *readme.splitlines()) if line.strip().startswith("customs-lake")]
    commands = [shlex.split(line.partition("||")[0].strip())[1:] for line in lines]
    assert [words[0] for words in commands] == ["run", "estimate", "handoff"] * 2
    parsed = [parse(words[0], words[1:]) for words in commands]
    assert parsed[2].tables == parsed[5].tables == "1" and parsed[2].study == "study-generated" and parsed[5].study == "study"
    assert all((out / "world" / path).exists() for path in ("../configuration.toml", "../table_files", "raw"))


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R, which the image of the tests may lack")
def test_r_opens_the_stata_file_and_gives_the_numbers(package, tmp_path):
    place = shutil.copytree(package[0], tmp_path / "package")
    text = (place / "tables.R").read_text("utf-8")
    # the formulas alone: plm is tried where the scripts are tested
    (place / "tables.R").write_text(text.replace('has("plm")', "FALSE").replace('has("pdynmc")', "FALSE"), encoding="utf-8")
    ran = subprocess.run(["Rscript", "tables.R"], cwd=place, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr[-2000:]
    worst = re.search(r"formulas +(\S+) in 6 of 6 columns", ran.stdout)
    assert worst and float(worst.group(1)) < 1e-9
