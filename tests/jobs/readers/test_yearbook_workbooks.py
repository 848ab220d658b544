"""Whole workbooks, old and new: merged headings, spaced names, provinces and continuation sheets as they are published.

``2004.xls`` holds the sheets below. It was made by this file: ``python tests/jobs/readers/test_yearbook_workbooks.py`` with
xlwt 1.3.0, which nothing else here needs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from conf.yearbook import load_yearbook_config
from jobs.readers.yearbook_files import open_sheets
from jobs.readers.yearbook_sheets import REFUSED_COLUMNS, VALUE_COLUMNS, read_folder
from jobs.reference.city_names import load_city_names

OLD_BOOK = Path(__file__).parent / "2004.xls"
HEADER = [
    ["城    市", "City", "年末总人口\n（万人）", None, "非农业人口\n（人）", None],
    [None, None, "Total Population", None, "Non-agricultural Population", None],
    [None, None, "全    市\nTotal City", "市 辖 区\nDistricts under City", "全    市\nTotal City", "市 辖 区\nDistricts"],
]
LAND = [
    ["城    市", "City", "土地面积\n（平方公里）", None],
    [None, None, "全  市\nTotal City", "市 辖 区\nDistricts"],
]
# the list of cities goes on over the sheets: 吉 林 alone is the province on the first and the city on the second
SHEETS = {
    "2-1": [
        [None], ["2-1  人口状况  Population"], *HEADER,
        ["河 北 省", "Hebei", 6769.44, 1385, None, None],
        ["石家庄市", "Shijiazhuang", 910.47, 214.7, 3345000, 1805000],
        ["唐 山 市", "Tangshan", 706, "295.0", "…", 1],
        ["吉    林", "Jilin", 2603, 1050, None, None],
        ["长 春 市", "Changchun", 718.2, 309.2, "3,108,000", "-"],
    ],
    "2-1续": [
        ["2-1  续表 1  continued"], *HEADER,
        ["吉    林", "Jilin", 443.1, 182.3, 2210000, 1390000],
        ["昆 山 市", "Kunshan", 62.2, 62.2, None, None],
    ],
    "2-3": [["2-3  行政区域土地面积"], *LAND, ["吉 林 市", "Jilin", 27120, 3636]],
}
MERGED = {
    "2-1": ["A2:F2", "A3:A5", "B3:B5", "C3:D3", "E3:F3", "C4:D4", "E4:F4"],
    "2-1续": ["A1:F1", "A2:A4", "B2:B4", "C2:D2", "E2:F2", "C3:D3", "E3:F3"],
    "2-3": ["A1:D1", "A2:A3", "B2:B3", "C2:D2"],
}
EXPECTED = {
    ("130100", "population", "whole_city"): (910.47, "2-1!C7"), ("130100", "population", "districts"): (214.7, "2-1!D7"),
    ("130100", "nonagri_population", "whole_city"): (334.5, "2-1!E7"),
    ("130100", "nonagri_population", "districts"): (180.5, "2-1!F7"),
    ("130200", "population", "whole_city"): (706.0, "2-1!C8"), ("130200", "population", "districts"): (295.0, "2-1!D8"),
    ("130200", "nonagri_population", "districts"): (0.0001, "2-1!F8"),
    ("220100", "population", "whole_city"): (718.2, "2-1!C10"), ("220100", "population", "districts"): (309.2, "2-1!D10"),
    ("220100", "nonagri_population", "whole_city"): (310.8, "2-1!E10"),
    ("220200", "population", "whole_city"): (443.1, "2-1续!C5"), ("220200", "population", "districts"): (182.3, "2-1续!D5"),
    ("220200", "nonagri_population", "whole_city"): (221.0, "2-1续!E5"),
    ("220200", "nonagri_population", "districts"): (139.0, "2-1续!F5"),
    ("220200", "land_area", "whole_city"): (27120.0, "2-3!C4"), ("220200", "land_area", "districts"): (3636.0, "2-3!D4"),
}  # fmt: skip


def write_new_book(path: Path) -> None:
    book = Workbook()
    book.remove(book.active)
    for name, grid in SHEETS.items():
        page = book.create_sheet(name)
        for line in grid:
            page.append(line)
        for area in MERGED[name]:
            page.merge_cells(area)
    book.save(path)


def write_old_book(path: Path) -> None:
    import xlwt
    from openpyxl.utils import range_boundaries

    book = xlwt.Workbook(encoding="utf-8")
    for name, grid in SHEETS.items():
        page = book.add_sheet(name)
        covers = {}
        for area in MERGED[name]:
            left, top, right, bottom = range_boundaries(area)
            covers[top - 1, left - 1] = (bottom - 1, right - 1)
        for row, line in enumerate(grid):
            for column, cell in enumerate(line):
                if (row, column) in covers:
                    last_row, last_column = covers[row, column]
                    page.write_merge(row, last_row, column, last_column, cell)
                elif cell is not None:
                    page.write(row, column, cell)
    book.save(str(path))


@pytest.mark.parametrize("suffix", [".xlsx", ".xls"])
def test_workbook_of_either_kind_is_read_cell_by_cell(tmp_path, suffix):
    path = tmp_path / f"2004{suffix}"
    write_new_book(path) if suffix == ".xlsx" else shutil.copy(OLD_BOOK, path)
    rows = read_folder(tmp_path, load_yearbook_config(), load_city_names())
    values = [dict(zip(VALUE_COLUMNS, row, strict=True)) for row in rows.values]
    assert {
        (row["city_id"], row["indicator"], row["area"]): (row["indicator_value"], row["source_cell"].partition("!")[2])
        for row in values
    } == EXPECTED
    assert len(values) == len(EXPECTED)
    assert {(row["year"], row["edition"]) for row in values} == {(2003, 2004)}
    # a whole number is shown as it is printed, whatever the program stores
    assert [row["value_printed"] for row in values if row["source_cell"].endswith("2-1!C8")] == ["706"]
    refused = [dict(zip(REFUSED_COLUMNS, row, strict=True)) for row in rows.refused]
    assert {(row["primary_reason"], row["city_printed"]) for row in refused} == {("not_a_city", "昆山市")}
    assert rows.skipped["province rows"] == 2


def test_list_that_does_not_go_on_begins_with_its_province(tmp_path):
    book = Workbook()
    book.remove(book.active)
    for name in ("全部", "再印"):
        page = book.create_sheet(name)
        for line in [["2-1  人口状况"], *HEADER, ["吉    林", "", 2603, 1050], ["吉    林", "", 443.1, 182.3]]:
            page.append(line)
    book.save(tmp_path / "2004.xlsx")
    rows = read_folder(tmp_path, load_yearbook_config(), load_city_names())
    assert [row[4] for row in rows.values] == [443.1, 182.3] * 2


@pytest.mark.parametrize("content", [b"not a workbook", b"\xd0\xcf\x11\xe0" + bytes(600), b""])
def test_broken_old_workbook_is_refused_by_name(tmp_path, content):
    (tmp_path / "2004.xls").write_bytes(content)
    rows = read_folder(tmp_path, load_yearbook_config(), load_city_names())
    assert rows.values == []
    assert [(row[0], row[2], row[3]) for row in rows.refused] == [("file_unreadable", "2004.xls", 2004)]


def test_broken_new_workbook_is_refused_and_its_good_sheets_are_kept(tmp_path):
    write_new_book(tmp_path / "whole.zip")
    with ZipFile(tmp_path / "whole.zip") as source, ZipFile(tmp_path / "2004.xlsx", "w") as target:
        for item in source.infolist():
            content = source.read(item)
            target.writestr(item, content[: len(content) // 2] if item.filename.endswith("sheet2.xml") else content)
    (tmp_path / "whole.zip").unlink()
    rows = read_folder(tmp_path, load_yearbook_config(), load_city_names())
    assert {row[-1].partition("!")[2].partition("!")[0] for row in rows.values} == {"2-1"}
    assert [(row[0], row[2]) for row in rows.refused] == [("file_unreadable", "2004.xlsx")]


if __name__ == "__main__":
    write_old_book(OLD_BOOK)


def test_a_text_with_a_cell_beyond_the_csv_modules_limit_is_read(tmp_path):
    path = tmp_path / "2004.csv"
    path.write_text("city,gdp\n常州," + "1" * 200_000 + '\n"南京\n市",5\n', "utf-8")
    (sheet,) = open_sheets(path, tmp_path)
    assert [len(cell) for cell in sheet.grid[1]] == [2, 200_000] and sheet.grid[2] == ["南京\n市", "5"]
