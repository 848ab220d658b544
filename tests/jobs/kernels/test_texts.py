"""Texts as they come: encodings, separators, line breaks, headings, damage. The same five records each time."""

from __future__ import annotations

import codecs

import pytest
from deliveries import COLUMNS, HEADINGS, RECORDS, ROWS, lines, values

from conf.layouts import load_layouts, parse_layout, with_aliases
from jobs.core.errors import InputRefusedError
from jobs.kernels import limits
from jobs.kernels.delimited import Grammar, parse_lines


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("gb18030", b""), ("gbk", b""), ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE), ("utf-16-le", b""), ("utf-16-be", b""), ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
@pytest.mark.parametrize("delimiter", list(",\t;|^"))
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_encoding_separator_and_line_break_gives_the_same_records(deliver, encoding, mark, delimiter, newline):
    look, rows = deliver("data200506.txt", mark + lines(delimiter=delimiter, newline=newline).encode(encoding))
    assert values(rows) == RECORDS
    assert look.parts[0].noticed == {}


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16-le"])
def test_small_chunks_change_nothing(deliver, monkeypatch, encoding):
    monkeypatch.setattr(limits, "CHUNK_BYTES", 14)
    assert values(deliver("data200506.csv", lines().encode(encoding))[1]) == RECORDS


@pytest.mark.parametrize("size", [300, 500])
@pytest.mark.parametrize("quoted", [False, True], ids=["plain", "with quoted line breaks"])
def test_a_large_text_in_pieces_gives_the_same_rows(deliver, monkeypatch, size, quoted):
    many = [
        [*row[:4], f'"{row[4]}\n第二行"' if quoted and k % 7 == 0 else row[4], *row[5:]] for k, row in enumerate(ROWS * 20)
    ]
    whole = deliver("data200506.csv", lines(many).encode("gb18030"))[1]
    monkeypatch.setattr(limits, "PIECE_BYTES", size)
    look, rows = deliver("data200506.csv", lines(many).encode("gb18030"))
    assert len(look.parts[0].pieces) > 3
    assert rows == whole


def test_traditional_text_in_big5_is_read_and_its_places_put_into_simplified(deliver):
    headings = ["日期", "進口或出口", "稅號編碼", "企業編碼", "經營單位", "消費地或生產地", "起運國或目的國", "金額"]
    row = ["200506", "進口", "85171100", "3204910001", "測試公司", "江蘇省常州", "韓國", "100"]
    look, rows = deliver("data200506.csv", lines([row], headings).encode("big5"))
    assert (look.parts[0].encoding, look.parts[0].layout) == ("big5hkscs", "monthly_traditional")
    assert values(rows, "flow", "production_place", "partner", "firm_name") == [
        {"flow": "进口", "production_place": "江苏省常州", "partner": "韩国", "firm_name": "測試公司"}
    ]


def test_the_euro_byte_of_code_page_936_is_repaired(deliver):
    look, rows = deliver("data200506.csv", lines().encode("gb18030").replace("甲".encode("gb18030"), b"\x80"))
    assert rows[0]["firm_name"] == "测试€电子有限公司" and look.parts[0].noticed == {}


@pytest.mark.parametrize("delimiter", [",", "\t", "|", "^"])
def test_a_name_cut_in_the_middle_of_a_character_loses_that_character_only(deliver, delimiter):
    # 司 is CB BE: with | or ^ behind it CB is a character of its own, and the separator is part of it
    content = lines(delimiter=delimiter).encode("gb18030")
    cut = "测试甲电子有限公司".encode("gb18030")
    look, rows = deliver("data200506.txt", content.replace(cut, cut[:-1]))
    assert rows[0]["firm_name"] == "测试甲电子有限公\ufffd"
    assert values(rows, "postcode", "value") == values(RECORDS, "postcode", "value")
    assert "damaged_text" in rows[0]["reading_marks"] and rows[1]["reading_marks"] is None
    assert look.parts[0].noticed == {"damaged text in firm_name": 1}


def test_an_ascii_heading_with_one_windows_1252_name_is_gb18030_with_damage(deliver):
    headings = "shipment_date,exp_or_imp,hs_id,value,party_id,company,city,country".split(",")
    rows = [["200506", "出口", "85171100", "1", "3204910001", "公司", "江苏省常州", "美国"]] * 30
    content = lines(rows, headings).encode("gb18030").replace("公司".encode("gb18030"), b"caf\xe9", 1)
    look, found = deliver("200506.csv", content)
    assert (look.parts[0].encoding, found[0]["firm_name"], found[1]["firm_name"]) == ("gb18030", "caf\ufffd", "公司")


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        (lambda text: text.replace("\n", ",\n"), {}),
        (lambda text: text.partition("\n")[0] + "\n" + text.partition("\n")[2].replace("\n", ",\n"),
         {"data lines end with a separator": 1}),
        (lambda text: text.replace("测试甲电子有限公司", '"测试甲电子\n有限公司"'), {}),
        (lambda text: text + text.partition("\n")[0] + "\n", {"headings repeated among the records": 1}),
        (lambda text: text.replace("\n", "\na,b,c,d,e,f,g,h,i,j,k,l\n", 1), {"1 further heading line(s)": 1}),
        (lambda text: "2005年6月海关数据\n\n" + text, {"1 line(s) above the headings": 1}),
        (lambda text: text.replace("税号编码", "税 号　编码").replace("金额,数量", "金额（美元）,数量(第一)"), {}),
        (lambda text: text.replace("\n", "\n\n   \n"), None),
    ],
    ids=[
        "separator at every end", "separator at the end of data lines", "line break in quotes", "headings again",
        "second heading line", "title above", "headings spelt with spaces and units", "blank lines",
    ],
)
def test_shapes_that_are_no_fault_of_the_records(deliver, change, noticed):
    look, rows = deliver("data200506.csv", change(lines()).encode("utf-8"))
    found = [{**row, "firm_name": row["firm_name"].replace("\n", "")} for row in values(rows)]
    assert found == RECORDS
    assert noticed is None or look.parts[0].noticed == noticed


def test_what_is_malformed_is_kept_whole_in_its_place_and_swallows_nothing():
    chunk = b'1,2,3\n4,5\n"open,6,7\n8,9,10\n11,12,13,14\n"a,b",c,d\n'
    rows = parse_lines(chunk, Grammar(3, ",", "utf-8"))
    assert [column.to_pylist() for column in rows.columns] == [
        ["1", None, '"open', "8", None, "a,b"], ["2", None, "6", "9", None, "c"], ["3", None, "7", "10", None, "d"]
    ]
    assert rows.malformed == {1: "4,5", 4: "11,12,13,14"}
    assert rows.marks == {2: ("stray_quote",)}


def test_sound_and_careful_parsing_agree():
    sound = "".join(f"{k},名{k},,x\n" for k in range(50)).encode()
    careful = sound + b"odd\n"
    fast, slow = (parse_lines(chunk, Grammar(4, ",", "utf-8")) for chunk in (sound, careful))
    assert [column.to_pylist() for column in fast.columns] == [column.to_pylist()[:50] for column in slow.columns]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines(headings=["a"] * 12).encode(), "its headings match none of the .* known layouts. Found: a, a"),
        (lines()[lines().index("\n") + 1 :].encode(), r"no heading line: the first line is a record .*\[file\] headings"),
        ("说明：请看附件。\n谢谢\n".encode("gb18030"), "a text without columns"),
        (lines(rows=[]).encode(), "headings but no data lines"),
        (b"", r"the file is empty \(0 bytes\)"),
    ],
    ids=["unknown headings", "no headings", "prose", "headings only", "empty"],
)
def test_what_is_no_table_is_refused_with_what_was_found(deliver, content, message):
    with pytest.raises(InputRefusedError, match=f"data200506.csv: {message}"):
        deliver("data200506.csv", content)


def test_a_line_longer_than_any_record_is_refused(deliver, monkeypatch):
    monkeypatch.setattr(limits, "MAX_RECORD_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "CHUNK_BYTES", 1 << 18)
    with pytest.raises(InputRefusedError, match="a line of more than 1 MB"):
        deliver("data200506.csv", lines().encode() + b"x" * (3 << 20))


OWN = """name = "own"
period = "month"
required = ["hs_code", "value"]
[columns]
hs_code = "c3"
value = "c11"
production_place = "c7"
partner = "c9"
[constants]
flow = "出口"
[values.partner]
"美国" = "502"
[units]
value = 1000
[file]
headings = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "c12"]
names = ["own"]
"""


@pytest.mark.parametrize(
    "heading", ["金额:美元", "金额_美元", "美元金额", "金额[USD]", "金额（单位：美元）", "金 额－USD", "金额/US$"]
)
def test_the_usual_unit_in_a_heading_changes_nothing(deliver, heading):
    _, rows = deliver("200506.csv", lines(headings=[heading if name == "金额" else name for name in HEADINGS]).encode())
    assert values(rows) == RECORDS


@pytest.mark.parametrize("heading", ["金额(千美元)", "金额（万美元）", "金额（人民币）", "金额_万元", "金额:千美元"])
def test_another_unit_in_a_heading_is_refused_with_the_way_out(deliver, heading):
    with pytest.raises(InputRefusedError, match=r"names another unit than layout .*\[units\]"):
        deliver("200506.csv", lines(headings=[heading if name == "金额" else name for name in HEADINGS]).encode())


@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_without_a_heading_shift_nothing(deliver, first):
    text = lines()
    body = [f"{first + k},{line}" for k, line in enumerate(text.splitlines()[1:])]
    look, rows = deliver("200506.csv", "\n".join([text.splitlines()[0], *body]).encode())
    assert values(rows) == RECORDS and "data lines start with a row number" in look.parts[0].noticed


@pytest.mark.parametrize("separator", ["    ", "\x01", "。"])
def test_records_without_a_known_separator_are_no_useless_file(deliver, separator):
    with pytest.raises(InputRefusedError, match="separates its columns, though codes stand in its lines"):
        deliver("200506.txt", lines(delimiter=separator).encode())


def test_a_web_page_under_the_name_of_a_table_is_refused(deliver):
    with pytest.raises(InputRefusedError, match="a web page or XML"):
        deliver("200506.xls", f"<html><table><tr><td>{'</td><td>'.join(HEADINGS)}</td></tr></table>".encode())


def test_a_layout_of_ones_own_gives_headings_constants_value_maps_and_units(deliver):
    body = lines()[lines().index("\n") + 1 :].encode()
    _, rows = deliver("own200506.csv", body, layouts=(parse_layout(OWN, "own.toml"),))
    assert values(rows, "flow", "value", "partner") == [
        {"flow": "出口", "value": str(value), "partner": partner}
        for value, partner in (
            ("12345000", "502"), ("2500000", "日本"), ("100000000", "德国"), ("50000000", "韩国"), ("777500", "香港")
        )
    ]


@pytest.mark.parametrize("n_above", [2, 45])
def test_a_layout_says_how_many_lines_stand_above_the_headings(deliver, n_above):
    own = "[file]\nskip_lines = %d\nnames = ['own']\n[columns]\n" + "".join(
        f'{column} = "{heading}"\n' for heading, column in COLUMNS.items()
    )
    # two lines look like the headings: only the layout knows which they are
    above = [",".join(HEADINGS)] + [",".join(["x"] * len(HEADINGS))] * (n_above - 1)
    body = ("\n\n".join(above) + "\n" + lines()).encode()
    layout = parse_layout('name = "own"\n' + own % n_above, "own.toml")
    look, rows = deliver("own200506.csv", body, layouts=(layout,))
    assert values(rows) == RECORDS and look.parts[0].n_skipped == n_above + 1
    with pytest.raises(InputRefusedError, match=r"number of lines above\. Change it"):
        deliver("own200506.csv", body, layouts=(parse_layout('name = "own"\n' + own % (n_above - 1), "own.toml"),))


def test_an_alias_stands_for_one_renamed_heading(deliver):
    text = lines(headings=["出口额" if name == "金额" else name for name in HEADINGS]).encode()
    with pytest.raises(InputRefusedError, match="also needs: 金额.*aliases"):
        deliver("data200506.csv", text)
    _, rows = deliver("data200506.csv", text, layouts=with_aliases(load_layouts(), {"出口额": "value"}))
    assert values(rows) == RECORDS
