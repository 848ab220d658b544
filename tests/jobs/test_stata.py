"""Stata deliveries: old files with GB18030 bytes, new ones in UTF-8, numbers as text, broken files."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pandas.io.stata import StataWriter

from jobs import ingest
from jobs.core.errors import InputRefusedError
from jobs.readers import stata
from jobs.readers.customs_files import inspect_file, list_raw_files

# 2007-2011 as public programs find them: codes and values are numbers, texts GB18030
ROWS = pd.DataFrame(
    {
        "_日期": np.array([2007, 2007, 2007], dtype=np.int16),
        "_进口或出口": np.array([0, 1, 0], dtype=np.int8),
        "_税号编码": np.array([1012110, 84713010, 61091000], dtype=np.int32),
        "_企业编码": ["3204910001", "310491000A", ""],
        "_消费地进口or生产地出口": ["江苏省常州", "上海市浦东新区", "浙江省绍兴"],
        "_起运国或目的国": np.array([502.0, np.nan, 110.0]),
        "_金额": np.array([1500.0, 0.25, 12345678901.5]),
        "_网址": ["", "", "无"],
    }
)
TEXTS = {
    "_税号编码": ["1012110", "84713010", "61091000"],
    "_企业编码": ["3204910001", "310491000A", None],
    "_消费地进口or生产地出口": ["江苏省常州", "上海市浦东新区", "浙江省绍兴"],
    "_起运国或目的国": ["502", None, "110"],
    "_金额": ["1500", "0.25", "12345678901.5"],
}


class OldWriter(StataWriter):
    """Writes format 114 as Stata 10-13 in a Chinese system did: names and texts are bytes without a known encoding."""

    def _validate_variable_name(self, name: str) -> str:
        return name


def _as_old_bytes(text):
    return text.encode("gb18030").decode("latin-1") if isinstance(text, str) else text


def write_old(path, rows: pd.DataFrame):
    stored = rows.rename(columns=_as_old_bytes)
    for name in stored.select_dtypes("object"):
        stored[name] = stored[name].map(_as_old_bytes)
    OldWriter(path, stored, write_index=False).write_file()
    return path


def write_new(path, rows: pd.DataFrame):
    rows.to_stata(path, write_index=False, version=118)
    return path


@pytest.mark.parametrize(("write", "encoding"), [(write_old, "gb18030"), (write_new, "utf-8")], ids=["114", "118"])
def test_names_texts_and_numbers_come_back_as_they_were(tmp_path, write, encoding):
    path = write(tmp_path / "2007_1.dta", ROWS)
    pieces = list(stata.read_texts(path, "2007_1.dta"))
    assert len(pieces) == 1 and list(pieces[0].columns) == list(ROWS.columns)
    assert {name: pieces[0][name].tolist() for name in TEXTS} == TEXTS
    found = inspect_file(path, tmp_path)
    assert (found.layout.name, found.encoding, found.delimiter) == ("yearly_underscore", encoding, "")
    assert (found.year, found.month, found.n_lines, found.n_bytes) == (2007, None, 3, path.stat().st_size)


def test_numbers_read_back_as_the_same_number_whatever_their_size():
    draws = np.random.default_rng(3).standard_normal(400) * 10.0 ** np.arange(-200.0, 200.0)
    values = np.concatenate([draws, [0.1, 1e-7, 2.0**53, 2.0**60, -7.0]])
    texts = stata._number_texts(values)
    assert [float(text) for text in texts] == values.tolist()
    assert not any("e" in text for text in texts)
    assert stata._number_texts(np.array([0.1, 16777217.0], dtype=np.float32)).tolist() == ["0.1", "16777216"]


def test_pieces_are_joined_without_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(stata, "CHUNK_ROWS", 2)
    path = write_old(tmp_path / "2007_1.dta", pd.concat([ROWS] * 3, ignore_index=True))
    pieces = list(stata.read_texts(path, "x"))
    assert [len(piece) for piece in pieces] == [2, 2, 2, 2, 1]
    numbered = list(stata._numbered(str(path), [f"c{k}" for k in range(8)]))
    assert pd.concat(numbered)["source_row"].tolist() == list(range(1, 10))
    assert inspect_file(path, tmp_path).n_lines == 9


def _cut(path):
    path.write_bytes(path.read_bytes()[:-900])


def _no_stata(path):
    path.write_bytes(b"_\xc8\xd5\xc6\xda,1\n" * 30)


def _damaged(path):
    content = path.read_bytes()
    path.write_bytes(content.replace("常州".encode("gb18030"), b"\xb3\xff\xd6\xdd"))


def _unicode_in_name_only(path):
    write_new(path, ROWS)
    path.write_bytes(path.read_bytes().replace("江苏省".encode(), "江苏省".encode("gb18030") + b"   "))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, "2007_1.dta: cannot be read as a Stata file .* was cut on the way"),
        (_no_stata, "2007_1.dta: cannot be read as a Stata file"),
        (_damaged, "variable _消费地进口or生产地出口, rows from 1 on: .* is not valid gb18030 .byte 7 of the text"),
        (_unicode_in_name_only, "not UTF-8: it was converted without translating"),
        (lambda path: write_new(path, ROWS.drop(columns="_金额")), "match none of the 4 .* also needs: _金额"),
        (lambda path: write_new(path, ROWS.iloc[:0]), "headings but no data lines"),
    ],
    ids=["cut", "no Stata file", "damaged text", "untranslated", "unknown variables", "no rows"],
)
def test_unusable_file_is_refused_with_what_was_found(tmp_path, spoil, message):
    path = write_old(tmp_path / "2007_1.dta", pd.concat([ROWS] * 20, ignore_index=True))
    spoil(path)
    with pytest.raises(InputRefusedError, match=message):
        inspect_file(path, tmp_path)


@pytest.mark.spark
def test_bronze_rows_of_a_stata_file_are_those_of_the_text_file(spark, tmp_path):
    write_old(tmp_path / "2007_1.dta", ROWS)
    write_new(tmp_path / "2007_2.dta", ROWS)
    texts = next(stata.read_texts(tmp_path / "2007_1.dta", "x"))
    texts.to_csv(tmp_path / "2007_3.txt", sep="\t", index=False, encoding="gb18030")
    assert [path.name for path in list_raw_files(tmp_path)] == ["2007_1.dta", "2007_2.dta", "2007_3.txt"]

    def bronze(*names):
        found = [inspect_file(tmp_path / name, tmp_path) for name in names]
        receipts = [
            {"source_file": item.source_file, "file_sha256": item.sha256, "source_month": item.month} for item in found
        ]
        first = found[0]
        group = SimpleNamespace(
            layout=first.layout, encoding=first.encoding, delimiter=first.delimiter, headings=first.headings,
            year=first.year, receipts=tuple(receipts),
        )
        rows = ingest.read_group(spark, tmp_path, group, "load").drop("loaded_at", "file_sha256")
        return [row.asDict() for row in rows.orderBy("source_file", "source_row").collect()]

    stata_rows, text_rows = bronze("2007_1.dta", "2007_2.dta"), bronze("2007_3.txt")
    assert [row.pop("source_file") for row in stata_rows] == ["2007_1.dta"] * 3 + ["2007_2.dta"] * 3
    assert {row.pop("source_file") for row in text_rows} == {"2007_3.txt"}
    assert stata_rows == text_rows * 2
    assert [row["source_row"] for row in text_rows] == [1, 2, 3]
    assert [row["extra"] for row in text_rows] == [{"_网址": None}, {"_网址": None}, {"_网址": "无"}]
