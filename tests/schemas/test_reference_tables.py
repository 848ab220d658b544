"""Shipped tables: columns as declared, keys unique, codes known to one another, and the build that made them."""

from __future__ import annotations

import pytest

from jobs.readers.yearbook_series import SHIPPED_ZONES, SHIPPED_ZONES_END
from schemas.places import TABLES
from schemas.reference.builders.common import read_source
from schemas.reference.shipped import TABLE_NAMES, read_shipped

BY_NAME = {table.name.split(".")[1]: table for table in TABLES}


def test_every_shipped_table_is_declared_and_the_other_way_round():
    assert set(BY_NAME) == set(TABLE_NAMES)


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_table_has_its_columns_and_a_unique_key(name):
    table, rows = BY_NAME[name], read_shipped(name)
    assert tuple(rows.columns) == table.columns
    assert not rows.duplicated(list(table.key)).any()
    assert (rows[list(table.key)] != "").all().all()


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_closed_vocabularies_hold(name):
    rows = read_shipped(name)
    for field in BY_NAME[name].fields:
        if field.allowed:
            assert set(rows[field.name]) <= {*field.allowed, ""}
        if field.type == "int":
            assert rows[field.name].str.fullmatch(r"\d*").all()


def test_prefixes_name_units_that_exist():
    units = set(read_shipped("county_units")["unit_code"])
    prefixes = read_shipped("postcode_prefixes")
    assert set(prefixes["unit_code"]) <= units
    assert prefixes["prefix"].str.fullmatch(r"\d{4,6}").all()


def test_longer_prefixes_exist_only_below_contested_ones():
    prefixes = read_shipped("postcode_prefixes")
    contested = set(prefixes.loc[prefixes["is_ambiguous"] == "1", "prefix"])
    longer = prefixes.loc[prefixes["prefix"].str.len() > 4, "prefix"]
    assert set(longer.str[:-1]) <= contested


def test_ambiguous_cities_hold_the_eleven_that_fail_in_every_source():
    rows = read_shipped("ambiguous_cities")
    in_2005 = rows[(rows["valid_from"].astype(int) <= 2005) & ((rows["valid_to"] == "") | (rows["valid_to"] > "2005"))]
    fail_everywhere = {
        "130500", "130700", "130900", "211300", "330600", "431200", "511700", "520200", "530700", "650100",
    }
    assert fail_everywhere <= set(in_2005["city_id"])
    assert len(in_2005) == 22


def test_partner_codes_of_both_vintages_mean_one_economy():
    iso = read_shipped("partners").set_index("code")["iso3"]
    for old, new in {"341": "145", "342": "146", "345": "147", "346": "148", "348": "149"}.items():
        assert iso[old] == iso[new] != ""


def test_development_zones_are_those_of_the_official_count():
    """49 zones and 5 with the same rights from 2002 to mid-2007 (Ministry of Commerce), and none since until 2009."""
    zones = read_source("development_zones")
    assert not zones["zone_name"].duplicated().any()
    assert (zones["approved"].between("1984", "2002-12")).sum() == 54
    assert not zones["approved"].between("2003", "2009-06").any()
    assert set(zones.loc[zones["evidence"] == "list and introduction", "approved"].str[:4]) <= {
        str(year) for year in range(1984, 2003)
    }
    # what is not counted says why
    assert (zones.loc[(zones["city_id"] == "") | (zones["approved"] == ""), "note"] != "").all()


def test_development_zones_lie_in_the_city_they_count_for():
    prefectures, units = read_shipped("prefectures"), read_shipped("county_units")
    owner = {(row.unit_name, row.prefecture_code) for row in units.itertuples()}
    owner |= {(row.name_zh, row.city_id) for row in prefectures.itertuples()}
    zones = read_source("development_zones").query("city_id != ''")
    assert [row.zone_name for row in zones.itertuples() if (row.place_name, row.city_id) not in owner] == []
    shipped = read_shipped("development_zones")
    assert set(shipped["city_id"]) <= set(zones["city_id"])
    assert int(shipped["approved_year"].max()) == SHIPPED_ZONES_END
    assert shipped["zone_source"].str.startswith(SHIPPED_ZONES).all()


def test_conversions_are_one_to_one_backward():
    rows = read_shipped("hs6_conversions")
    counts = {"2007": 5052, "2002": 5224, "2012": 5205}
    # UN tables: 5,052 rows HS 2007 to 2002, of which 4,787 keep their code; 5,224 and 5,205 in the neighbouring pairs
    for revision, expected in counts.items():
        assert (rows["from_revision"] == revision).sum() == expected
    pair = rows[rows["from_revision"] == "2007"]
    assert (pair["from_hs6"] == pair["to_hs6"]).sum() == 4787


def test_number_of_codes_per_revision_is_that_of_the_conversion_tables():
    codes = read_shipped("hs6_codes")
    # the residual 999999 of the UN's lists is not a heading of the HS: one code fewer from 2012 on
    known = {"1996": 5132, "2002": 5224, "2007": 5052, "2012": 5205, "2017": 5387, "2022": 5612}
    assert {r: int((codes[f"in_hs{r}"] == "1").sum()) for r in known} == known
    flags = codes.set_index("hs6_code")
    assert flags.at["140390", "in_hs2002"] == "0" and flags.at["140300", "in_hs2002"] == "1"
    assert flags.at["710820", "in_hs1996"] == flags.at["711890", "in_hs1996"] == "1"


def test_families_hold_together_what_any_table_links():
    families = read_shipped("hs6_families")
    family = {(row.revision, row.hs6_code): row.family for row in families.itertuples()}
    for row in read_shipped("hs6_conversions").itertuples():
        ends = family.get((row.from_revision, row.from_hs6)), family.get((row.to_revision, row.to_hs6))
        assert None in ends or ends[0] == ends[1], row
    # a group of the source, and the cable of 2007 that is made of 854449 and 854459 of 2002
    assert family["1996", "010119"] == family["1996", "010120"] == family["2002", "010190"]
    assert family["2007", "854449"] == family["2002", "854449"] == family["2002", "854459"]
    studied = families[families["revision"].isin(["1996", "2002", "2007", "2012"])]
    assert studied["family"].nunique() == 5071
    # a family holds every code of its name, and a code has one family in a revision
    assert not families.duplicated(["revision", "hs6_code"]).any()


def test_shipped_tables_are_what_the_pinned_packages_give():
    from schemas.reference import build

    try:
        build.check_packages()
    except build.PackageVersionError as error:
        pytest.skip(str(error))
    differing = [name for name, table in build.build_tables().items() if build.render(table) != _text(name)]
    assert differing == []


def _text(name):
    from importlib import resources

    return (resources.files("schemas") / "reference" / f"{name}.csv").read_text("utf-8")
