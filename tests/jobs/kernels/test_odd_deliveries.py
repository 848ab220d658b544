"""Deliveries as people and programs leave them: the right value or a refusal with the way out, never silently wrong."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from dataclasses import replace
from decimal import Decimal

import openpyxl
import pytest
from deliveries import COLUMNS, HEADINGS, RECORDS, ROWS, lines, values

from conf.layouts import load_layouts, parse_layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.canonical import TOTAL
from jobs.kernels.content import month_of
from jobs.kernels.sources import TOTAL_LINES

NAME = "data200506.csv"
TOTAL_USD = Decimal("165622.50")


def changed(**changes):
    """The rows with columns changed, each by a function of its text."""
    return [
        [changes[column](text) if column in changes else text for column, text in zip(COLUMNS.values(), row, strict=True)]
        for row in ROWS
    ]


def line(**given):
    """A line with some columns filled."""
    return [given.get(column, "") for column in COLUMNS.values()]


@pytest.mark.parametrize(
    "total",
    [
        line(period="合计", value="165622.5", quantity="50"), line(period="Grand Total", value="165622.5"),
        line(period="2005年6月 合 计", value="165622.5"), line(hs_code="总计：", value="165622.5"),
        line(hs_code="85171100 汇总", value="12345"), line(firm_id="小计（美元）", value="1"),
        # the word may stand in a column that a look does not read: an amount of nothing is no record either
        line(trade_regime="合计", value="165622.5"), line(value="165622.5", quantity="50"),
    ],
)
def test_lines_of_totals_are_counted_and_are_no_records(deliver, total):
    look, rows = deliver(NAME, lines([*ROWS[:3], total, *ROWS[3:], total]).encode())
    assert values(rows) == RECORDS and look.content.value_usd == TOTAL_USD
    assert look.parts[0].noticed[TOTAL_LINES] == 2


@pytest.mark.parametrize(
    "record",
    [
        # a commodity that is missing where everything else is there is a record's fault
        line(period="200506", flow="出口", value="1", firm_id="3204910001", production_place="江苏省常州", partner="美国"),
        line(period="200506", flow="出口", hs_code="85171100", value="1", firm_name="合计", production_place="江苏省常州"),
        line(period="200506", flow="出口", hs_code="85171100", value="1", partner="合计"),
    ],
)
def test_records_with_gaps_stay_records(deliver, record):
    look, rows = deliver(NAME, lines([*ROWS, record]).encode())
    assert len(rows) == 6 and TOTAL_LINES not in look.parts[0].noticed


def test_a_file_of_few_columns_keeps_its_lines_without_a_commodity(deliver):
    headings = ["进口或出口", "税号编码", "企业编码", "消费地或生产地", "起运国或目的国", "金额"]
    rows = [["出口", "", "3204910001", "", "", "5"], ["出口", "85171100", "3204910001", "江苏省常州", "美国", "6"]]
    look, found = deliver(NAME, lines(rows, headings).encode())
    assert [row["value"] for row in found] == ["5", "6"] and look.content.value_usd == 11


@pytest.mark.parametrize("text", ["设计", "会计师", "合计算", "Totalling", "统计局", "85171100", "计"])
def test_words_that_hold_a_word_for_a_total_are_none(text):
    assert re.search(TOTAL, text) is None


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("2003m1", (2003, 1)), ("2003M12", (2003, 12)), ("37622", (2003, 1)), ("37622.0", (2003, 1)), ("37986.75", (2003, 12)),
        ("\ufeff200301", (2003, 1)), ("20031", (2003, 1)), ("99999", (None, None)), ("12345", (None, None)),
    ],
)
def test_months_as_programs_write_them(text, month):
    assert month_of(text) == month


@pytest.mark.parametrize(
    "number",
    [
        lambda text: f"{float(text):,.2f}".translate(str.maketrans(",.", " ,")), lambda text: text.replace(".", ","),
        lambda text: f"{float(text):,.2f}".translate(str.maketrans(",.", ".,")),
    ],
)
def test_decimal_commas_are_refused_and_read_where_a_layout_says_so(deliver, number):
    rows = changed(value=number, quantity=lambda text: "1,5")
    content = lines(rows, delimiter=";").encode()
    with pytest.raises(InputRefusedError, match=r"decimal comma in [1-5] of 5 rows.*decimal = "):
        deliver(NAME, content)
    columns = "".join(f'{column} = "{heading}"\n' for heading, column in COLUMNS.items())
    own = parse_layout(f'name = "own"\nperiod = "month"\n[file]\ndecimal = ","\n[columns]\n{columns}', "own.toml")
    look, found = deliver(NAME, content, layouts=(own,))
    assert look.content.value_usd == TOTAL_USD and {row["quantity"] for row in found} == {"1.5"}


@pytest.mark.parametrize(
    ("numbers", "is_refused"),
    [
        # a typing error is a record's, unless it says what the doubtful ones mean
        (["12", "13", "1234,5", "15.5", "16"], False), (["12", "1,234", "1234,5", "15.5", "16"], True),
        (["1,234,567", "1,234", "1234,5", "15.5", "16"], False), (["1,234.5", "1,234", "1,5", "1,25", "16"], True),
        (["1,5", "2,5", "3,5", "4", "5"], True), (["1,234", "2,345", "3,456", "4", "5"], False),
        (["1.234.567", "1,234", "3", "4", "5"], True), (["1.234", "2.5", "3", "4", "5"], False),
    ],
)
def test_what_a_comma_means_is_judged_by_the_file(deliver, numbers, is_refused):
    given = iter(numbers)
    content = lines(changed(value=lambda text: next(given)), delimiter=";").encode()
    if not is_refused:
        assert len(deliver(NAME, content)[1]) == 5
        return
    with pytest.raises(InputRefusedError, match="decimal comma"):
        deliver(NAME, content)


def test_thousands_separators_are_no_decimal_commas(deliver):
    look, _ = deliver(NAME, lines(changed(value=lambda text: f'"{float(text):,.2f}"')).encode())
    assert look.content.value_usd == TOTAL_USD


@pytest.mark.parametrize("number", ["({})", "{}元", "{}万美元", "US$ {}", "{} USD"])
def test_numbers_of_another_meaning_are_not_read(deliver, number):
    look, rows = deliver(NAME, lines(changed(value=number.format)).encode())
    assert len(rows) == 5 and look.content.value_usd == 0 and look.content.n_unreadable_values == 5


@pytest.mark.parametrize("number", ["'{}", '"=""{}"""', "{} ", " {}"])
def test_numbers_kept_as_texts_are(deliver, number):
    look, _ = deliver(NAME, lines(changed(value=number.format)).encode())
    assert look.content.value_usd == TOTAL_USD


def test_line_ends_of_every_kind_in_one_file(deliver):
    content = lines(ROWS[:2], newline="\r\n") + "".join(
        ",".join(row) + end for row, end in zip(ROWS[2:], ("\n", "\r", "\r\n"), strict=True)
    )
    assert values(deliver(NAME, content.encode())[1]) == RECORDS


@pytest.mark.parametrize("between", ["\ufeff" + ",".join(HEADINGS) + "\n", "\ufeff"])
def test_two_files_with_marks_joined(deliver, between):
    content = lines(ROWS[:2]) + between + "".join(",".join(row) + "\n" for row in ROWS[2:])
    look, rows = deliver(NAME, content.encode())
    assert values(rows, "hs_code", "value") == values(RECORDS, "hs_code", "value")
    assert {month: part.n_rows for month, part in look.content.parts.items()} == {(2005, 6): 5}


def test_a_zero_byte_in_a_code_is_not_taken_for_nothing(deliver):
    # without it the code would have seven digits, and a zero put before them
    _, rows = deliver(NAME, lines().replace("85171100", "8517\x00100").encode())
    assert rows[0]["hs_code"] == "8517\x00100"


def test_english_headings_with_spaces(deliver):
    spelt = {
        "period": "Shipment Date", "flow": "Exp or Imp", "hs_code": "HS ID", "firm_id": "Party ID", "firm_name": "Company",
        "postcode": "ZIP", "production_place": "City", "firm_type": "Company Type", "partner": "Country",
        "trade_regime": "shipment", "value": "Value (USD)", "quantity": "Quantity",
    }
    look, rows = deliver(NAME, lines(headings=[spelt[column] for column in COLUMNS.values()]).encode())
    assert values(rows) == RECORDS and look.parts[0].layout == "monthly_english"


def test_headings_over_two_lines_are_found_or_refused(deliver):
    above = "基本信息,,,企业信息,,,,,,,金额,\n"
    assert values(deliver(NAME, (above + lines()).encode())[1]) == RECORDS
    split = ",进口或,税号,企业,经营,,消费地或,企业,起运国或,贸易,,\n"
    split += "日期,出口,编码,编码,单位,邮编,生产地,性质,目的国,方式,金额,数量\n"
    with pytest.raises(InputRefusedError, match="match none of the"):
        deliver(NAME, (split + "".join(",".join(row) + "\n" for row in ROWS)).encode())


def test_a_workbook_with_a_sheet_a_month_and_its_totals(deliver):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for month in range(1, 13):
        sheet = book.create_sheet(f"{month}月")
        sheet.append(HEADINGS)
        for row in changed(period=lambda text, month=month: dt.datetime(2005, month, 15), value=float, quantity=int):
            sheet.append(row)
        sheet.append(["合计", *[None] * 9, float(TOTAL_USD), 50])
    stream = io.BytesIO()
    book.save(stream)
    look, rows = deliver("2005.xlsx", stream.getvalue())
    assert len(rows) == 60 and look.content.value_usd == 12 * TOTAL_USD
    assert {month: part.n_rows for month, part in look.content.parts.items()} == {(2005, month): 5 for month in range(1, 13)}


def test_an_archive_in_an_archive(deliver):
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(NAME, lines())
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("in.zip", inner.getvalue())
    look, rows = deliver("2005.zip", outer.getvalue())
    assert values(rows) == RECORDS and look.parts[0].member == "in.zip/data200506.csv"


def test_how_a_layout_reads_a_file_changes_with_what_it_says_of_its_headings_only():
    layout = next(layout for layout in load_layouts() if layout.name == "monthly_chinese")
    reading = layout.reading_of(HEADINGS)

    def own(**changes):
        return replace(layout, **changes).reading_of(HEADINGS)

    assert own(description="x", note="y") == own(columns={**layout.columns, "email": ("unknown",)}) == reading
    assert own(values={"email": {"1": "x"}}) == own(units={"unit_price": 10.0}) == reading
    others = [
        own(units={"value": 1000.0}), own(values={"flow": {"2": "进口"}}), own(constants={"flow": "出口"}),
        own(year_from="rows"), own(columns={**layout.columns, "postcode": ("unknown",)}), layout.reading_of(HEADINGS[::-1]),
    ]
    assert len({reading, *others}) == 7
