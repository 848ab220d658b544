"""Products in three codes and destinations as economies."""

from __future__ import annotations

import pytest

from jobs.reference.codebooks import partner_aliases, partner_reference, product_codes, product_reference
from jobs.transforms.partners import add_partners
from jobs.transforms.products import BaseRevisionError, add_products
from jobs.transforms.text import MISSING_WORDS


@pytest.fixture(scope="module")
def codes():
    return product_codes().set_index(["hs_revision", "hs6_code"])


def test_converted_codes_are_those_of_the_conversion_tables(codes):
    changed = codes.loc["2007"]
    # 265 codes of HS 2007 have another number in HS 2002, and 300 of the 5,225 codes of HS 2002 are reached by none
    assert (changed["hs6_2002"] != changed.index).sum() == 265
    assert 5225 - changed["hs6_2002"].nunique() == 300


def test_code_in_its_own_revision_converts_to_itself(codes):
    for revision in ("1996", "2002", "2007", "2012"):
        rows = codes.loc[revision]
        assert (rows[f"hs6_{revision}"] == rows.index).all()


def test_forward_conversion_only_where_it_is_single(codes):
    forward = codes.loc["2002"]
    assert forward["hs6_2007"].isna().sum() == 382
    back = codes.loc["2007"]["hs6_2002"]
    known = forward["hs6_2007"].dropna()
    # brute force: the one code of 2007 that comes from it
    assert all(list(back.index[back == old]) == [new] for old, new in known.sample(40, random_state=1).items())


def test_partner_spellings_are_unique():
    assert partner_aliases()["alias"].is_unique


def test_no_spelling_of_a_partner_is_a_word_for_nothing():
    # text that says nothing is emptied before it is looked up, so such a spelling would never be found
    assert not set(partner_aliases()["alias"].str.upper()) & set(MISSING_WORDS)


@pytest.mark.spark
def test_product_is_known_in_its_own_revision_only(spark):
    rows = [("2002", "010110"), ("2012", "010110"), ("2012", "010121"), ("2007", None), ("2007", "999999")]
    frame = spark.createDataFrame(rows, "hs_revision string, hs6_code string")
    found = {
        (r["hs_revision"], r["hs6_code"]): (r["is_hs_known"], r["hs6_converted"], r["hs6_family"])
        for r in add_products(frame, product_reference(spark), base_revision="2002").collect()
    }
    assert found == {
        ("2002", "010110"): (True, "010110", "F96_010111"),
        ("2012", "010110"): (False, None, "010110"),
        ("2012", "010121"): (True, "010110", "F96_010111"),
        ("2007", None): (False, None, None),
        ("2007", "999999"): (False, None, "999999"),
    }


def test_unknown_base_revision_is_refused():
    with pytest.raises(BaseRevisionError, match="expected one of 1996, 2002, 2007, 2012; found '2017'"):
        add_products(None, None, base_revision="2017")


@pytest.mark.spark
def test_partners_by_name_and_code_of_both_vintages(spark):
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
        "波斯尼亚黑塞哥维那": ("355", "BIH", "normal", True),
        "亚特兰蒂斯": (None, None, None, False),
    }
    frame = spark.createDataFrame([(text,) for text in cases] + [(None,)], "partner_text string")
    columns = ("partner_code", "country_iso3", "partner_kind", "is_destination")
    found = {
        row["partner_text"]: tuple(row[c] for c in columns)
        for row in add_partners(frame, partner_reference(spark)).collect()
    }
    assert found == cases | {None: (None, None, None, False)}
