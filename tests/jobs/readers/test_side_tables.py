"""Development zones, exchange rates and deflators as a user writes them."""

from __future__ import annotations

import pytest

from jobs.core.errors import InputRefusedError
from jobs.readers.yearbook_series import read_deflators, read_exchange_rates, read_zones
from jobs.reference.city_names import CityNames

CITIES = CityNames(
    {"city_id": code, "name_zh": code, "kind": "prefecture_city", "province_name": "p", "valid_from": "2000", "valid_to": ""}
    for code in ("110000", "320500")
)


def write(folder, text):
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_zones_by_approval_and_by_year_agree(tmp_path):
    by_approval = read_zones(write(tmp_path, "city_id,approved_year,source\n320500,2003,gazette\n320500,2009,\n"), CITIES)
    assert by_approval.iloc[0].tolist() == ["320500", 2003, None, "gazette"]
    by_year = read_zones(write(tmp_path, "city_id,year,ETDZ\n320500,2003,1\n320500,2004,1\n110000,2004,0\n"), CITIES)
    assert by_year[["city_id", "approved_year", "closed_year"]].values.tolist() == [["320500", 2003, None]]


def test_shipped_zones_stand_in_when_no_list_is_given():
    zones = read_zones(None, CITIES).set_index("city_id")
    # Suzhou by Kunshan's zone of 1992, Beijing by its own; Shenzhen and Quzhou have none
    assert zones.loc[["320500", "110000"], "approved_year"].tolist() == [1992, 1994]
    assert not {"440300", "330800"} & set(zones.index)
    in_2003, in_2011 = ((zones["approved_year"] <= year).sum() for year in (2003, 2011))
    assert (in_2003, in_2011) == (44, 96) and zones["closed_year"].isna().all()


def test_zone_that_ends_before_the_list_does_is_closed(tmp_path):
    table = read_zones(write(tmp_path, "city_id,year,ETDZ\n320500,2003,1\n110000,2003,1\n110000,2004,1\n"), CITIES)
    assert table.set_index("city_id")["closed_year"].dropna().to_dict() == {"320500": 2004}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("city_id,approved_year\n320583,2003\n", "line 2: '320583' is not a prefecture-level city"),
        ("city_id,approved_year\n320500,soon\n", "line 2: expected a year; found 'soon'"),
        ("city_id,when\n320500,2003\n", "missing approved_year"),
        ("city_id,year,ETDZ\n320500,2003,yes\n", "ETDZ must be 0 or 1"),
        ("city_id,year,ETDZ\n320500,2003,1\n320500,2005,1\n", "but not in 2004"),
    ],
)
def test_zone_list_with_a_fault_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(InputRefusedError, match=message):
        read_zones(write(tmp_path, text), CITIES)


def test_shipped_exchange_rates_cover_the_study_and_fall_from_2005(tmp_path):
    rates = read_exchange_rates(None).set_index("year")["series_value"]
    assert set(range(2000, 2017)) == set(rates.index)
    assert rates[2003] == 8.2770 and rates[2011] == 6.4588  # annual averages as published
    assert rates.loc[2005:2011].is_monotonic_decreasing


def test_own_exchange_rates_replace_the_shipped_ones(tmp_path):
    table = read_exchange_rates(write(tmp_path, "year,cny_per_usd\n2003,8.3\n"))
    assert table.values.tolist() == [["cny_per_usd", "000000", 2003, 8.3, "table.csv"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("province_code,year,gdp_deflator\n32,2003,\n", "gdp_deflator must be a number above 0"),
        ("province_code,year,gdp_deflator\n32,2003,-1\n", "gdp_deflator must be a number above 0"),
        ("province_code,year,gdp_deflator\n32,2003,1\n320000,2003,2\n", "a second gdp_deflator for 320000 in 2003"),
        ("year,gdp_deflator\n2003,1\n", "missing province_code"),
    ],
)
def test_deflators_with_a_fault_are_refused(tmp_path, text, message):
    with pytest.raises(InputRefusedError, match=message):
        read_deflators(write(tmp_path, text))
