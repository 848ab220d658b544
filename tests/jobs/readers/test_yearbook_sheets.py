"""Sheets made by hand, cell by cell: what the reader takes, and what leaves with a reason."""

from __future__ import annotations

import csv
import re
from pathlib import PurePosixPath
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from conf.yearbook import YearbookConfigError, load_yearbook_config
from jobs.readers.yearbook_files import Sheet, edition_of
from jobs.readers.yearbook_sheets import (
    REFUSED_COLUMNS,
    VALUE_COLUMNS,
    SheetRows,
    parse_sheet,
    read_folder,
    read_number,
)
from jobs.reference.city_names import CityNames

CONFIG = load_yearbook_config()
CITIES = CityNames(
    [
        {"city_id": code, "name_zh": name, "kind": kind, "province_name": province, "valid_from": first, "valid_to": last}
        for code, name, kind, province, first, last in [
            ("110000", "北京市", "municipality", "北京市", "2000", ""),
            ("130200", "唐山市", "prefecture_city", "河北省", "2000", ""),
            ("220100", "长春市", "prefecture_city", "吉林省", "2000", ""),
            ("220200", "吉林市", "prefecture_city", "吉林省", "2000", ""),
            ("320500", "苏州市", "prefecture_city", "江苏省", "2000", ""),
            ("341400", "巢湖市", "prefecture_city", "安徽省", "2000", "2011"),
            ("420600", "襄樊市", "prefecture_city", "湖北省", "2000", "2010"),
            ("420600", "襄阳市", "prefecture_city", "湖北省", "2010", ""),
            ("422800", "恩施土家族苗族自治州", "autonomous_prefecture", "湖北省", "2000", ""),
        ]
    ]
)
HEADER = [
    ["2-1  人口状况  Population"],
    ["城    市", "City", "年末总人口\n（万人）", None, "非农业人口（人）", None, "住宅面积(万平方米)"],
    [None, None, "Total Population", None, "Non-agricultural", None, "Housing"],
    [None, None, "全  市\nTotal City", "市 辖 区\nDistricts under City", "全 市", "市辖区", "市辖区"],
]


def read(grid, edition=2005, place="2005.xlsx!2-1"):
    """Parse one grid; values and refused rows as dictionaries."""
    rows = SheetRows()
    parse_sheet(Sheet(place, edition, grid), CONFIG, CITIES, rows)
    values = [dict(zip(VALUE_COLUMNS, row, strict=True)) for row in rows.values]
    refused = [dict(zip(REFUSED_COLUMNS, row, strict=True)) for row in rows.refused]
    return values, refused, rows


def test_pair_columns_spaced_names_units_and_cells_are_read():
    values, refused, rows = read([*HEADER, ["北 京 市", "Beijing", 1162.9, "1,079.1", 8547000.0, "…", 3.0]])
    assert refused == []
    found = {(row["indicator"], row["area"]): (row["indicator_value"], row["source_cell"]) for row in values}
    assert found == {
        ("population", "whole_city"): (1162.9, "2005.xlsx!2-1!C5"),
        ("population", "districts"): (1079.1, "2005.xlsx!2-1!D5"),
        ("nonagri_population", "whole_city"): (854.7, "2005.xlsx!2-1!E5"),
    }
    assert {row["year"] for row in values} == {2004}
    assert rows.unknown_headings == {"住宅面积(万平方米)": 1}


def test_province_and_total_rows_are_skipped_and_counted():
    body = [["合  计", "Total", 1, 1], ["河 北 省", "Hebei", 6700, 2000], ["唐 山 市", "Tangshan", 705, 295]]
    values, refused, rows = read([*HEADER, *body])
    assert {row["city_id"] for row in values} == {"130200"}
    assert refused == []
    assert rows.skipped == {"province rows": 1, "rows of totals and empty rows": 1}


def test_bare_jilin_is_first_the_province_then_the_city():
    body = [["吉  林", "Jilin", 2600, 1300], ["长  春", "Changchun", 720, 310], ["吉  林", "Jilin", 440, 180]]
    values, _, _ = read([*HEADER, *body])
    whole = {row["city_id"]: row["indicator_value"] for row in values if row["area"] == "whole_city"}
    assert whole == {"220100": 720, "220200": 440}


def test_continuation_with_new_columns_starts_its_own_block():
    continued = [
        ["2-1 续表 1 continued"],
        ["城 市", "City", "行政区域土地面积（平方公里）", None],
        [None, None, "全市", "市辖区"],
        ["唐 山 市", "Tangshan", 13472, 3874],
    ]
    values, _, _ = read([*HEADER, ["唐 山 市", "Tangshan", 705, 295], *continued])
    assert [(row["indicator"], row["indicator_value"]) for row in values] == [
        ("population", 705), ("population", 295), ("land_area", 13472), ("land_area", 3874)
    ]  # fmt: skip


def test_header_repeated_on_a_new_page_is_no_city():
    values, refused, _ = read([*HEADER, ["北 京 市", "", 1, 1], *HEADER, ["唐 山 市", "", 2, 2]])
    assert [row["city_id"] for row in values] == ["110000", "110000", "130200", "130200"]
    assert refused == []


def test_county_level_city_goes_to_quarantine_with_its_cell():
    _, refused, _ = read([*HEADER, ["昆 山 市", "Kunshan", 65.1, 65.1]])
    assert [(row["primary_reason"], row["city_printed"], row["source_cell"]) for row in refused] == [
        ("not_a_city", "昆山市", "2005.xlsx!2-1!C5"), ("not_a_city", "昆山市", "2005.xlsx!2-1!D5")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "edition", "expected"),
    [
        ("襄樊市", 2005, "420600"),
        ("襄 阳 市", 2012, "420600"),
        ("襄阳", 2010, "420600"),  # data of 2009, printed under the new name
        ("巢湖市", 2011, "341400"),  # data of 2010
        ("巢湖市", 2012, None),  # abolished in 2011
        ("恩施土家族苗族自治州", 2005, None),
    ],
)
def test_names_follow_the_year(name, edition, expected):
    assert CITIES.city_id(name.replace(" ", ""), edition - 1) == expected


def test_undeclared_unit_and_missing_unit_go_to_quarantine():
    grid = [["城市", "年末总人口（户）", "非农业人口"], [None, "市辖区", "市辖区"], ["北京市", 5, 6]]
    values, refused, _ = read(grid)
    assert values == []
    assert [(row["primary_reason"], row["unit_printed"]) for row in refused] == [
        ("unit_not_declared", "户"), ("unit_not_declared", "")
    ]  # fmt: skip


def test_unit_in_the_title_or_in_a_line_of_its_own_is_found():
    by_title = [["2-15 财政 单位：亿元"], ["城市", "科学支出"], [None, "市辖区"], ["北京市", 0.5]]
    own_line = [["城市", "科学支出"], [None, "（万元）"], [None, "市辖区"], ["北京市", 5000]]
    assert [row["indicator_value"] for row in read(by_title)[0]] == [5000]
    assert [row["indicator_value"] for row in read(own_line)[0]] == [5000]


def test_bracket_that_belongs_to_the_name_is_not_taken_for_the_unit():
    grid = [["城市", "地区生产总值（当年价格）（亿元）"], [None, "市辖区"], ["北京市", 1.25]]
    assert [(row["indicator"], row["indicator_value"]) for row in read(grid)[0]] == [("gdp", 12500)]


def test_area_comes_from_the_title_when_columns_do_not_say_it():
    titled = [["2-1 市辖区人口"], ["城市", "年末总人口（万人）"], ["北京市", 1000]]
    unsaid = [["2-1 人口"], ["城市", "年末总人口（万人）"], ["北京市", 1000]]
    assert [row["area"] for row in read(titled)[0]] == ["districts"]
    assert [row["primary_reason"] for row in read(unsaid)[1]] == ["area_unknown"]


def test_unreadable_number_is_refused_not_guessed():
    _, refused, _ = read([*HEADER, ["北 京 市", "", "12.3.4", "68①"]])
    assert [(row["primary_reason"], row["value_printed"]) for row in refused] == [
        ("unreadable_number", "12.3.4"), ("unreadable_number", "68①")
    ]  # fmt: skip


def test_heading_that_is_missing_over_a_pair_is_not_borrowed_from_the_left():
    areas = [None, "全市", "市辖区", "全市", "市辖区"]
    grid = [["城市", "年末总人口（万人）", None, None, None], areas, ["北京市", 1, 2, 3, 4]]
    assert [row["indicator_value"] for row in read(grid)[0]] == [1, 2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234.5", "1234.5"), ("１２．５", "12.5"), ("-0.3", "-0.3"), ("1 234", "1234"), (7, "7"), (0.1, "0.1"),
        ("1,23", None), (True, None),
    ],
)
def test_numbers_are_exact_decimals(text, expected):
    number = read_number(text)
    assert (None if number is None else str(number)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2005.xlsx", 2005), ("2006/2-22.csv", 2006), ("城市统计年鉴2010.xlsx", 2010), ("2003-2011.xlsx", None),
        ("a.xlsx", None),
    ],
)
def test_edition_comes_from_file_or_folder(name, expected):
    assert edition_of(PurePosixPath(name)) == expected


def test_folder_of_good_and_bad_files_is_read_to_the_end(tmp_path):
    book = Workbook()
    book.active.title = "2-1"
    for line in [*HEADER, ["北 京 市", "Beijing", 1162.9, 1079.1]]:
        book.active.append(line)
    book.save(tmp_path / "2005.xlsx")
    (tmp_path / "2006").mkdir()
    with (tmp_path / "2006" / "2-1.csv").open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows([*HEADER, ["唐 山 市", "Tangshan", "710", "…"]])
    (tmp_path / "2007.xlsx").write_bytes(b"not a workbook")
    (tmp_path / "2008.doc").write_bytes(b"old")
    (tmp_path / "notes.csv").write_text("城市,x\n", encoding="utf-8")
    rows = read_folder(tmp_path, CONFIG, CITIES)
    assert [(row[0], row[1], row[4]) for row in rows.values] == [
        ("110000", 2004, 1162.9), ("110000", 2004, 1079.1), ("130200", 2005, 710.0)
    ]  # fmt: skip
    assert sorted(row[0] for row in rows.refused) == ["edition_unknown", "file_format", "file_unreadable"]


def test_workbook_that_lies_about_its_size_is_read_whole(tmp_path):
    book = Workbook()
    book.active.title = "2-1"
    for line in [*HEADER, ["北 京 市", "Beijing", 1162.9, 1079.1]]:
        book.active.append(line)
    book.save(tmp_path / "honest.zip")
    with ZipFile(tmp_path / "honest.zip") as source, ZipFile(tmp_path / "2005.xlsx", "w") as target:
        for item in source.infolist():
            content = source.read(item)
            if item.filename.endswith("sheet1.xml"):
                content, n = re.subn(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', content)
                assert n == 1
            target.writestr(item, content)
    (tmp_path / "honest.zip").unlink()
    assert [row[4] for row in read_folder(tmp_path, CONFIG, CITIES).values] == [1162.9, 1079.1]


def test_configuration_with_a_heading_owned_twice_is_refused(tmp_path):
    entry = '[[indicator]]\nname="{}"\nheadings=["甲"]\nunit="人"\ntable="1"\nunits={{"人"="1"}}\n'
    path = tmp_path / "yearbook.toml"
    path.write_text(entry.format("a") + entry.format("b"), encoding="utf-8")
    with pytest.raises(YearbookConfigError, match="belongs to both 'a' and 'b'"):
        load_yearbook_config(path)


def test_configuration_with_an_unknown_key_is_refused(tmp_path):
    path = tmp_path / "yearbook.toml"
    path.write_text('[[indicator]]\nname="a"\nheadings=["甲"]\nunit="人"\ntable="1"\nunits={"人"="1"}\nfoo=1\n', "utf-8")
    with pytest.raises(YearbookConfigError, match="unknown keys \\['foo'\\]"):
        load_yearbook_config(path)
