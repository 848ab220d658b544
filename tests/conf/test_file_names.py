"""Names as they circulate, each with the year and the month a careful reader takes from them; no JVM."""

from __future__ import annotations

import doctest

import pytest

from conf import file_names
from conf.file_names import period_of

MONTHLY = [
    ("data200301.csv", 2003, 1),
    ("customs/data2003-02.csv", 2003, 2),
    ("2000-01.csv", 2000, 1),
    ("2001-01.txt", 2001, 1),
    ("200601cn.csv", 2006, 1),
    ("200511.csv.gz", 2005, 11),
    ("tradedata_2003_1.dta", 2003, 1),
    ("tradedata_2003_10.dta", 2003, 10),
    ("2002/tradedata_2002_2.dta", 2002, 2),
    ("20030115.csv", 2003, 1),
    ("2003-01-15.csv", 2003, 1),
    ("海关2005年3月.csv", 2005, 3),
    ("海关2005年03月份.csv", 2005, 3),
    ("海关数据05年3月.csv", 2005, 3),
    ("二〇〇五年十一月.csv", 2005, 11),
    ("２００５０３.csv", 2005, 3),
    ("2005年/3月.csv", 2005, 3),
    ("2005年/海关数据_3月.csv", 2005, 3),
    ("2003/m01.csv", 2003, 1), ("2003年/3月/海关.csv", 2003, 3), ("2003/03/海关.csv", 2003, 3), ("2003/03/part1.csv", 2003, 3),
    ("2003/disk3/海关.csv", 2003, None),
    ("2003/01.csv", 2003, 1),
    ("2003/data_1.csv", 2003, 1),
    ("2003m12.dta", 2003, 12),
    ("Jan2003.csv", 2003, 1),
    ("2003_march.csv", 2003, 3),
    ("customs_122010.csv", 2010, 12),
    ("HS2002_200503.csv", 2005, 3),
    ("200503_HS2002版.csv", 2005, 3),
    ("data200301 (1).csv", 2003, 1),
    ("201604_201611/201604.txt", 2016, 4),
    ("Raw_import_200001.dta", 2000, 1),
    ("2003年01月_v2.1.csv", 2003, 1),
    ("gb18030_200304.csv", 2003, 4),
    ("200506.zip/200506.csv", 2005, 6),
    ("2005.zip/a/200507.csv", 2005, 7),
    ("2003/customs[1].csv", 2003, 1),
]
YEARLY = [
    ("2007_1.txt", 2007),
    ("tradedata_2007_18.dta", 2007),
    ("customs[2011].csv", 2011),
    ("2009年/海关数据.csv", 2009),
    ("HS2007版_2003.csv", 2003),
    ("HS2007_2003.csv", 2003),
    ("2003_HS2007版.csv", 2003),
    ("HS 2012 edition 2008.txt", 2008),
    ("2007版HS编码/2009.csv", 2009),
    ("海关数据2008_更新2019.dta", 2008),
    ("export1_2012.dta", 2012),
    ("data_2003_0.dta", 2003),
    ("hg2004.dta", 2004),
    ("2013.dta", 2013),
    ("2000-2016/2005.dta", 2005),
    ("2000-2016/中国海关_2005.dta", 2005),
    ("2005Q2.csv", 2005),
    ("2005年上半年.csv", 2005),
    ("2005年1-6月.csv", 2005),
]
UNDECIDED = [
    ("海关数据.csv", ()),
    ("custom_0015_exp.dta", ()),
    ("HS2007版.csv", ()),
    ("中国海关企业数据库(firm-year-hs6).dta", ()),
    ("工企+海关2000-2015.dta", (2000, 2015)),
    ("2000_2016.dta", (2000, 2016)),
    ("1234567890.csv", ()),
]


@pytest.mark.parametrize(("name", "year", "month"), MONTHLY, ids=[name for name, *_ in MONTHLY])
def test_month_is_read_under_a_vintage_of_monthly_files(name, year, month):
    found = period_of(name)
    assert (found.year, found.month_under("month")) == (year, month)


@pytest.mark.parametrize(("name", "year"), YEARLY, ids=[name for name, _ in YEARLY])
def test_year_is_read_and_a_part_is_no_month(name, year):
    found = period_of(name)
    assert (found.year, found.month_under("year")) == (year, None)


@pytest.mark.parametrize(("name", "years"), UNDECIDED, ids=[name for name, _ in UNDECIDED])
def test_name_that_does_not_decide_says_so(name, years):
    found = period_of(name)
    assert found.year is None and found.years == years


def test_parts_beyond_twelve_and_spans_are_no_months():
    assert period_of("tradedata_2007_14.dta").month_under("month") is None
    assert period_of("2005Q2.csv").month_under("month") is None
    assert (period_of("2005Q2.csv").number, period_of("2005Q2.csv").last_month) == (4, 6)
    assert period_of("2005年上半年.csv").last_month == 6


def test_two_years_in_one_name_do_not_decide():
    found = period_of("2003_merged_2005.csv")
    assert found.year is None and found.rivals == (2005,)


@pytest.mark.parametrize(
    ("name", "flow"),
    [
        ("export1_2012.dta", "export"), ("Raw_import_200001.dta", "import"), ("data_2003_0.dta", "export"),
        ("data_2003_1.dta", "import"), ("custom_0015_exp.dta", "export"), ("2005年3月进口.csv", "import"),
        ("出口/200503.csv", "export"), ("2003进口出口.csv", ""), ("data200301.csv", ""), ("important_2003.csv", ""),
        ("tradedata_2003_1.dta", ""),
    ],
)
def test_flow_of_a_file_of_one_flow_is_in_its_name(name, flow):
    assert period_of(name).flow == flow


def test_examples_in_the_module_hold():
    assert doctest.testmod(file_names).failed == 0
