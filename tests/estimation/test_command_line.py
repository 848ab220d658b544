"""The command line and specification files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from estimation import GMMStyle, IVStyle, SystemGMM, read_case
from estimation.__main__ import main
from estimation.dynamic_panel.model import PanelGMM
from estimation.dynamic_panel.specfile import case_from_machine
from estimation.errors import SpecificationError

TOML = """
dependent = "y"
regressors = ["L.y", "x", "w"]
entity = "id"
time = "year"
time_effects = "level"

[[gmm]]
variables = ["y", "x"]
lags = [2, 3]
collapse = true

[[iv]]
variables = ["w", "z"]

[fit]
steps = 2
small = true
"""

MACHINE = {
    "y": "y",
    "x": ["L.y", "x", "w"],
    "twostep": True,
    "robust": True,
    "small": True,
    "time_effects": "level",
    "gmm": [{"vars": ["y", "x"], "lag": [2, 3], "collapse": True}],
    "iv": [{"vars": ["w", "z"]}],
}


@pytest.fixture
def files(tmp_path, gapped) -> dict[str, Path]:
    paths = {"data": tmp_path / "panel.csv", "toml": tmp_path / "model.toml", "json": tmp_path / "case.json"}
    gapped.to_csv(paths["data"], index=False)
    paths["toml"].write_text(TOML, encoding="utf-8")
    case = {"machine_spec": MACHINE, "data_id": "id", "data_time": "year"}
    paths["json"].write_text(json.dumps(case), encoding="utf-8")
    return paths


def test_json_output_equals_the_fit(files, gapped, capsys):
    assert main(["fit", "--spec", str(files["json"]), "--data", str(files["data"]), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    results = SystemGMM(
        gapped,
        entity="id",
        time="year",
        dependent="y",
        regressors=["x", "w"],
        time_effects="level",
        instruments=[GMMStyle(["y", "x"], (2, 3), True), IVStyle(["w", "z"])],
    ).fit(small=True)
    assert printed["coefs"]["x"] == pytest.approx([results.params["x"], results.std_errors["x"]], rel=1e-9)
    assert {"ar1", "ar2", "hansen", "sargan", "df", "n_obs", "n_groups", "n_instruments"} <= set(printed["tests"])
    assert [
        set(line) >= {"group", "excluding", "excluding_df", "difference", "difference_df", "p"}
        for line in printed["diff_in_hansen"]
    ] == [True] * 4


def test_toml_and_machine_spec_are_the_same_case(files):
    toml, machine = read_case(files["toml"]), read_case(files["json"])
    assert toml.spec == machine.spec and (toml.entity, toml.time) == (machine.entity, machine.time)
    assert toml.options.covariance == machine.options.covariance == "windmeijer"


def test_summary_and_moments_are_printed(files, capsys):
    assert main(["fit", "--spec", str(files["toml"]), "--data", str(files["data"])]) == 0
    assert "System GMM, two-step" in capsys.readouterr().out
    assert main(["moments", "--spec", str(files["toml"]), "--data", str(files["data"])]) == 0
    assert capsys.readouterr().out.startswith("group,style,equation,variable,lag,period,kept,weighted,reason\n")


def test_module_runs_as_a_program(files):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "estimation",
            "fit",
            "--spec",
            str(files["toml"]),
            "--data",
            str(files["data"]),
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0 and json.loads(done.stdout)["tests"]["n_groups"] == 90


def test_refused_input_says_why_on_standard_error(files, capsys):
    files["data"].write_text("id,year,y\n1,2000,1\n1,2000,2\n", encoding="utf-8")
    assert main(["fit", "--spec", str(files["toml"]), "--data", str(files["data"]), "--json"]) == 4
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("UnknownColumnError: variable 'x'")
    assert main(["fit", "--spec", "absent.toml", "--data", str(files["data"])]) == 4
    assert "cannot be read" in capsys.readouterr().err
    assert main(["fit", "--spec", str(files["toml"]), "--data", "absent.csv"]) == 4


def test_keys_may_come_from_the_command_line(files, tmp_path, capsys):
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps({"machine_spec": MACHINE}), encoding="utf-8")
    arguments = ["fit", "--spec", str(bare), "--data", str(files["data"])]
    assert main(arguments) == 4
    assert "--entity" in capsys.readouterr().err
    assert main([*arguments, "--entity", "id", "--time", "year"]) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"Y": 1},
        {"gmm": [{"vars": ["y"], "lags": 2}]},
        {"gmm": [{"lag": [2, 3]}]},
        {"iv": [{"vars": ["w"], "eq": "all"}]},
        {"iv": ["w"]},
        {"h": 7},
        {"gmm": [{"vars": ["y"], "lag": [2, 3], "depth": 1}]},
    ],
    ids=str,
)
def test_faulty_machine_spec_is_refused(change):
    with pytest.raises(SpecificationError):
        case_from_machine({"machine_spec": MACHINE | change})


def test_faulty_files_are_refused(tmp_path):
    for name, text in (
        ("a.json", "{"),
        ("a.toml", "x = ["),
        ("b.json", "[1]"),
        ("b.toml", "dependent = 'y'"),
        ("c.toml", "dependent = 'y'\nregressors = ['x']\ndepth = 2"),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SpecificationError, match=name if name[0] != "b" or name[2] == "t" else "table"):
            read_case(path)


def test_robust_false_after_two_steps_is_the_uncorrected_covariance(gapped):
    case = case_from_machine({"machine_spec": MACHINE | {"robust": False}, "data_id": "id", "data_time": "year"})
    assert PanelGMM.from_case(gapped, case).fit_options(case.options).cov_type == "unadjusted"
