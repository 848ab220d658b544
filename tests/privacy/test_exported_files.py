"""A text of a record is a text in every file that is handed out, and half a file is never left behind; no JVM."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest
from openpyxl import load_workbook

from jobs.commands.exported_files import safe_text, write_file

FORMULAS = ["=1+1", "+86 571", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\x01", " =1", "＝1+1", "\n=1"]
TEXTS = ["公司", "a=b", "1-2", "", "100", "'x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(text):
    assert safe_text(text) == f"'{text}"


@pytest.mark.parametrize("value", [*TEXTS, None, -1, -1.5, Decimal("-1.00")])
def test_other_texts_and_numbers_stay(value):
    assert safe_text(value) is value


def test_csv_prefixes_texts_only_and_says_how_many(tmp_path):
    rows = pd.DataFrame({"firm_name": [*FORMULAS, "公司"], "value": [Decimal("-1.50")] * 11, "n": -1})
    changed = write_file(rows, tmp_path / "out.csv")
    back = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    assert changed.prefixed == len(FORMULAS) and "--raw-text" in changed.text()
    assert all(text.startswith("'") for text in back["firm_name"][: len(FORMULAS)])
    assert set(back["value"]) == {"-1.50"} and set(back["n"]) == {"-1"}
    assert write_file(rows, tmp_path / "raw.csv", raw_text=True).text() == ""
    again = pd.read_csv(tmp_path / "raw.csv", dtype=str, keep_default_na=False, lineterminator="\n")
    assert list(again["firm_name"])[:4] == FORMULAS[:4]


def test_excel_cells_are_texts_and_what_it_cannot_hold_is_replaced_and_counted(tmp_path):
    rows = pd.DataFrame(
        {
            "text": ["=1+1", "=HYPERLINK(\"x\")", "a\x0bb", "长" * 40_000, None],
            "usd": [Decimal("1.25"), None, Decimal("3"), Decimal("4"), Decimal("5")],
            "at": [dt.datetime(2003, 1, 2)] * 5, "repairs": [["a"], [], None, ["b"], ["c"]], "ok": True,
        }
    )
    changed = write_file(rows, tmp_path / "out.xlsx", title="silver_quarantine")
    sheet = load_workbook(tmp_path / "out.xlsx").active
    assert {sheet.cell(row, 1).data_type for row in (2, 3, 4, 5)} == {"s"}
    assert sheet["A2"].value == "=1+1" and sheet["A4"].value == "a\ufffdb" and len(sheet["A5"].value) == 32_767
    assert sheet["B2"].value == 1.25 and sheet["C2"].value == dt.datetime(2003, 1, 2) and sheet["E2"].value is True
    assert (changed.replaced, changed.cut) == (1, 1) and "1 texts hold characters" in changed.text()


@pytest.mark.parametrize("ending", ["csv", "xlsx", "parquet"])
def test_failed_export_leaves_no_file_and_keeps_the_former_one(tmp_path, ending):
    class Broken:
        def __str__(self):
            raise OSError("No space left on device")

    target = tmp_path / f"out.{ending}"
    target.write_bytes(b"former")
    with pytest.raises(Exception):  # noqa: B017  (each writer has its own)
        write_file(pd.DataFrame({"a": ["x", Broken()]}), target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name] and target.read_bytes() == b"former"
