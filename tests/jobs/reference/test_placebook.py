"""A user's own postcodes, units and regions: checked, shown when wrong, and in force where they are valid."""

from __future__ import annotations

import logging

import pytest

from conf.settings import Places
from jobs.commands.places import PostcodeQuestionError, explain_postcode
from jobs.reference.city_names import CityNames
from jobs.reference.place_book import PlaceFileError, load_place_book, load_region_classes
from jobs.reference.place_lookups import CONVENTIONS, build_lookups
from jobs.study.handoff import city_classes


@pytest.fixture(scope="module")
def shipped():
    return load_place_book()


def write(path, text):
    path.write_text(text.strip() + "\n", encoding="utf-8")
    return path


def postcodes(tmp_path, rows):
    return load_place_book(user_postcodes=write(tmp_path / "own.csv", "prefix,unit_code,valid_from,valid_to\n" + rows))


def units(tmp_path, rows):
    header = "unit_code,unit_name,unit_type,prefecture_code,valid_from,valid_to\n"
    return load_place_book(user_units=write(tmp_path / "units.csv", header + rows))


def prefix_rows(book, prefix):
    rows = book.prefixes[book.prefixes["prefix"] == prefix]
    return {(row.unit_code, row.valid_from, row.valid_to, row.is_user) for row in rows.itertuples()}


def test_own_prefix_takes_precedence_in_its_years_only(tmp_path, shipped):
    book = postcodes(tmp_path, "3120,330602,2005,2008")
    assert ("330621", 2000, 2013, False) in prefix_rows(shipped, "3120")
    assert prefix_rows(book, "3120") >= {
        ("330602", 2005, 2008, True), ("330602", 2000, 2005, False), ("330621", 2008, 2013, False),
    }
    # the shipped five and six digits below the prefix give way in these years too
    both = ("330602", "330621")
    assert prefix_rows(shipped, "31203") == {(unit, 2000, 2013, False) for unit in both}
    assert prefix_rows(book, "31203") == {(unit, *years, False) for unit in both for years in ((2000, 2005), (2008, 2013))}


def test_own_longer_prefix_settles_part_of_a_shared_area(tmp_path):
    book = postcodes(tmp_path, "312065,330621,2003,2013")
    answer = explain_postcode("312065", 2007, book=book)
    assert (answer.unit_type, answer.is_ambiguous, answer.candidates[0].is_user) == ("county", False, True)
    assert explain_postcode("312064", 2007, book=book).is_ambiguous


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("312,330602,2003,", "prefix must have four, five or six digits"),
        ("3120,999999,2003,", "unit_code is not a county unit"),
        ("2152,320509,2005,", "unit_code is not a county unit, or not in all of these years"),
        ("3120,330602,2003,2009\n3120,330602,2008,2012", "intervals of one prefix and unit overlap"),
        ("3120,330602,2003,2009\n3120,330621,2008,2012", "one prefix names units of different type or prefecture"),
        ("3120,330602,2009,2003", "valid_to (exclusive) must be later than valid_from"),
        ("3120,330602,03,", "valid_from must be a year of four digits"),
    ],
)
def test_wrong_postcode_rows_are_refused_and_shown(tmp_path, rows, complaint):
    with pytest.raises(PlaceFileError) as error:
        postcodes(tmp_path, rows)
    assert complaint in str(error.value)
    # the file and every offending line, as it stands there
    assert str(error.value).startswith(str(tmp_path / "own.csv"))
    for line, row in enumerate(rows.split("\n"), start=2):
        assert f"line {line}: prefix {row.split(',')[0]}" in str(error.value)


def test_several_districts_may_share_a_prefix(tmp_path):
    book = postcodes(tmp_path, "2159,320506,2003,\n2159,320507,2003,")
    answer = explain_postcode("215900", 2007, book=book)
    assert (answer.unit_type, answer.is_ambiguous) == ("district", False)


def test_gap_is_reported_and_allowed(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        postcodes(tmp_path, "3120,330602,2003,2005\n3120,330602,2007,2012")
    assert "begin after a gap" in caplog.text
    assert "line 3: prefix 3120, valid_from 2007" in caplog.text


def test_missing_column_and_file_are_named(tmp_path):
    with pytest.raises(PlaceFileError, match="missing valid_to"):
        load_place_book(user_postcodes=write(tmp_path / "own.csv", "prefix,unit_code,valid_from\n3120,330602,2003"))
    with pytest.raises(PlaceFileError, match="no such file"):
        load_place_book(user_postcodes=tmp_path / "absent.csv")


def test_own_unit_changes_a_type_in_its_years(tmp_path):
    book = units(tmp_path, "320583,昆山区,district,320500,2006,2009")
    assert explain_postcode("215300", 2005, book=book).unit_type == "county_city"
    assert explain_postcode("215300", 2006, book=book).unit_type == "district"
    assert explain_postcode("215300", 2009, book=book).unit_type == "county_city"


def test_units_approved_after_the_month_of_yearly_files_are_named_as_later():
    # Haikou's four districts were approved on 16 October 2002
    answer = explain_postcode("570012", 2002, convention="approval")
    assert answer.unit_type is None and len(answer.candidates) == 4
    assert "570012 in 2002: no unit yet in month 7; later, 海口市\n  is 5700: 460105 秀英区" in str(answer)
    assert explain_postcode("570012", 2002).unit_type == "district"


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("320583,昆山市,town,320500,2006,", "unit_type must be one of"),
        ("3205,昆山市,district,320500,2006,", "unit_code must have six digits"),
        ("320583,昆山市,district,329900,2006,", "prefecture_code is not among"),
        ("320583,昆山市,district,320500,2006,2010\n320583,昆山市,county,320500,2008,", "intervals of one unit overlap"),
    ],
)
def test_wrong_unit_rows_are_refused_and_shown(tmp_path, rows, complaint):
    with pytest.raises(PlaceFileError) as error:
        units(tmp_path, rows)
    assert complaint in str(error.value)
    assert "昆山市" in str(error.value)


def test_own_regions_must_cover_every_province_once(tmp_path):
    shipped = load_region_classes()
    assert len(shipped) == 31
    full = shipped[["province_code"]].assign(region_mine="all")
    full.to_csv(tmp_path / "regions.csv", index=False)
    own = load_region_classes(tmp_path / "regions.csv")
    assert set(own["region_mine"]) == {"all"}
    # the shipped variants stay beside it, and a study may ask for either
    classes = city_classes(Places(user_regions=str(tmp_path / "regions.csv")))
    assert classes.regions["region_mine"]["320000"] == "all"
    assert classes.regions["region_11_8_12"] == city_classes(Places()).regions["region_11_8_12"]
    shipped[["province_code"]].assign(mine="all").to_csv(tmp_path / "regions.csv", index=False)
    with pytest.raises(PlaceFileError, match="whose names begin with region_"):
        load_region_classes(tmp_path / "regions.csv")
    full.iloc[1:].to_csv(tmp_path / "regions.csv", index=False)
    with pytest.raises(PlaceFileError, match=r"(?s)provinces missing.*北京市"):
        load_region_classes(tmp_path / "regions.csv")
    full.assign(province_code="990000").to_csv(tmp_path / "regions.csv", index=False)
    with pytest.raises(PlaceFileError, match="not among the 31 provinces"):
        load_region_classes(tmp_path / "regions.csv")


def cities(tmp_path, rows):
    header = "prefecture_code,city_id,name_zh,kind,province_code,valid_from,valid_to\n"
    return load_place_book(user_cities=write(tmp_path / "cities.csv", header + rows))


def test_own_city_is_one_in_its_years_under_its_names(tmp_path, shipped):
    # 毕节 became a city in 2011; a study may count it from 2009 on
    book = cities(tmp_path, "522400,520500,毕节市,prefecture_city,520000,2009,2011")
    names = CityNames(book.prefectures.astype(str).to_dict("records"))
    assert [names.exists("520500", year) for year in (2008, 2009, 2010, 2011)] == [False, True, True, True]
    assert names.city_id("毕节", 2009) == "520500"
    texts = {
        row["from_month"] // 12: row["place"]["city_id"] for row in build_lookups(book).texts if row["alias"] == "毕节市"
        if row["from_month"] < 2011 * 12
    }
    assert texts[2009] == "520500"


def test_a_row_of_another_kind_takes_a_city_off_the_list(tmp_path):
    book = cities(tmp_path, "320400,,常州地区,prefecture,320000,2005,2007")
    names = CityNames(book.prefectures.astype(str).to_dict("records"))
    assert [names.exists("320400", year) for year in (2004, 2005, 2006, 2007)] == [True, False, False, True]
    by_year = {
        row["from_month"] // 12: row["places"][0]["city_id"] for row in build_lookups(book).postcodes
        if row["prefix"] == "2131"
    }
    assert (by_year[2000], by_year[2005], by_year[2007]) == ("320400", None, "320400")


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("3204,320400,常州市,prefecture_city,320000,2003,", "prefecture_code must have six digits"),
        ("320400,320400,常州市,city,320000,2003,", "kind must be one of"),
        ("320400,320400,常州市,prefecture_city,329999,2003,", "not among the 31 provinces"),
        ("320400,,常州市,prefecture_city,320000,2003,", "city_id belongs to rows of kind"),
        ("320400,320400,常州市,prefecture_city,320000,2003,2009\n320400,320400,常州市,prefecture_city,320000,2008,",
         "intervals of one prefecture overlap"),
        ("320400,320500,常州市,prefecture_city,320000,2003,", "one city_id stands for two prefectures"),
    ],
)
def test_wrong_city_rows_are_refused_and_shown(tmp_path, rows, complaint):
    with pytest.raises(PlaceFileError) as error:
        cities(tmp_path, rows)
    assert complaint in str(error.value)
    assert "常州市" in str(error.value) and "cities.csv" in str(error.value)


def test_a_city_is_ambiguous_no_longer_once_own_postcodes_settle_it(tmp_path, shipped):
    assert "330600" in set(shipped.ambiguous["city_id"])
    # Shaoxing's six digits, and those of its county, told apart for 2005 to 2008
    book = postcodes(tmp_path, "3120,330602,2005,2008\n31203,330621,2005,2008")
    spans = book.ambiguous[book.ambiguous["city_id"] == "330600"]
    assert list(zip(spans["valid_from"], spans["valid_to"], strict=True)) == [(2000, 2005), (2008, 2013)]
    others = [table[table["city_id"] != "330600"].reset_index(drop=True) for table in (shipped.ambiguous, book.ambiguous)]
    assert others[0].equals(others[1])


def test_file_that_is_no_utf8_is_refused_with_its_name(tmp_path):
    (tmp_path / "own.csv").write_bytes("prefix,unit_code,valid_from,valid_to,备注\n3120,330602,2003,,\n".encode("gb18030"))
    with pytest.raises(PlaceFileError, match=r"own\.csv: expected a CSV file in UTF-8"):
        load_place_book(user_postcodes=tmp_path / "own.csv")


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_lookup_spans_of_a_key_never_overlap(shipped, convention):
    lookups = build_lookups(shipped, convention=convention)
    tables = {"postcodes": "prefix", "texts": "alias", "districts": "code"}
    for rows, key in ((getattr(lookups, name), key) for name, key in tables.items()):
        ordered = sorted(rows, key=lambda row: (row[key], row["from_month"]))
        clashes = [
            (a[key], a["to_month"], b["from_month"])
            for a, b in zip(ordered, ordered[1:], strict=False)
            if a[key] == b[key] and a["to_month"] > b["from_month"]
        ]
        assert clashes == []
        assert all(row["from_month"] < row["to_month"] for row in rows)


def test_explanation_says_what_it_is_by_what_and_what_else():
    answer = explain_postcode("312000", 2007)
    assert [candidate.unit_name for candidate in answer.candidates] == ["越城区", "绍兴县"]
    assert answer.is_ambiguous
    # three lists and the directory against two lists and the directory
    assert answer.confidence == pytest.approx(0.99 * 4 / 7, abs=1e-3)
    text = str(answer)
    assert "312000 in 2007: municipal district, 绍兴市" in text
    assert "4 of 4 sources" in text and "chinese-postcode 2018 312030" in text


def test_explanation_follows_a_conversion_through_the_years():
    answer = explain_postcode("225200", 2010)
    assert answer.unit_type == "county_city"
    assert answer.other_years == ((2000, 2010, "county_city"), (2011, 2030, "district"))
    assert "2011- municipal district" in str(answer)


def test_unknown_postcode_is_said_to_be_unknown():
    answer = explain_postcode("999999", 2007)
    assert (answer.candidates, answer.unit_type, answer.confidence) == ((), None, None)
    assert "no county-level unit" in str(answer)


@pytest.mark.parametrize(("postcode", "year"), [("31200", 2007), ("31200x", 2007), ("312000", 1999)])
def test_impossible_question_is_refused(postcode, year):
    with pytest.raises(PostcodeQuestionError, match="expected"):
        explain_postcode(postcode, year)
