"""The audit of customs' list of districts: at least 98 % of the entries, by name and code, in the right city and side."""

from __future__ import annotations

import pytest

from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import CONVENTIONS, build_lookups
from schemas.reference.builders.common import read_source
from schemas.reference.shipped import read_shipped
from tests.audit.districts import Answer, by_code, by_text, judge

LEAST_SHARE = 0.98
"""Share of entries and spellings a study may rely on; two names are ambiguous in the list itself."""
AMBIGUOUS = {"吉林其他", "海南"}


@pytest.fixture(scope="module")
def judged():
    return judge()


@pytest.mark.parametrize("kind", ["code", "official name", "spelling seen or common"])
def test_entries_find_their_city_and_side(judged, kind):
    counts, _ = judged
    assert counts[kind, "asked"] > 800
    assert counts[kind, "right"] / counts[kind, "asked"] >= LEAST_SHARE


def test_the_names_that_fail_are_those_that_mean_two_places(judged):
    _, wrong = judged
    assert {text for kind, _, text, *_ in wrong if kind == "official name"} <= AMBIGUOUS
    assert [line for line in wrong if line[0] == "code"] == []


def test_the_list_is_complete():
    codes = read_source("customs_districts")["code"]
    assert len(codes) == 780 and codes.is_unique
    assert set(read_shipped("customs_districts")["code"]) == set(codes)


def test_first_four_digits_are_not_the_national_ones():
    """Of 336 numbers of prefectures 138 are not those of GB/T 2260, and two of them are swapped."""
    entries = read_source("customs_districts")
    ordinary = entries[(entries["scope"] == "prefecture") & (entries["code"].str[4].isin(["9", "1"]))]
    ordinary = ordinary[~ordinary["code"].duplicated() & ~ordinary["code"].str.startswith(("11", "12", "31", "50"))]
    numbers = ordinary.assign(code4=ordinary["code"].str[:4]).drop_duplicates("code4")
    differ = numbers["code4"] + "00" != numbers["prefecture_2005"].where(
        numbers["prefecture_2005"] != "", numbers["prefecture_2000"]
    )
    assert (len(numbers), int(differ.sum())) == (336, 138)
    assert by_code("33109", 2005).prefecture == "331100" and by_code("33119", 2005).prefecture == "331000"


def test_a_code_the_list_lacks_is_the_rest_of_its_place():
    # any fifth digit, and four digits alone through the padding of the resolver
    assert by_code("32231", 2005) == by_code("32239", 2005) == Answer("320500", "outside")
    assert by_code("99999", 2005) is None


@pytest.mark.parametrize(
    ("text", "year", "wanted"),
    [
        ("番禺市", 2005, Answer("440100", "inside")), ("吴县市", 2005, Answer("320500", "inside")),
        ("鄞县", 2005, Answer("330200", "inside")), ("通县", 2003, Answer("110000", "inside")),
        ("宝坻县", 2000, Answer("120000", "outside")), ("宝坻县", 2003, Answer("120000", "inside")),
        ("江苏吴江出口加工区", 2011, Answer("320500", "outside")), ("江苏吴江出口加工区", 2012, Answer("320500", "inside")),
        ("辽宁福清出口加工区", 2007, None), ("福清出口加工区", 2007, Answer("350100", "outside")),
        ("SHANGHAIPUDONG", 2007, Answer("310000", "inside")), ("KUNSHAN", 2007, Answer("320500", "outside")),
        ("无锡国家级高新技术产业开发区", 2007, Answer("320200", "inside")),
        ("石家庄高新技术产业试", 2007, Answer("130100", "inside")),
        ("31224 上海外高桥保税区", 2007, Answer("310000", "inside")), ("32259", 2007, Answer("320500", "outside")),
        ("中关村国家自主创新示范区（密云园）", 2011, Answer("110000", "outside")), ("新疆兵团", 2007, None),
        ("常熟经济技术开发区", 2007, Answer("320500", "outside")), ("深圳其它", 2007, Answer("440300", "inside")),
    ],
)
def test_names_of_all_kinds(text, year, wanted):
    assert by_text(text, year) == wanted


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_lookups_stay_small(convention):
    """They stand in every executor's memory; 100,000 rows of texts are some 10 MB."""
    lookups = build_lookups(load_place_book(), convention=convention)
    assert len(lookups.texts) < 100_000 and len(lookups.districts) < 10_000
