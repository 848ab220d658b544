"""Stata deliveries: old files with GB18030 bytes, new ones in UTF-8, numbers as text, value labels, broken files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.io.stata import StataWriter

from conf.layouts import load_layouts
from jobs.core.errors import InputRefusedError
from jobs.kernels import limits, stata_tables
from jobs.kernels.sources import local_file, look_at, read_batches
from jobs.kernels.texts import number_texts
from jobs.readers.customs_files import inspect_file

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


def read(path):
    with open(path, "rb") as stream:
        head = stata_tables.read_head(stream, path.name)
        return head, list(stata_tables.read_rows(stream, head, path.name))


def canonical(path, **options):
    look = look_at(local_file(path, path.parent), load_layouts(), **options)
    batches = [batch for _, batch in read_batches(local_file(path, path.parent), look.parts, load_layouts())]
    return look, pd.concat([batch.to_pandas() for batch in batches], ignore_index=True)


@pytest.mark.parametrize(("write", "encoding"), [(write_old, "gb18030"), (write_new, "utf-8")], ids=["114", "118"])
def test_names_texts_and_numbers_come_back_as_they_were(tmp_path, write, encoding):
    path = write(tmp_path / "2007_1.dta", ROWS)
    head, (rows,) = read(path)
    assert list(head.headings) == list(ROWS.columns)
    found = dict(zip(head.headings, (column.to_pylist() for column in rows.columns), strict=True))
    assert {name: found[name] for name in TEXTS} == TEXTS
    found = inspect_file(path, tmp_path)
    assert (found.layout.name, found.encoding, found.delimiter) == ("yearly_underscore", encoding, "")
    assert (found.year, found.month, found.n_lines, found.n_bytes) == (2007, None, 3, path.stat().st_size)


def test_numbers_read_back_as_the_same_number_whatever_their_size():
    draws = np.random.default_rng(3).standard_normal(400) * 10.0 ** np.arange(-200.0, 200.0)
    values = np.concatenate([draws, [0.1, 1e-7, 2.0**53, 2.0**60, -7.0]])
    texts = number_texts(values).to_pylist()
    assert [float(text) for text in texts] == values.tolist()
    assert not any("e" in text for text in texts)
    assert number_texts(np.array([0.1, 16777217.0], dtype=np.float32)).to_pylist() == ["0.1", "16777216"]


def test_pieces_are_joined_without_loss(tmp_path, monkeypatch):
    path = write_old(tmp_path / "2007_1.dta", pd.concat([ROWS] * 3, ignore_index=True))
    monkeypatch.setattr(stata_tables, "CHUNK_ROWS", 2)
    # three rows a piece
    monkeypatch.setattr(limits, "PIECE_BYTES", 3 * read(path)[0].row.itemsize)
    look, rows = canonical(path)
    assert [(piece.start, piece.stop, piece.rows_before, piece.n_rows) for piece in look.parts[0].pieces] == [
        (0, 3, 0, 3), (3, 6, 3, 3), (6, 9, 6, 3)
    ]
    assert rows["source_row"].tolist() == list(range(1, 10))
    assert rows["hs_code"].tolist() == TEXTS["_税号编码"] * 3


def test_value_labels_win_over_the_number(tmp_path):
    coded = ROWS.assign(
        _进口或出口=pd.Categorical.from_codes([0, 1, 0], ["出口", "进口"]),
        _起运国或目的国=pd.Categorical.from_codes([2, 0, 1], ["德国", "日本", "美国"]),
    )
    look, rows = canonical(write_new(tmp_path / "2007_1.dta", coded))
    assert rows["flow"].tolist() == ["出口", "进口", "出口"]
    assert rows["partner"].tolist() == ["美国", "德国", "日本"]
    assert look.parts[0].noticed == {"value labels of _进口或出口": 3, "value labels of _起运国或目的国": 3}


def test_a_number_without_label_among_labelled_ones_is_read_as_no_code(tmp_path):
    path = tmp_path / "2007_1.dta"
    rows = ROWS.assign(_进口或出口=np.array([1, 2, 3], np.int8), _起运国或目的国=np.array([101, 102, 502], np.int16))
    labels = {"_进口或出口": {1: "出口", 2: "进口"}, "_起运国或目的国": {101: "德国", 102: "日本"}}
    rows.to_stata(path, write_index=False, version=118, value_labels=labels)
    look, found = canonical(path)
    assert found["flow"].tolist() == ["出口", "进口", "no label: 3"]
    assert found["partner"].tolist() == ["德国", "日本", "no label: 502"]
    assert look.parts[0].noticed["numbers without a label of _起运国或目的国"] == 1


def test_labels_that_describe_codes_or_a_few_amounts_leave_the_numbers(tmp_path):
    path = tmp_path / "2007_1.dta"
    labels = {"_税号编码": {1012110: "马", 84713010: "电脑", 61091000: "汗衫"}, "_数量": {-9: "不详"}}
    ROWS.assign(_数量=np.array([5, -9, 7], np.int16)).to_stata(path, write_index=False, version=118, value_labels=labels)
    _, found = canonical(path)
    assert found["hs_code"].tolist() == TEXTS["_税号编码"] and found["quantity"].tolist() == ["5", "不详", "7"]


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        ("td", ["2007-03-31", None, "2007-12-01"]), ("tc", ["2007-03-31", None, "2007-12-01"]),
        ("tm", ["2007-03", None, "2007-12"]), ("tq", ["2007", None, "2007"]), ("tw", ["2007", None, "2007"]),
        ("th", ["2007", None, "2007"]), ("ty", ["2007", None, "2007"]),
    ],
)
def test_dates_that_stata_counts_from_1960_come_as_dates(tmp_path, form, texts):
    dates = pd.to_datetime(pd.Series(["2007-03-31", None, "2007-12-01"]))
    ROWS.assign(_日期=dates).to_stata(tmp_path / "2007_1.dta", write_index=False, version=118, convert_dates={"_日期": form})
    look, found = canonical(tmp_path / "2007_1.dta")
    assert found["period"].tolist() == texts and found["row_year"].tolist()[::2] == [2007, 2007]
    assert set(look.content.years) == {2007, None}


@pytest.mark.parametrize(
    ("column", "numbers"), [("_进口或出口", [1, 2, 1]), ("_起运国或目的国", [3, 1, 2]), ("_消费地进口or生产地出口", [1, 2, 3])]
)
def test_small_numbers_whose_labels_are_lost_are_refused_with_the_way_out(tmp_path, column, numbers):
    path = write_new(tmp_path / "2007_1.dta", ROWS.assign(**{column: np.array(numbers, np.int8)}))
    with pytest.raises(InputRefusedError, match="labels were lost.*decode VARIABLE.*\\[values"):
        canonical(path)


def test_a_code_beyond_what_a_float_keeps_is_refused_and_one_within_is_not(tmp_path):
    path = write_new(tmp_path / "2007_1.dta", ROWS.assign(_税号编码=np.array([1012110, 85171199, 61091000], np.float32)))
    with pytest.raises(InputRefusedError, match="_税号编码 .hs_code. is stored as float and 2 of its 3 numbers"):
        canonical(path)
    short = write_new(tmp_path / "2007_2.dta", ROWS.assign(_税号编码=np.array([1012110, 1012110, 2071411], np.float32)))
    assert canonical(short)[1]["hs_code"].tolist() == ["1012110", "1012110", "2071411"]


def test_a_name_cut_in_the_middle_of_a_character_loads_and_is_counted(tmp_path):
    path = write_old(tmp_path / "2007_1.dta", ROWS.assign(_经营单位=["常州公司", "甲", "乙"]))
    path.write_bytes(path.read_bytes().replace("常州公司".encode("gb18030"), "常州公".encode("gb18030") + b"\xcb\0"))
    look, rows = canonical(path)
    assert rows["firm_name"].tolist() == ["常州公\ufffd", "甲", "乙"]
    assert look.parts[0].noticed == {"damaged text in firm_name": 1}
    with pytest.raises(InputRefusedError, match="not valid gb18030: texts with damaged bytes: 1 in firm_name"):
        canonical(path, strict=True)


def test_untranslated_texts_of_a_new_format_are_read_as_what_they_are(tmp_path):
    whole = write_new(tmp_path / "2007_2.dta", ROWS)
    stored = "江苏省常州".encode()
    whole.write_bytes(whole.read_bytes().replace(stored, "江苏省常州".encode("gb18030").ljust(len(stored), b"\0")))
    assert canonical(whole)[1]["production_place"].tolist() == TEXTS["_消费地进口or生产地出口"]


def _cut(path):
    path.write_bytes(path.read_bytes()[:-900])


def _no_stata(path):
    path.write_bytes(b"_\xc8\xd5\xc6\xda,1\n" * 30)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cut, "2007_1.dta: cannot be read as a Stata file .* was cut on the way"),
        (_no_stata, "2007_1.dta: cannot be read as a Stata file"),
        (lambda path: write_new(path, ROWS.drop(columns="_金额")), "match none of the .* also needs: _金额"),
        (lambda path: write_new(path, ROWS.iloc[:0]), "headings but no data lines"),
    ],
    ids=["cut", "no Stata file", "unknown variables", "no rows"],
)
def test_unusable_file_is_refused_with_what_was_found(tmp_path, spoil, message):
    path = write_old(tmp_path / "2007_1.dta", pd.concat([ROWS] * 20, ignore_index=True))
    spoil(path)
    with pytest.raises(InputRefusedError, match=message):
        inspect_file(path, tmp_path)


def test_rows_of_a_stata_file_are_those_of_the_text_file(tmp_path):
    stata = [write_old(tmp_path / "2007_1.dta", ROWS), write_new(tmp_path / "2007_2.dta", ROWS)]
    head, (rows,) = read(stata[0])
    texts = pd.DataFrame({name: column.to_pylist() for name, column in zip(head.headings, rows.columns, strict=True)})
    texts.to_csv(tmp_path / "2007_3.txt", sep="\t", index=False, encoding="gb18030")
    text = canonical(tmp_path / "2007_3.txt")[1]
    for path in stata:
        pd.testing.assert_frame_equal(canonical(path)[1], text)
    assert text["extra"].tolist() == [[("_网址", None)], [("_网址", None)], [("_网址", "无")]]
