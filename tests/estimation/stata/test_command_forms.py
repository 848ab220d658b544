"""The command line beyond one case file: formulas, Stata, several columns, data of every kind, tables of every form."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import openpyxl
import pandas as pd
import pyreadstat
import pytest

from estimation import SystemGMM, read_case
from estimation.__main__ import main
from estimation.column_file import read_columns
from estimation.data_files import read_table, recognise_encoding
from estimation.errors import SpecificationError

KEYS = ["--entity", "id", "--time", "year"]
COLUMNS = """
entity = "id"
time = "year"
dependent = "y"
endogenous = ["x"]
exogenous = ["w"]

[[column]]
name = "system"

[[column]]
name = "difference"
system = false

[[column]]
name = "late"
formula = "y ~ L.y + x + w | gmm(y x, 2:3, collapse) + iv(w)"
sample = "year >= 2003"

[[column]]
name = "stata"
stata = "xtabond2 y L.y x w, gmm(y x, lag(2 3) collapse) iv(w) twostep robust"

[[column]]
name = "one-step"
n_lags = 3
collapse = false
fit = {steps = 1, small = true}
"""


@pytest.fixture
def chinese(panel):
    """The panel with a Chinese column and a column of text."""
    return panel.assign(省份=panel["province"].map(lambda code: f"广东{code}")).rename(columns={"x": "出口额"})


@pytest.fixture
def data(panel, tmp_path):
    path = tmp_path / "panel.csv"
    panel.to_csv(path, index=False)
    return path


# -- data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_text_is_read_in_any_encoding(chinese, tmp_path, encoding):
    path = tmp_path / "panel.csv"
    path.write_bytes(chinese.to_csv(index=False).encode(encoding))
    pd.testing.assert_frame_equal(read_table(path), chinese)


def test_western_european_text_is_not_taken_for_chinese(tmp_path):
    frame = pd.DataFrame({"cidade": ["São Paulo", "Brasília", "Goiânia", "Belém", "Übersee"], "x": range(5)})
    path = tmp_path / "panel.csv"
    path.write_bytes(frame.to_csv(index=False).encode("latin-1"))
    pd.testing.assert_frame_equal(read_table(path), frame)
    assert recognise_encoding("省份,出口\n北京,1\n".encode("gbk")) == "gb18030"


def test_an_encoding_may_be_named(tmp_path):
    path = tmp_path / "panel.csv"
    path.write_bytes("城市,x\n臺北,1\n".encode("big5"))
    assert list(read_table(path, encoding="big5").columns) == ["城市", "x"]
    with pytest.raises(SpecificationError, match="unknown encoding"):
        read_table(path, encoding="klingon")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "id;year;x\n1;2000;1,5\n1;2001;2,25\n"),
        ("a.tsv", "id\tyear\tx\n1\t2000\t1.5\n1\t2001\t2.25\n"),
        ("a.txt", "id|year|x\n1|2000|1.5\n1|2001|2.25\n"),
        ("a.csv", "\ufeffid, year, x\n1, 2000, 1.5\n1, 2001, 2.25\n"),
    ],
)
def test_separators_and_decimal_commas_are_recognised(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_table(path).to_dict("list") == {"id": [1, 1], "year": [2000, 2001], "x": [1.5, 2.25]}


def test_files_of_stata_of_old_and_new_release_are_read(chinese, tmp_path):
    new, old = tmp_path / "new.dta", tmp_path / "old.dta"
    pyreadstat.write_dta(chinese, new, version=15)
    read = read_table(new)
    assert read["省份"].tolist() == chinese["省份"].tolist() and read["y"].tolist() == chinese["y"].tolist()
    # before release 118 text is in the code page of the machine that wrote it, here GBK; its own writer cannot do that
    plain = chinese.rename(columns={"出口额": "x", "省份": "prov"})
    plain.assign(prov=plain["prov"].str.encode("gbk").str.decode("latin-1")).to_stata(old, version=114, write_index=False)
    assert read_table(old)["prov"].tolist() == chinese["省份"].tolist()


def test_parquet_excel_and_compressed_text_are_read(panel, tmp_path):
    panel.to_parquet(tmp_path / "a.parquet")
    panel.to_excel(tmp_path / "a.xlsx", index=False)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(panel.to_csv(index=False).encode()))
    for name in ("a.parquet", "a.xlsx", "a.csv.gz"):
        pd.testing.assert_frame_equal(read_table(tmp_path / name), panel, check_dtype=False)


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("a.csv", b"", "it is empty"),
        ("a.dta", b"no Stata here", "as a file of Stata"),
        ("a.parquet", b"PAR", "cannot be read"),
        ("a.xlsx", b"no", "cannot be read"),
        ("a.csv", b"\x00\x00\x00\x01" * 200, "binary file"),
        ("a.csv.gz", b"id,year", "cannot be read"),
        ("absent.csv", None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name, raw, says):
    if raw is not None:
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(SpecificationError, match=says):
        read_table(tmp_path / name)


# -- models ------------------------------------------------------------------------------------------------------------


def test_several_columns_of_one_file_stand_side_by_side(panel, data, tmp_path, capsys):
    spec = tmp_path / "columns.toml"
    spec.write_text(COLUMNS, encoding="utf-8")
    assert main(["fit", "--spec", str(spec), "--data", str(data), "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["system", "difference", "late", "stata", "one-step"]
    model = SystemGMM(panel, entity="id", time="year", dependent="y", endogenous="x", exogenous="w")
    assert printed["system"]["coefs"]["x"][0] == pytest.approx(model.fit().params["x"], rel=1e-9)
    # the same moments in Stata's words; two lags collapsed are the defaults of the classes
    assert printed["stata"]["coefs"]["L.y"] == pytest.approx(printed["system"]["coefs"]["L.y"], rel=1e-9)
    assert printed["late"]["tests"]["n_obs"] == 60 * 4 and "_cons" not in printed["difference"]["coefs"]
    assert printed["one-step"]["steps"] == 1 and printed["one-step"]["cov_type"] == "robust"
    assert main(["fit", "--spec", str(spec), "--data", str(data)]) == 0
    text = capsys.readouterr().out
    assert "difference" in text and "Instruments" in text


def test_the_five_yearly_panel_of_a_file_names_its_period(panel, tmp_path, capsys):
    five = panel.assign(year=1960 + 5 * (panel["year"] - 2000))
    five.to_csv(tmp_path / "five.csv", index=False)
    arguments = ["fit", "--formula", "y ~ L.y + x | gmm(y x, 2:3, collapse)", "--data", str(tmp_path / "five.csv"), *KEYS]
    assert main([*arguments, "--time-step", "5", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["tests"]["n_obs"] == 60 * 6
    spec = tmp_path / "five.toml"
    spec.write_text('formula = "y ~ L.y + x | gmm(y x, 2:3, collapse)"\nentity = "id"\ntime = "year"\ntime_step = 5\n')
    assert main(["fit", "--spec", str(spec), "--data", str(tmp_path / "five.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["coefs"] == printed["coefs"]


def test_a_formula_and_a_command_of_stata_need_no_file(data, capsys):
    formula = ["--formula", "y ~ L.y + x + w | gmm(y x, 2:3, collapse) + iv(w)"]
    stata = ["--stata", "xtabond2 y L.y x w, gmm(y x, lag(2 3) collapse) iv(w) twostep robust"]
    found = []
    for model in (formula, stata):
        assert main(["fit", *model, "--data", str(data), *KEYS, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["coefs"])
    assert found[0]["x"] == pytest.approx(found[1]["x"], rel=1e-12)
    assert main(["fit", *formula, "--data", str(data), *KEYS, "--sample", "year >= 2003", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tests"]["n_obs"] == 60 * 4
    assert main(["fit", *formula, "--difference", "--data", str(data), *KEYS]) == 0
    assert "Difference GMM" in capsys.readouterr().out
    assert main(["moments", *formula, "--data", str(data), *KEYS]) == 0
    assert capsys.readouterr().out.startswith("group,style")


def test_a_reader_that_stops_early_sees_no_traceback(data):
    """As in ``python -m estimation fit ... | head -1``."""
    model = ["--formula", "y ~ L.y | gmm(y, 2:3, collapse)", "--data", str(data)]
    command = [sys.executable, "-m", "estimation", "fit", *model, *KEYS]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('formula = "y ~ x"\ndependent = "y"', "leave dependent out"),
        ('stata = "xtabond2 y L.y, gmm(y)"\nregressors = ["x"]', "all but entity"),
        ('stata = "xtabond2 y L.y, gmm(y)"\nsample = "x > 0"', "a sample is its if"),
        ('dependent = "y"\nendogenous = 3', "expected names"),
        ('endogenous = ["x"]', "dependent: expected the name"),
        ('dependent = "y"\nendogenous = ["x"]\nlags = -1', "from 0 on"),
        ('dependent = "y"\nendogenous = ["x"]\ncollapse = "false"', "collapse"),
        ('dependent = "y"\nendogenous = ["x"]\ntime_step = "5"', "time_step: expected a whole number"),
        ("column = 3", "expected tables"),
        ('[[column]]\nname = "a"\nformula = "y ~"', "dependent ~ regressors"),
        ('dependent = "y"\nendogeneous = ["x"]\nregressors = ["x"]', "unknown settings"),
    ],
)
def test_a_faulty_file_of_columns_says_why(tmp_path, toml, says):
    path = tmp_path / "faulty.toml"
    path.write_text(toml, encoding="utf-8")
    with pytest.raises(SpecificationError, match=says):
        read_columns(path)


def test_one_specification_of_a_file_is_a_case(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text('dependent = "y"\nendogenous = ["x"]\nentity = "id"\ntime = "year"\n', encoding="utf-8")
    assert read_case(path).spec == SystemGMM(pd.DataFrame(), dependent="y", endogenous="x").spec
    path.write_text('stata = "xtabond2 y L.y if x > 0, gmm(y)"', encoding="utf-8")
    with pytest.raises(SpecificationError, match="estimation.stata.parse"):
        read_case(path)
    path.write_text(COLUMNS, encoding="utf-8")
    with pytest.raises(SpecificationError, match="found 5 columns"):
        read_case(path)
    path.write_bytes('dependent = "出口"'.encode("gbk"))
    with pytest.raises(SpecificationError, match="expected text in UTF-8"):
        read_case(path)


def test_a_column_that_cannot_be_estimated_is_named(data, tmp_path, capsys):
    spec = tmp_path / "columns.toml"
    spec.write_text(COLUMNS + '\n[[column]]\nname = "faulty"\nexogenous = ["absent"]\n', encoding="utf-8")
    assert main(["fit", "--spec", str(spec), "--data", str(data), "--out", str(tmp_path / "t.tex")]) == 4
    assert "column 'faulty'" in capsys.readouterr().err and not (tmp_path / "t.tex").exists()


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("t.txt", "Instruments"),
        ("t.md", "| | system |"),
        ("t.tex", r"\begin{tabular}"),
        ("t.html", "<table>"),
        ("t.json", '"coefs"'),
    ],
)
def test_the_form_follows_from_the_suffix(data, tmp_path, capsys, name, holds):
    spec = tmp_path / "columns.toml"
    spec.write_text(COLUMNS, encoding="utf-8")
    assert main(["fit", "--spec", str(spec), "--data", str(data), "--out", str(tmp_path / name)]) == 0
    assert "written" in capsys.readouterr().out
    assert holds in (tmp_path / name).read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_a_workbook_and_one_fit_in_every_form(data, tmp_path, capsys):
    fit = ["fit", "--formula", "y ~ L.y + x | gmm(y x, 2:3, collapse)", "--data", str(data), *KEYS]
    assert main([*fit, "--out", str(tmp_path / "t.xlsx")]) == 0
    assert openpyxl.load_workbook(tmp_path / "t.xlsx").sheetnames == ["table", "numbers"]
    capsys.readouterr()
    for form, holds in (("text", "Hansen J"), ("markdown", "| L.y |"), ("latex", r"\toprule"), ("html", "<td>")):
        assert main([*fit, "--format", form]) == 0
        assert holds in capsys.readouterr().out
    assert main([*fit, "--format", "excel"]) == 4
    assert main([*fit, "--out", str(tmp_path / "t.doc")]) == 4
    assert "expected a suffix" in capsys.readouterr().err
    assert main([*fit, "--out", str(tmp_path / "absent" / "t.txt")]) == 4
    assert "cannot be written" in capsys.readouterr().err
