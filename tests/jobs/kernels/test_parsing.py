"""Parsing, repairing and judging records: one small table per question, the expected answer beside each row.

Then texts as dirty as they come, against the same rules said again in plain Python, one record at a time.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conf.rules import parse_rules
from jobs.kernels.amounts import read_cents
from jobs.kernels.judging import judge_records
from jobs.kernels.parsing import EXPORT_MARKS, IMPORT_MARKS, PARSED_INPUTS, CodeTables, WithoutPostcodes, parse_records
from jobs.reference.codebooks import partner_table, product_table

PLAIN = {"source_year": 2005, "file_sha256": "f"}
TYPES = {"source_year": pl.Int32, "source_month": pl.Int32, "reading_marks": pl.List(pl.String)}


@pytest.fixture(scope="module", name="codes")
def code_tables():
    return CodeTables(product_table(), partner_table())


def bronze_rows(given):
    """Bronze rows with only some columns given, the rest null or plain."""
    rows = [PLAIN | row for row in given]
    return pl.DataFrame(
        {name: pl.Series([row.get(name) for row in rows], dtype=TYPES.get(name, pl.String)) for name in PARSED_INPUTS}
    )


@pytest.fixture(name="check")
def _check(codes):
    def check(rows, column, result):
        """Compare ``result`` of the parsed rows, as text, with the second field of each row."""
        parsed = parse_records(bronze_rows([{column: given} for given, _ in rows]), codes)
        found = parsed.get_column(result).cast(pl.String).to_list()
        assert dict(zip([given for given, _ in rows], found, strict=True)) == dict(rows)

    return check


def test_hs_codes_are_repaired_to_eight_digits(check):
    check(
        [
            ("84713010", "84713010"),
            (" 8471 3010 ", "84713010"),
            ("\u300084713010", "84713010"),
            ("８４７１３０１０", "84713010"),
            ("8471.30.10", "84713010"),
            ("8471.3010", "84713010"),
            ("84713010.0", "84713010"),
            ("1012110", "01012110"),
            ("1012110.0", "01012110"),
            ("847130", "84713000"),
            ("10121", "01012100"),
            ("8471301000", "84713010"),
            # ten digits of a chapter below 10 that lost their zero
            ("902409000", "09024090"),
            ("'85171100", "85171100"),
            ('="85171100"', "85171100"),
            ("8.5171100E+07", "85171100"),
            # two of eight digits are gone
            ("8.51711E+07", None),
            ("8.52E+07", None),
            ("8471", None),
            ("8471301O", None),
            # what ends a line in Java's expressions is no space and no end of a code
            ("84713010\u2028", None),
            ("84713010\u0085", None),
            ("电脑", None),
            ("", None),
            (None, None),
        ],
        "hs_code",
        "hs8_code",
    )


def test_values_are_read_exactly_or_not_at_all(check):
    check(
        [
            ("1500", "1500.00"),
            ("1,234,567.5", "1234567.50"),
            ("１２３", "123.00"),
            (" 12 ", "12.00"),
            ("-5", "-5.00"),
            ("0", "0.00"),
            # half up, whichever digit stands before, and away from zero
            ("0.005", "0.01"),
            ("1.005", "1.01"),
            ("1.015", "1.02"),
            ("-1.005", "-1.01"),
            ("2.00499999999999999999999", "2.00"),
            ("2.00500000000000000000001", "2.01"),
            ("1.005e+00", "1.01"),
            ("1.5e+06", "1500000.00"),
            ("12,34", None),
            ("1.2.3", None),
            ("abc", None),
            ("NULL", None),
            # as Stata writes what is less than one, and whole numbers of some of its formats
            (".5", "0.50"),
            ("-.5", "-0.50"),
            ("1.", "1.00"),
            ("12e3", "12000.00"),
            ("5E-1", "0.50"),
            # what a spreadsheet puts to a text
            ("'1,500", "1500.00"),
            ('="1500"', "1500.00"),
            # a comma before decimals would make 1,234 two numbers; brackets may be a minus
            ("1234,50", None),
            ("1.234,50", None),
            ("(15)", None),
            # a unit beside a number may be another than dollars
            ("15 USD", None),
            ("15万美元", None),
            # words for nothing, Stata's point and people's dash among them
            (".", None),
            ("-", None),
            # cents are whole numbers of 64 bits wherever they are summed
            ("9999999999999999.99", "9999999999999999.99"),
            ("99999999999999999.99", None),
            ("9e15", "9000000000000000.00"),
            ("9e17", None),
            ("0e37", "0.00"),
            ("1e400", None),
            (None, None),
        ],
        "value",
        "value_usd",
    )


def test_quantities_have_twenty_digits_before_the_point_and_four_behind_it(check, codes):
    most = "9" * 20
    check(
        [("1.00005", "1.0001"), ("-0.00005", "-0.0001"), (most, f"{most}.0000"), (f"1{most}", None), ("kg", None)],
        "quantity", "quantity_units",
    )
    assert parse_records(bronze_rows([{"quantity": "1"}]), codes).schema["quantity_units"] == pl.Decimal(24, 4)


def test_landing_and_cleaning_read_the_same_numbers(codes):
    texts = [
        f"{sign}{number}{power}"
        for sign in ("", "-", "+", "'", " ") for power in ("", "e2", "E-1", "e+03", "e99", "e")
        for number in (
            "1", ".5", "1.", "1.005", "1,234", "1,23", "12,345.6", "1 234", "0", "1.004999999999999999999", "9" * 16, "9" * 17,
            "１２．５", "1_0", "inf", ".", "", "-", "0x1", "1..2", "(5)",
        )
    ]
    parsed = parse_records(bronze_rows([{"value": text} for text in texts]), codes).get_column("value_usd").to_list()
    cents = read_cents(pl.Series(texts, dtype=pl.String)).to_list()
    assert [None if usd is None else int(usd * 100) for usd in parsed] == cents
    assert 100 < sum(number is not None for number in cents) < len(cents) - 100


def test_postcodes_get_their_lost_zero_back(check):
    check(
        [
            ("213000", "213000"),
            ("２１３０００", "213000"),
            (" 213 000", "213000"),
            ("213000.0", "213000"),
            ("50000", "050000"),
            ("90000", None),
            ("21300", "021300"),
            ("2130001", None),
            ("21300A", None),
            ("", None),
        ],
        "postcode",
        "postcode",
    )


def test_flow_marks_of_all_vintages(check):
    check(
        [
            ("出口", "export"), ("0", "export"), (" 1 ", "import"), ("进口", "import"), ("exp", "export"), ("2", None),
            ("0.0", "export"), ("1.0", "import"), ("出", "export"), ("进", "import"), ("E", "export"), ("I", "import"),
            ("0-出口", "export"), ("1：进口", "import"), ("出口(0)", "export"), ("1-出口", None), ("X", None),
            ("進口", "import"),
        ],
        "flow",
        "flow_kind",
    )


def test_firm_codes_lose_what_a_spreadsheet_put_to_them_and_a_lost_code_is_said_so(codes):
    cases = {
        "3204910001": ("3204910001", []), "3204910001.0": ("3204910001", ["firm_code_float"]),
        "'310491000A": ("310491000A", []), "3.204910001E9": ("3204910001", []),
        "3.20491E+09": (None, ["firm_code_lost"]), None: (None, []),
    }
    parsed = parse_records(bronze_rows([{"firm_id": given} for given in cases]), codes)
    found = zip(parsed.get_column("firm_id"), parsed.get_column("repairs").to_list(), strict=True)
    assert dict(zip(cases, found, strict=True)) == cases


def test_product_is_known_in_its_own_revision_only(codes):
    cases = {
        (2005, "010110"): ("2002", True, "010110", "F96_010111"),
        (2012, "010110"): ("2012", False, None, "010110"),
        (2012, "010121"): ("2012", True, "010110", "F96_010111"),
        (2007, None): ("2007", False, None, None),
        (2007, "999999"): ("2007", False, None, "999999"),
        (1995, "010110"): (None, False, None, "010110"),
    }
    parsed = parse_records(bronze_rows([{"source_year": year, "hs_code": code} for year, code in cases]), codes)
    found = parsed.select("hs_revision", "is_hs_known", "hs6_converted", "hs6_family").rows()
    assert dict(zip(cases, found, strict=True)) == cases


def test_partners_by_name_and_code_of_both_vintages(codes):
    cases = {
        "美国": ("502", "USA", "normal", True),
        "502": ("502", "USA", "normal", True),
        "502.0": ("502", "USA", "normal", True),
        "哈萨克斯坦": ("145", "KAZ", "normal", True),
        "341": ("341", "KAZ", "superseded", True),
        "中华人民共和国": ("142", "CHN", "self", False),
        "142": ("142", "CHN", "self", False),
        "中国香港": ("110", "HKG", "normal", True),
        "台湾省": ("143", "TWN", "normal", True),
        "刚果（布）": ("213", "COG", "normal", True),
        "刚果(金)": ("252", "COD", "normal", True),
        "加那利群岛": ("207", "ESP", "territory", True),
        "国（地）别不详": ("701", None, "unknown", False),
        "亚洲其他国家（地区）": ("199", None, "residual", False),
        "联合国及机构和国际组织": ("702", None, "organisation", False),
        "999": ("999", None, "unknown", False),
        "usa": ("502", "USA", "normal", True),
        "波斯尼亚　黑塞哥维那": ("355", "BIH", "normal", True),
        "中非共和国": ("209", "CAF", "normal", True),
        "印尼": ("112", "IDN", "normal", True),
        "荷属安的列斯": ("449", "ANT", "historic", True),
        "南斯拉夫联盟": ("349", "SCG", "historic", True),
        "哈萨克": ("341", "KAZ", "superseded", True),
        "KOREA REP.": ("133", "KOR", "normal", True),
        "Korea, Dem. People's Rep. of": ("109", "PRK", "normal", True),
        "RUSSIAN FEDERATION": ("344", "RUS", "normal", True),
        "UNITED STATES OF AMERICA": ("502", "USA", "normal", True),
        "MACAO": ("121", "MAC", "normal", True),
        "CZECH REP.": ("352", "CZE", "normal", True),
        "Côte d’Ivoire": ("223", "CIV", "normal", True),
        "COTE D'IVOIRE": ("223", "CIV", "normal", True),
        "ZAIRE": ("252", "COD", "normal", True),
        "意大利共和国": ("307", "ITA", "normal", True),
        "ＴＨＡＩＬＡＮＤ": ("136", "THA", "normal", True),
        "亚特兰蒂斯": (None, None, None, False),
        "US": ("502", "USA", "normal", True),
        "502美国": ("502", "USA", "normal", True),
        "502-USA": ("502", "USA", "normal", True),
        "341哈萨克斯坦": ("341", "KAZ", "superseded", True),
        # a number beside a name that is not its own is not a code
        "103美国": (None, None, None, False),
        "9000": (None, None, None, False),
        None: (None, None, None, False),
    }
    parsed = parse_records(bronze_rows([{"partner": text} for text in cases]), codes)
    found = parsed.select("partner_code", "country_iso3", "partner_kind", "is_destination").rows()
    assert dict(zip(cases, found, strict=True)) == cases


def test_marks_of_the_reading_are_among_the_repairs(codes):
    rows = bronze_rows([{"reading_marks": ["damaged_text"]}, {}, {"hs_code": "1012110", "reading_marks": ["stray_quote"]}])
    found = parse_records(rows, codes).get_column("repairs").to_list()
    assert found == [["damaged_text"], [], ["hs_leading_zero", "stray_quote"]]


def test_each_repair_is_recorded_once_and_sound_values_carry_none(codes):
    columns = ("hs_code", "value", "postcode", "production_place")
    cases = {
        ("84713010", "1500", "213000", "江苏省常州"): "",
        (" 1012110", "1,500", "50000", "江苏省 常州"): "hs_spaces hs_leading_zero value_thousands postcode_leading_zero"
        " place_spaces",
        ("８４７１.３０.１０", "１５００", "２１３０００", "江苏省常州"): "hs_full_width hs_dotted value_full_width"
        " postcode_full_width",
        ("84713010.0", "1500.005", "213000", "江苏省常州"): "hs_float value_rounded",
        ("84713010", "1500.500", "213000", "江苏省常州"): "",
    }
    parsed = parse_records(bronze_rows([dict(zip(columns, row, strict=True)) for row in cases]), codes)
    assert [" ".join(names) for names in parsed.get_column("repairs").to_list()] == list(cases.values())


def test_malformed_line_has_no_readable_value(codes):
    parsed = parse_records(bronze_rows([{"value": "5"}, {"value": "5", "malformed_row": "a,b"}]), codes)
    assert parsed.get_column("value_usd").to_list() == [Decimal("5.00"), None]


def test_years_and_files_without_postcode_columns_are_marked(codes):
    rows = bronze_rows([{}, {"source_year": 2006}, {"source_year": 2006, "file_sha256": "g"}])
    parsed = parse_records(rows, codes, WithoutPostcodes((2005,), ("g",)))
    assert parsed.get_column("has_postcode_column").to_list() == [False, True, False]


def test_all_reasons_are_kept_in_order_and_a_final_rule_ends_the_list():
    text = "".join(
        f'[[rule]]\nname = "{name}"\nclass = "format"\nwhen = "{when}"\nwhy = "because of {name}"\n{extra}'
        for name, when, extra in [
            ("broken", "a = 'broken'", "final = true\n"),
            ("no_b", "b IS NULL", ""),
            ("small", "c < 10", ""),
        ]
    )
    cases = [("x", "y", 20, []), ("x", None, 5, ["no_b", "small"]), ("broken", None, 5, ["broken"]), (None, "y", None, [])]
    frame = pl.DataFrame([row[:3] for row in cases], schema={"a": pl.String, "b": pl.String, "c": pl.Int32}, orient="row")
    assert judge_records(frame, parse_rules(text, "test")).to_list() == [row[3] for row in cases]


# --- the same in plain Python ------------------------------------------------------------------------------------------

SPACES = " \t\n\x0b\f\r\u00a0\u3000\u2002\u2003\u2009\u200b\ufeff"
WIDE = str.maketrans("０１２３４５６７８９．，－＋", "0123456789.,-+")
NOTHING = {
    "", "NULL", "NAN", "N/A", "NA", "NONE", "未知", "不详", "无", "-", "--", "---", "—", "——", "/", ".", "#N/A", "#NULL!",
    "#VALUE!", "#REF!", "#DIV/0!", "#NAME?", "#NUM!",
}
NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
THOUSANDS = r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?"


def cleaned(text, *, unquoted=False):
    if text is None:
        return None
    text = "".join(letter for letter in text if letter not in SPACES).translate(WIDE)
    if text.upper() in NOTHING:
        return None
    if unquoted:
        text = re.sub("[\"'’]+\\Z", "", re.sub("\\A=?[\"'‘’`]+", "", text))
    return text or None if unquoted else text


def matches(pattern, text):
    return text is not None and re.fullmatch(pattern, text) is not None


def amount(text, whole, decimals):
    if text is None:
        return None
    if matches(THOUSANDS, text):
        text = text.replace(",", "")
    elif not matches(NUMBER, text):
        return None
    with localcontext(prec=200):
        value = Decimal(text)
        if value and value.adjusted() >= whole:
            return None
        rounded = value.quantize(Decimal(10) ** -decimals, ROUND_HALF_UP)
    return rounded if abs(rounded) < 10**whole else None


def power_of_ten(text):
    """The digits of 3.204910001E9, when all of them are there."""
    found = re.fullmatch(r"([0-9])\.?([0-9]*)[eE]\+?0?([0-9])", text)
    return found and (found[1] + found[2] if len(found[2]) == int(found[3]) else "")


def hs_code(text):
    if text is None:
        return None, None
    if matches(r"[0-9]{5,10}\.0+", text):
        digits = text.partition(".")[0]
    elif matches(r"[0-9]{1,4}([.-][0-9]{2,4})+", text):
        digits = re.sub("[.-]", "", text)
    elif matches(r"[0-9]+", text):
        digits = text
    else:
        digits = power_of_ten(text) or None
    shapes = {5: "0{}00", 6: "{}00", 7: "0{}", 8: "{}", 9: "0{}", 10: "{}"}
    return digits, digits and len(digits) in shapes and shapes[len(digits)].format(digits)[:8] or None


def firm_code(text):
    if matches(r"[0-9]{5,10}\.0+", text):
        return text.partition(".")[0]
    exact = power_of_ten(text) if text is not None else None
    return text if exact is None else exact or None


def flow_kind(text):
    text = (cleaned(text) or "").upper()
    text = text[0] if matches(r"[01]\.0+", text) else text
    text = re.sub("[-_:.()（）：]", "", text) if len(text) > 2 else text
    return "export" if text in EXPORT_MARKS else "import" if text in IMPORT_MARKS else None


def expected(row):
    """What a record becomes, worked out by itself."""
    hs, value, firm = (cleaned(row[name], unquoted=True) for name in ("hs_code", "value", "firm_id"))
    postcode = cleaned(row["postcode"], unquoted=True)
    postcode = None if postcode is None else re.sub(r"\.0+\Z", "", postcode)
    digits, code = hs_code(hs)

    def spaced(name, text):
        return text is not None and any(letter in SPACES for letter in row[name])

    def wide(name):
        return row[name] is not None and row[name].translate(WIDE) != row[name]

    usd = amount(value, 16, 2)
    is_power = usd is not None and "e" in value.lower()
    is_float, is_code_power = (matches(p, hs) for p in (r"[0-9]{5,10}\.0+", r"[0-9]\.?[0-9]*[eE]\+?0?[0-9]"))
    marks = {
        "hs_spaces": spaced("hs_code", hs), "hs_full_width": wide("hs_code"), "hs_float": is_float,
        "hs_dotted": matches(r"[0-9]{1,4}([.-][0-9]{2,4})+", hs) and not is_float,
        "hs_leading_zero": digits is not None and len(digits) in (5, 7, 9),
        "hs_quoted": any(letter in "\"'‘’`" for letter in row["hs_code"] or ""), "hs_scientific": is_code_power,
        "firm_code_float": matches(r"[0-9]{5,10}\.0+", firm),
        "firm_code_lost": matches(r"[0-9]\.?[0-9]*[eE]\+?0?[0-9]", firm) and firm_code(firm) is None,
        "value_spaces": spaced("value", value), "value_full_width": wide("value"),
        "value_thousands": matches(THOUSANDS, value), "value_scientific": is_power,
        "value_rounded": usd is not None and re.search(r"\.[0-9]{2}[0-9]*[1-9]", value) is not None,
        "postcode_spaces": spaced("postcode", postcode), "postcode_full_width": wide("postcode"),
        "postcode_leading_zero": postcode is not None and len(postcode) == 5,
    }
    six = postcode if matches("[0-9]{6}", postcode) else "0" + postcode if matches("[1-7][0-9]{4}", postcode) else None
    return {
        "flow_kind": flow_kind(row["flow"]), "hs_text": hs, "hs8_code": code, "value_text": value,
        "value_usd": usd, "quantity_units": amount(cleaned(row["quantity"], unquoted=True), 20, 4),
        "firm_id": firm_code(firm), "postcode_text": postcode, "postcode": six,
        "repairs": [name for name, is_made in marks.items() if is_made],
    }


DIGITS = st.text("0123456789", min_size=1, max_size=12)
DIRT = st.sampled_from([
    *SPACES, *"０１２９．，－＋'\"‘’`=.,-+eE()（）：:_%$\\/A", "\x00", "\x07", "\ufffd", "é", "ß", "元", "千克", ".0", ".005",
    "E+07", "NULL", "未知", "0", "5",
])
AMOUNTS = st.one_of(
    DIGITS, st.builds("{}{}.{}".format, st.sampled_from(["", "-", "+"]), DIGITS, DIGITS),
    st.builds("{}.{}5".format, DIGITS, DIGITS), st.decimals(-(10**6), 10**6, places=3).map("{:,}".format),
    st.builds("{:d},{:03d},{:03d}".format, *[st.integers(0, 999)] * 3),
    st.builds("{}.{}e+{:02d}".format, st.sampled_from("0159"), DIGITS, st.integers(0, 40)),
    st.text("0123456789", min_size=15, max_size=21),
)
CODES = st.one_of(
    DIGITS, st.builds("{}.0".format, DIGITS), st.builds("{:04d}.{:02d}.{:02d}".format, *[st.integers(0, 99)] * 3),
    st.builds("{}.{}E{}".format, st.sampled_from("0129"), DIGITS, st.integers(0, 9)),
    st.sampled_from(["050000", "213000", "21300"]),
)
SOUND = {
    "flow": st.sampled_from([*EXPORT_MARKS, *IMPORT_MARKS, "0-出口", "1.0"]), "hs_code": CODES, "value": AMOUNTS,
    "quantity": AMOUNTS, "firm_id": CODES, "postcode": CODES,
}


@st.composite
def dirty(draw, sound):
    """A sound text, nothing, or one with dirt thrown in anywhere."""
    text = draw(sound)
    for piece in draw(st.lists(DIRT, max_size=3)):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + piece + text[place:]
    return draw(st.sampled_from([text] * 9 + [None]))


@settings(max_examples=60, deadline=None)
@example([dict.fromkeys(SOUND), dict.fromkeys(SOUND, ""), dict.fromkeys(SOUND, "\u3000")])
@given(st.lists(st.fixed_dictionaries({name: dirty(sound) for name, sound in SOUND.items()}), min_size=1, max_size=40))
def test_dirty_texts_become_what_plain_python_makes_of_them(rows):
    parsed = parse_records(bronze_rows(rows), CodeTables(*_few_codes()))
    names = list(expected(rows[0]))
    assert parsed.select(names).to_dicts() == [expected(row) for row in rows]


def test_batch_gives_each_record_what_it_gets_alone(codes):
    """Distinct texts are worked out once: no record may get another's answer, nulls and repetitions included."""
    rows = bronze_rows([
        {"source_year": year, "hs_code": code, "partner": partner, "value": "5.005"}
        for year in (2005, 2007) for code in ("010110", None, " 010110") for partner in ("美国", None, "502")
    ] * 2)
    alone = [parse_records(rows.slice(place, 1), codes) for place in range(len(rows))]
    together = parse_records(rows, codes)
    assert together.equals(pl.concat(alone))


def _few_codes():
    products = pl.DataFrame(schema=dict.fromkeys(("hs_revision", "hs6_code", "hs6_converted", "hs6_family"), pl.String))
    partners = pl.DataFrame(schema=dict.fromkeys(("alias", "partner_code", "country_iso3", "partner_kind"), pl.String))
    return products, partners
