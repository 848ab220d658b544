"""Codes written as powers of ten: read where all digits are there, refused where they were rounded away."""

from __future__ import annotations

import pytest
from deliveries import HEADINGS, ROWS, lines

from jobs.core.errors import InputRefusedError
from jobs.kernels.codes import NOTICED, exact_code
from jobs.kernels.rows import POWER_OF_TEN


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1.10108E+05", "110108"), ("1.10108e+05", "110108"), ("1.1010800E+05", "110108"), (" 5.02E+02 ", "502"),
        ("5E2", "500"), ("1.101e5", "110100"), ("1.101E5", "110100"), ("1.6777216E7", "16777216"),
        # rounded for display, or it cannot be told: a printed exponent with sign or padding, more digits than a float keeps
        ("1.101E+05", None), ("1.101E05", None), ("3.20491E+09", None), ("8.51711E7", None), ("3.20491E9", None),
        # not a whole number, no number, no power of ten
        ("1.101085E+05", None), ("110108", None), ("江苏省", None), ("E5", None), ("1.2E+300", None),
    ],
)
def test_a_code_is_read_where_every_digit_is_certain(text, code):
    assert exact_code(text) == code


def _with(column: str, texts: list[str]) -> bytes:
    index = HEADINGS.index(column)
    return lines([[*row[:index], text, *row[index + 1 :]] for row, text in zip(ROWS, texts, strict=True)]).encode()


def test_exact_codes_of_place_partner_and_postcode_are_read_and_counted(deliver):
    places = ["3.204E+03", "江苏省常州", "1.10108E+05", "1.101e5", "1.10E+05"]
    look, rows = deliver("200506.csv", _with("消费地或生产地", places))
    assert [row["production_place"] for row in rows] == ["3204", "江苏省常州", "110108", "110100", "1.10E+05"]
    assert look.parts[0].noticed[NOTICED] == 3
    assert [row["reading_marks"] for row in rows] == [[POWER_OF_TEN], None, [POWER_OF_TEN], [POWER_OF_TEN], None]
    _, rows = deliver("200507.csv", _with("邮编", ["2.13001E+05", "213001", "", "2.13E+05", "518001"]))
    assert [row["postcode"] for row in rows] == ["213001", "213001", None, "2.13E+05", "518001"]


@pytest.mark.parametrize(("column", "name"), [("税号编码", "hs_code"), ("企业编码", "firm_id")])
def test_a_file_whose_codes_were_rounded_for_display_is_refused_with_the_way_out(deliver, column, name):
    good = [row[HEADINGS.index(column)] for row in ROWS]
    with pytest.raises(InputRefusedError, match=rf"{name} is rounded in 3 of 5 rows.*format the column as a number"):
        deliver("200506.csv", _with(column, ["3.20491E+09", "8.51711E+07", "8.5E+07", *good[3:]]))
    # single ones are for the cleaning rules; codes with all their digits are no rounded ones
    deliver("200507.csv", _with(column, ["3.20491E+09", "8.5171100E+07", "3.204910001E9", *good[3:]]))
