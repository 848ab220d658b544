"""Layouts, industries, place codes, choices and price series of the survey; no JVM."""

from __future__ import annotations

import pytest

from conf.firms import load_firm_layouts, load_industry_editions, load_investment_prices
from conf.productivity import Productivity
from conf.rules import load_rules
from conf.settings import SettingsError, load_settings
from jobs.core.errors import InputRefusedError
from jobs.kernels.raw_folder import raw_folder
from jobs.readers.firm_files import find_given_file, find_survey_files
from jobs.readers.firm_series import load_series
from jobs.reference.firm_places import place_table
from jobs.reference.place_book import load_place_book

HEADING = "法人代码,省地县码,行业代码,工业总产值(现价,新规定),从业人数"
QUOTED = '法人代码,省地县码,行业代码,"工业总产值(现价,新规定)",从业人数'


@pytest.fixture
def firms_folder(tmp_path):
    folder = tmp_path / "firms"
    folder.mkdir()
    return folder


def write(folder, name, text, encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))


def test_no_heading_means_two_columns():
    for layout in load_firm_layouts():
        aliases = [alias for names in layout.columns.values() for alias in names]
        assert len(aliases) == len(set(aliases)), layout.name


@pytest.mark.parametrize(
    ("year", "headings"),
    [
        (1998, ("法人代码", "企业名称", "工业总产值(现价,新规定)", "工业增加值", "从业人数", "固定资产净值年平均余额")),
        (2000, ("法人代码", "法人单位", "工业产值现", "全部职工", "固资净年余")),
        (2004, ("法人代码", "工业产值当", "全部从业人", "行政区代码")),
        (2006, ("法人代码", "工业总产值", "平均人数", "固定资产平", "行政区码")),
    ],
)
def test_yearly_headings_of_the_survey_are_known(year, headings):
    chinese = next(layout for layout in load_firm_layouts() if layout.name == "firms_chinese")
    assert len(chinese.assign(headings)) == len(headings), year


def test_industries_are_brought_to_the_2002_edition():
    old, new, newest = load_industry_editions()
    assert (old.recode["40"], old.recode["43"], old.recode["39"]) == ("39", "42", "36")
    assert new.recode == {}
    assert (newest.recode["292"], newest.recode["36"], newest.recode["39"]) == ("30", "37", "40")
    years = [year for edition in (old, new, newest) for year in range(edition.first_year, edition.last_year + 1)]
    assert years == list(range(1998, 2017))


def test_investment_prices_cover_back_cast_and_survey():
    prices = load_investment_prices()
    assert sorted(prices) == list(range(1978, 2014))
    assert (prices[1978], prices[1998], prices[2007]) == (16.8, 100.0, 116.7)
    # national index, previous year = 100: yearbook of 2009, table 8-16, and of 2012, table 9-1
    for year, index in {2008: 108.9, 2009: 97.6, 2010: 103.6, 2011: 106.6}.items():
        # kept with two decimals
        assert prices[year] == pytest.approx(prices[year - 1] * index / 100, abs=0.011)


def test_survey_file_is_recognised_in_both_encodings(firms_folder, tmp_path):
    write(firms_folder, "asif_1998.csv", QUOTED + "\n1,110101,1310,5,9\n", "gb18030")
    write(firms_folder, "asif_2009.csv", "frdm,xzqdm,hylb,gyzczxjxgd,cyrs\n1,110101001002,1310,5,9\n")
    files = find_survey_files(raw_folder(tmp_path))
    assert [(file.year, file.layout.name, file.encoding) for file in files] == [
        (1998, "firms_chinese", "gb18030"), (2009, "firms_pinyin", "utf-8"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("asif_2003.csv", "a,b,c\n1,2,3\n", "its headings match none"),
        ("asif.csv", "frdm,xzqdm,hylb,gyzczxjxgd,cyrs\n", "no survey year"),
        ("asif_2009.csv", "frdm,xzqdm,hylb,cyrs\n", "also needs: gyzczxjxgd"),
        ("asif_2009.csv", "", "no heading line"),
    ],
)
def test_unusable_survey_file_is_refused_with_the_remedy(firms_folder, tmp_path, name, text, message):
    write(firms_folder, name, text)
    with pytest.raises(InputRefusedError, match=message):
        find_survey_files(raw_folder(tmp_path))


def test_broken_bytes_are_refused_and_a_year_may_come_once(firms_folder, tmp_path):
    (firms_folder / "asif_2005.csv").write_bytes(b"frdm,xzqdm,hylb,gyzczxjxgd,cyrs\n\xff\xff\xff,1\n")
    with pytest.raises(InputRefusedError, match="neither valid utf-8 nor gb18030"):
        find_survey_files(raw_folder(tmp_path))
    for name in ("asif_2005.csv", "survey2005.csv"):
        write(firms_folder, name, "frdm,xzqdm,hylb,gyzczxjxgd,cyrs\n")
    with pytest.raises(InputRefusedError, match="2005 is delivered twice"):
        find_survey_files(raw_folder(tmp_path))


def test_given_table_without_a_column_is_refused(firms_folder, tmp_path):
    write(firms_folder, "firm_tfp.csv", "firm_id,year,place_code,industry,output,employment\n")
    with pytest.raises(InputRefusedError, match="missing ln_tfp"):
        find_given_file(raw_folder(tmp_path))


def test_place_codes_of_the_year_and_of_the_year_before():
    table = place_table(load_place_book()).set_index(["year", "code"])
    # Wujin: county-level city 320483 until 2002, district 320412 since
    assert table.loc[(2001, "320483"), "unit_type"] == "county_city"
    assert table.loc[(2003, "320412"), ["unit_type", "city_id"]].tolist() == ["district", "320400"]
    gone = [year for year in range(2001, 2008) if (year, "320483") in table.index]
    before = table.loc[(gone[-1], "320483")]
    assert before["firm_place_method"] == "unit_of_year_before"
    assert table.loc[(2007, "4419"), ["prefecture_code", "city_id"]].tolist() == ["441900", "441900"]
    assert table.index.is_unique


def test_survey_before_2000_is_read_with_the_state_of_2000():
    table = place_table(load_place_book())
    of_2000 = table[(table["year"] == 2000) & (table["firm_place_method"] == "unit_of_year")]
    of_1998 = table[(table["year"] == 1998) & (table["firm_place_method"] == "unit_of_year")]
    assert set(of_1998["code"]) == set(of_2000["code"])


def test_series_with_a_gap_or_an_unknown_name_are_refused(firms_folder, tmp_path):
    choices = Productivity()
    write(firms_folder, "deflators.csv", "series,industry_code,year,price_index\noutput,,2003,100\noutput,,2005,104\n")
    with pytest.raises(InputRefusedError, match=r"output all industries lacks \[2004\]"):
        load_series(tmp_path, choices, last_year=2005)
    write(firms_folder, "deflators.csv", "series,industry_code,year,price_index\nwages,,2003,100\n")
    with pytest.raises(InputRefusedError, match="expected series output, input, investment"):
        load_series(tmp_path, choices, last_year=2005)


def test_series_that_is_not_given_is_said(firms_folder, tmp_path):
    series = load_series(tmp_path, Productivity(), last_year=2007)
    assert "no output prices given: output at current prices" in series.notes
    assert series.growth is None


def test_survey_year_without_investment_price_is_refused(firms_folder, tmp_path):
    with pytest.raises(InputRefusedError, match=r"missing \[2014, 2015\]"):
        load_series(tmp_path, Productivity(), last_year=2015)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("productivity.method=gmm", "expected one of ols, fe, op, lp"),
        ("productivity.filters_off=workers", "filters_off: expected names of"),
        ("productivity.method=known", "needs technology"),
        ("productivity.trim_share=0.5", "trim_share: expected 0 to 0.25"),
        ("productivity.weight=simple", "unknown key"),
    ],
)
def test_impossible_choice_is_refused_at_start(override, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(overrides=[override], environment={})


def test_every_published_filter_has_a_name_and_a_reason():
    rules = load_rules("firm_account")
    assert len({rule.name for rule in rules}) == len(rules) > 20
    assert all(rule.why for rule in rules)
