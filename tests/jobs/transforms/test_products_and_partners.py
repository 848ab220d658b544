"""Products in three codes and destinations as economies."""

from __future__ import annotations

import pytest

from jobs.kernels.plain_text import MISSING_WORDS
from jobs.reference.codebooks import (
    BaseRevisionError,
    ProductFileError,
    link_families,
    partner_aliases,
    product_codes,
    product_table,
    read_correlations,
)
from schemas.reference.builders.common import read_source
from schemas.reference.partner_keys import partner_key
from schemas.reference.shipped import read_shipped


@pytest.fixture(scope="module")
def codes():
    return product_codes().set_index(["hs_revision", "hs6_code"])


def test_converted_codes_are_those_of_the_conversion_tables(codes):
    changed = codes.loc["2007"]
    # 265 codes of HS 2007 have another number in HS 2002, and 299 of the 5,224 codes of HS 2002 are reached by none
    assert (changed["hs6_2002"] != changed.index).sum() == 265
    assert 5224 - changed["hs6_2002"].nunique() == 299


def test_code_in_its_own_revision_converts_to_itself(codes):
    for revision in ("1996", "2002", "2007", "2012"):
        rows = codes.loc[revision]
        assert (rows[f"hs6_{revision}"] == rows.index).all()


def test_forward_conversion_only_where_it_is_single(codes):
    forward = codes.loc["2002"]
    assert forward["hs6_2007"].isna().sum() == 381
    back = codes.loc["2007"]["hs6_2002"]
    known = forward["hs6_2007"].dropna()
    # brute force: the one code of 2007 that comes from it
    assert all(list(back.index[back == old]) == [new] for old, new in known.sample(40, random_state=1).items())


def correlations(tmp_path, rows):
    path = tmp_path / "correlations.csv"
    path.write_text("from_revision,to_revision,from_hs6,to_hs6,relationship\n" + rows + "\n", "utf-8")
    return path


def test_own_correlations_join_families(tmp_path):
    shipped = read_shipped("hs6_families")
    # two codes of one heading that goods crossed between, and one that is linked already
    own = read_correlations(correlations(tmp_path, "2007,2002,844319,844312,n:n\n2007,2002,010110,010110,1:1"))
    linked = link_families(shipped, own)
    before, after = (
        table.set_index(["revision", "hs6_code"])["family"] for table in (shipped, linked)
    )
    assert before["2007", "844319"] != before["2002", "844312"]
    assert after["2007", "844319"] == after["2002", "844312"] == min(before["2007", "844319"], before["2002", "844312"])
    assert linked["family"].nunique() == shipped["family"].nunique() - 1
    joined = {before["2007", "844319"], before["2002", "844312"]}
    assert after[~before.isin(joined)].equals(before[~before.isin(joined)])


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("2007,2002,844319,999999,n:n", "line 2: expected a code of HS"),
        ("2007,2002,010110,010110,1:1\n2008,2002,010110,010110,1:1", "line 3: expected a code of HS"),
        ("2007,2002,10110,010110,1:1", "'10110' of '2007'"),
    ],
)
def test_wrong_correlations_are_refused_with_their_line(tmp_path, rows, complaint):
    with pytest.raises(ProductFileError, match=complaint):
        read_correlations(correlations(tmp_path, rows))


def test_missing_file_or_column_of_correlations_is_named(tmp_path):
    with pytest.raises(ProductFileError, match=r"absent\.csv: .*from_hs6.*no such file"):
        read_correlations(tmp_path / "absent.csv")
    (tmp_path / "own.csv").write_text("from_revision,to_revision,from_hs6\n2007,2002,010110\n", "utf-8")
    with pytest.raises(ProductFileError, match="missing to_hs6"):
        read_correlations(tmp_path / "own.csv")


def test_partner_spellings_are_unique():
    assert partner_aliases()["alias"].is_unique


def test_no_spelling_of_a_partner_is_a_word_for_nothing():
    # text that says nothing is emptied before it is looked up, so such a spelling would never be found
    assert not set(partner_aliases()["alias"].str.upper()) & set(MISSING_WORDS)


def test_published_names_of_every_economy_are_understood():
    """ISO's and the UN's short names, as a well-kept package has them, find the economy they name."""
    country_converter = pytest.importorskip("country_converter", reason="comes with the optional group `reference`")
    known = partner_aliases().set_index("alias")["country_iso3"]
    # economies that are only parts of a partner (Bonaire and Saba have a code each) have no one name
    partners = read_shipped("partners")
    economies = set(partners.loc[partners["kind"] == "normal", "iso3"])
    wrong = [
        (row.name_short, row.ISO3)
        for row in country_converter.CountryConverter().data.itertuples()
        if row.ISO3 in economies and known.get(partner_key(row.name_short)) != row.ISO3
    ]
    assert wrong == []


def test_spellings_seen_in_files_mean_what_the_sources_say():
    known = partner_aliases().set_index("alias")["partner_code"]
    for name in ("partner_spellings", "partner_names_seen"):
        for row in read_source(name).itertuples():
            assert known[partner_key(row.alias)] == row.code, row.alias


def test_names_of_two_economies_are_told_apart():
    """Pairs that differ by a word: a wrong one would move trade between two economies."""
    known = partner_aliases().set_index("alias")["country_iso3"]
    pairs = {
        "Dominica": "DMA", "Dominican Republic": "DOM", "Niger": "NER", "Nigeria": "NGA", "Guinea": "GIN",
        "Equatorial Guinea": "GNQ", "Congo": "COG", "Dem. Rep. of the Congo": "COD", "Samoa": "WSM", "American Samoa": None,
        "Austria": "AUT", "Australia": "AUS", "Slovakia": "SVK", "Slovenia": "SVN", "Korea, Rep. of": "KOR", "中非": "CAF",
        "贝宁": "BEN", "南非": "ZAF", "几内亚": "GIN", "赤道几内亚": "GNQ", "多米尼加共和国": "DOM", "多米尼克": "DMA",
    }
    assert {name: known.get(partner_key(name)) for name in pairs} == pairs


def test_unknown_base_revision_is_refused():
    with pytest.raises(BaseRevisionError, match="expected one of 1996, 2002, 2007, 2012; found '2017'"):
        product_table(base_revision="2017")
