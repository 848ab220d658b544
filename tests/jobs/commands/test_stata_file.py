"""A table as a Stata file: every value read back to the last bit by two readers, labels, and Stata's limits."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from jobs.commands.exported_files import write_file
from jobs.commands.stata_file import MAX_NAME, stata_names
from jobs.core.errors import InputRefusedError

ROWS = pd.DataFrame({
    "city_id": ["320400", "310000", None],
    "city_name": ["常州", "上海", "x" * 3000],
    "year": np.array([2003, 2004, 2005], dtype="int32"),
    "lnvalue": [np.pi, np.nan, 5e-324],
    "value_usd": [Decimal("10.25"), Decimal("99999999999.99"), None],
    "is_complete": [True, False, True],
    "is_known": pd.array([True, None, False], dtype="boolean"),
    "n_records": pd.array([1, None, 2**40], dtype="Int64"),
    "missing_variables": [["lnRes"], [], np.array(["a", "b"])],
    "built_at": pd.to_datetime(["2020-01-01 10:00:00.123", None, "2021-02-03"], format="ISO8601"),
})


def test_values_read_back_equal_to_the_last_bit_by_two_readers(tmp_path):
    write_file(ROWS, tmp_path / "t.dta", title="gold_t", labels={"lnvalue": "Log value (log US dollars)"})
    for back in (pd.read_stata(tmp_path / "t.dta"), pyreadstat.read_dta(str(tmp_path / "t.dta"))[0]):
        assert back["city_id"].tolist() == ["320400", "310000", ""]
        assert back["city_name"].tolist()[:2] == ["常州", "上海"]
        assert back["year"].tolist() == [2003, 2004, 2005]
        assert back["lnvalue"].to_numpy(float).tobytes() == ROWS["lnvalue"].to_numpy(float).tobytes()
        assert back["value_usd"].tolist()[:2] == [10.25, 99999999999.99] and np.isnan(back["value_usd"].iloc[2])
        assert back["is_complete"].tolist() == [1, 0, 1]
        assert back["n_records"].tolist()[::2] == [1.0, 2.0**40] and np.isnan(back["n_records"].iloc[1])
        assert back["missing_variables"].tolist() == ["['lnRes']", "[]", "['a', 'b']"]
    back = pd.read_stata(tmp_path / "t.dta")
    assert len(back["city_name"].iloc[2]) == 3000
    assert back["built_at"].tolist()[0] == pd.Timestamp("2020-01-01 10:00:00.123") and back["built_at"].isna().iloc[1]
    meta = pyreadstat.read_dta(str(tmp_path / "t.dta"), metadataonly=True)[1]
    assert meta.column_names_to_labels["lnvalue"] == "Log value (log US dollars)"
    assert meta.file_label == "gold_t"


def test_long_labels_are_cut_and_names_that_stata_refuses_are_changed_and_counted(tmp_path):
    rows = pd.DataFrame({"a" * 40: [1.0], "a" * 41: [2.0], "if": [3.0], "str20": [4.0], "2003": [5.0]})
    changed = write_file(rows, tmp_path / "t.dta", labels={"if": "x" * 100})
    assert changed.renamed == 5 and "name that Stata allows" in changed.text()
    back = pd.read_stata(tmp_path / "t.dta")
    assert list(back.columns) == ["a" * 32, "a" * 30 + "_2", "_if", "_str20", "_2003"]
    assert back.iloc[0].tolist() == [1, 2, 3, 4, 5]
    meta = pyreadstat.read_dta(str(tmp_path / "t.dta"), metadataonly=True)[1]
    assert meta.column_names_to_labels["_if"] == "x" * 77 + "..."


def test_names_stay_apart_and_within_the_limit():
    names = stata_names([f"{'v' * 40}{number}" for number in range(120)])
    assert len(set(names.values())) == 120 and max(map(len, names.values())) <= MAX_NAME


@pytest.mark.parametrize("values", [[np.inf], [1e308], [2**60]])
def test_numbers_beyond_stata_are_refused_and_leave_no_file(tmp_path, values):
    with pytest.raises(InputRefusedError, match="beyond what Stata holds"):
        write_file(pd.DataFrame({"v": values}), tmp_path / "t.dta")
    assert list(tmp_path.iterdir()) == []


def test_a_table_without_rows_is_a_file(tmp_path):
    write_file(ROWS.iloc[:0], tmp_path / "t.dta")
    assert list(pd.read_stata(tmp_path / "t.dta").columns) == list(ROWS.columns)
