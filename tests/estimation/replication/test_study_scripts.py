"""A study as scripts: what is written for Stata is read back to the same numbers; R computes them by formulas of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from conf.tables import read_table_files
from estimation.replication import check_script, r_script, stata_script, study_data
from estimation.replication.stata_script import in_words_of_xtdpdgmm, written_commands
from estimation.report.words import Word
from estimation.stata import parse
from estimation.tables import estimate_tables, parse_tables, print_table, table_panel

OWN = """number = 9
where = "city_name != \\"110000\\""
cluster = "province_code"
[panel]
extra = "mine.csv"
[[column]]
dependent = "lnvalue"
exogenous = ["lnrd", "my_control_of_a_name_of_forty_letters"]
[[column]]
dependent = "lnnum"
options = { scaling = "sample", lags = [2, "all"], collapse = true, time_effects = "both" }
[[column]]
dependent = "lnnum"
options = { cut = "both_periods", steps = 1, errors = "robust" }
where = "year >= 2005"
[[column]]
dependent = "lnvalue"
options = { transform = "fod", controls = "endogenous" }
[[column]]
dependent = "lnvalue"
where = "year > 2090"
"""
#: Rounding in another order of the same sums, by another program, of numbers of the order of one.
SAME_SUMS = 1e-9


@pytest.fixture(scope="module")
def own_tables(tmp_path_factory, study):
    """Tables with a condition, groups, own columns, samples scaled by themselves, deviations, and a column that fails."""
    folder = tmp_path_factory.mktemp("own")
    keys = study[0].natural[["city_id", "year"]]
    keys.assign(my_control_of_a_name_of_forty_letters=np.sin(np.arange(len(keys)))).to_csv(folder / "mine.csv", index=False)
    (folder / "mine.toml").write_text(OWN, encoding="utf-8")
    return read_table_files(folder)


@pytest.fixture(scope="module")
def data(study, classes, shipped, own_tables):
    """Shipped tables under both profiles, and tables of one's own."""
    panel = study[0]
    panel = type(panel)(panel.natural.assign(city_name=panel.natural["city_id"]), panel.constants)
    printed = []
    for given, profile, names in (
        (shipped, "defensible", ("table1", "table4", "table8")), (shipped, "paper", ("table1", "table6", "table8")),
        (own_tables, "defensible", ("mine",)),
    ):
        for table in parse_tables(*given, profile=profile):
            if table.name in names:
                own = table_panel(panel, table.extra)[0]
                printed.append((print_table(table, estimate_tables([table], own, classes)[table.name]), own))
    return study_data(printed, panel, classes)


def test_commands_read_back_from_the_script_give_our_numbers_on_its_data(data):
    checks = check_script(stata_script("demo", data), data.frame)
    assert {check.program for check in checks} == {"xtabond2", "xtdpdgmm"}
    assert max(check.worst for check in checks) < SAME_SUMS
    assert any(check.is_singular for check in checks), "31 provinces, more moments"
    blocks = {check.block for check in checks if check.program == "xtabond2" and check.n_terms}
    written = [block for block in data.blocks if block.command is not None and block.column.options.cut != "both_periods"]
    assert len(blocks) == len(written) and len(written) == 21


def test_a_wrong_number_in_the_script_is_found(data):
    script = stata_script("demo", data)
    line = re.search(r"    beside xtabond2 z_lnAgg (\S+) ", script)
    wrong = script[: line.start(1)] + repr(float(line.group(1)) + 0.01) + script[line.end(1) :]
    assert max(check.coefficients for check in check_script(wrong, data.frame)) == pytest.approx(0.01)


def test_what_a_program_has_no_words_for_is_said_in_its_place(data):
    script = stata_script("demo", data)
    assert "* xtabond2: xtabond2's if asks the row itself" in script
    assert "* not estimated: sample full: no city-year" in script
    assert "mine.col5.defensible: not estimated" in r_script("d", data)
    assert "mine.col4.defensible: in deviations" in r_script("d", data)


def test_nothing_of_a_title_ends_a_comment_or_a_text(data):
    title = 'large "/* // `x\' $y\nkeep if 0'
    odd = [replace(block, heading=Word(title, title), failure=title if block.failure else "") for block in data.blocks]
    script = stata_script("demo", replace(data, blocks=odd))
    assert max(check.worst for check in check_script(script, data.frame)) < SAME_SUMS
    headings = [line for line in script.splitlines() if "large '" in line]
    assert len(headings) > 20 and not any(sign in line for line in headings for sign in ("/*", "//", "`", "$"))
    assert all(line.count('"') in (0, 2) for line in headings) and "\nkeep if 0" not in script
    assert r'large \"/* // `x' in r_script("demo", replace(data, blocks=odd))


def test_every_line_of_the_script_fits_stata_and_every_block_has_its_two_languages(data):
    script = stata_script("demo", data, banner="GENERATED DATA")
    assert script.splitlines()[1] == "* GENERATED DATA"
    assert max(map(len, script.splitlines())) < 200
    assert "* (1) Export value, large cities · (1) 出口额，大城市" in script
    assert all(block.heading.zh for block in data.blocks)
    for command in written_commands(script):
        assert str(parse(command.text)) and "///" not in command.text


def test_a_variable_or_sample_that_columns_share_is_there_once(data):
    frame = data.frame
    assert not frame.columns.duplicated().any() and {"z_lnvalue", "s_large", "province"} <= set(frame.columns)
    assert "z_my_control_of_a_name_of_forty_letters"[:32] in frame
    made = frame[[name for name in data.labels if name in frame]].astype(float)
    values = [made[name].to_numpy().tobytes() for name in made if name.startswith("s_")]
    assert len(values) == len(set(values))
    assert all(len(name) <= 32 and re.fullmatch(r"[A-Za-z_]\w*", name) for name in data.labels)


def test_moments_over_both_equations_become_one_in_each_for_xtdpdgmm(data):
    spec = next(block for block in data.blocks if block.command is not None).command.spec
    twin = in_words_of_xtdpdgmm(spec)
    both = [group for group in spec.instruments if hasattr(group, "missing") and group.equation == "both"]
    assert both and len(twin.instruments) == len(spec.instruments) + len(both)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R, which the image of the tests may lack")
def test_r_gives_our_numbers_by_formulas_of_its_own(data, tmp_path):
    # plm is slow: a column of every kind
    some = [block for block in data.blocks if block.table == "mine" or block.position == 1]
    data = replace(data, blocks=some)
    frame = data.frame.drop(columns=["city_name"])
    frame.assign(is_city=frame["is_city"].astype(int)).to_csv(tmp_path / "demo.csv", index=False)
    (tmp_path / "tables.R").write_text(r_script("demo", data), encoding="utf-8")
    ran = subprocess.run(["Rscript", "tables.R"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr[-2000:]
    rows = [line.split() for line in ran.stdout.splitlines() if re.match(r"  (formulas|plm) +\S+ +[-\d.]", line)]
    read = pd.DataFrame([row[:8] for row in rows], columns=["by", "term", "b", "ours", "gap", "se", "se_ours", "se_gap"])
    gaps = read[["gap", "se_gap"]].astype(float).abs()
    formulas = read["by"] == "formulas"
    assert formulas.sum() == sum(len(block.numbers) for block in data.blocks) - 13  # but for deviations
    assert gaps[formulas].max().max() < SAME_SUMS, ran.stdout[-12000:]
    if (read["by"] == "plm").any():
        # another first-step weight and other moments for some controls: near, not equal
        assert gaps.loc[~formulas, "gap"].median() < 0.1
