"""Where a record belongs: every case of the policy on a handful of real places and years."""

from __future__ import annotations

import polars as pl
import pytest
from pyspark.sql import functions as F

from conf.settings import TREATMENTS as AMBIGUOUS_TREATMENTS
from jobs.kernels.placing import DEFAULT_POLICY, PlacePolicy, PlacePolicyError, place_records
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables
from jobs.transforms.place_coverage import TREATMENTS, is_postcode_unknown, mark_treatments, only_place

COLUMNS = (
    "year", "month", "postcode", "production_place", "district_code", "firm_id", "firm_address", "has_postcode_column",
)
ANSWERED = ("city_id", "unit_type", "place_conflict", "is_place_ambiguous", "place_reason")
OUTPUT = (
    "city_id", "unit_code", "unit_type", "place_method", "place_digits", "place_conflict", "place_reason",
)


def record(year, postcode, text, *, month=None, district=None, firm=None, address=None, column=True):
    return (year, month, postcode, text, district, firm, address, column)


# what goes in, what must come out (city, unit, type, method, digits, conflict, reason)
CASES = {
    "district_by_four_digits": (
        record(2007, "213164", "江苏省常州市"),
        ("320400", "320412", "district", "postcode4", 4, None, None),
    ),
    "office_in_shanghai_goods_from_changzhou": (
        record(2005, "200120", "常州"),
        ("320400", None, None, "place_text", 0, "postcode_prefecture", None),
    ),
    "office_in_shanghai_goods_from_wujin": (
        record(2005, "200120", "常州市武进区"),
        ("320400", "320412", "district", "place_text", 0, "postcode_prefecture", None),
    ),
    "county_city_by_postcode": (
        record(2007, "215300", "苏州市"),
        ("320500", "320583", "county_city", "postcode4", 4, None, "COUNTY_CITY"),
    ),
    "county_by_postcode": (
        record(2007, "312500", "浙江绍兴"),
        ("330600", "330624", "county", "postcode4", 4, None, "COUNTY"),
    ),
    # Huzhou had no districts before 2003: a county of it must not stay "wholly city" afterwards
    "county_of_a_city_divided_later": (
        record(2005, "313101", "浙江湖州市长兴县"),
        ("330500", "330522", "county", "postcode4", 4, None, "COUNTY"),
    ),
    "text_names_unit_postcode_the_district": (
        record(2007, "215006", "昆山"),
        ("320500", None, "district", "postcode4", 4, "text_unit", None),
    ),
    "wujiang_before_its_conversion": (
        record(2011, "215200", "苏州"),
        ("320500", "320584", "county_city", "postcode4", 4, None, "COUNTY_CITY"),
    ),
    "wujiang_after_its_conversion": (
        record(2012, "215200", "苏州"),
        ("320500", "320509", "district", "postcode4", 4, None, None),
    ),
    "whole_city_dongguan": (
        record(2006, "523808", "东莞市"),
        ("441900", "441900", "whole_city", "postcode4", 4, None, None),
    ),
    "whole_city_zhongshan_postcode_unknown": (
        record(2006, "999999", "中山市"),
        ("442000", "442000", "whole_city", "place_text", 0, "postcode_unknown", None),
    ),
    "whole_city_jiayuguan_in_pinyin": (
        record(2006, "735100", "jiayuguan"),
        ("620200", "620200", "whole_city", "postcode6", 6, None, None),
    ),
    "shaoxing_six_digits_shared": (
        record(2007, "312000", "绍兴市"),
        ("330600", "330602", "district", "postcode6", 6, None, None),
    ),
    "shaoxing_county_six_digits": (
        record(2007, "312030", "绍兴市"),
        ("330600", "330621", "county", "postcode6", 6, None, "COUNTY"),
    ),
    "dongying_five_digits": (
        record(2007, "257000", "东营市"),
        ("370500", "370502", "district", "postcode5", 5, None, None),
    ),
    # no source has 2571; its neighbours 2570 and 2572 are districts of 东营
    "core_prefix_that_no_source_has": (
        record(2007, "257100", "东营市"),
        ("370500", None, "district", "postcode4", 4, None, None),
    ),
    "north_of_the_core_of_beijing": (
        record(2005, "100101", "北京"),
        ("110000", None, "district", "postcode4", 4, None, None),
    ),
    "text_unit_settles_a_shared_postcode": (
        record(2007, "312000", "绍兴县"),
        ("330600", "330621", "county", "postcode6", 6, None, "COUNTY"),
    ),
    "province_text_postcode_decides": (
        record(2007, "213164", "江苏省其它"),
        ("320400", "320412", "district", "postcode4", 4, None, None),
    ),
    "province_text_postcode_elsewhere": (
        record(2007, "200120", "江苏省其它"),
        (None, None, None, None, None, "postcode_province", "PLACE_UNKNOWN"),
    ),
    "unreadable_text_postcode_decides": (
        record(2007, "213164", "某地"),
        ("320400", "320412", "district", "postcode4", 4, None, None),
    ),
    "nothing_known": (
        record(2007, None, "某地"),
        (None, None, None, None, None, None, "PLACE_UNKNOWN"),
    ),
    "everything_null": (
        record(2007, None, None),
        (None, None, None, None, None, None, "PLACE_UNKNOWN"),
    ),
    "unknown_postcode_in_a_known_city": (
        record(2007, "999999", "常州"),
        ("320400", None, None, "place_text", 0, "postcode_unknown", None),
    ),
    "unknown_postcode_in_a_province": (
        record(2007, "999999", "江苏省其它"),
        (None, None, None, None, None, "postcode_unknown", "POSTCODE_UNKNOWN"),
    ),
    "unknown_postcode_unit_from_text": (
        record(2007, "999999", "常州市武进区"),
        ("320400", "320412", "district", "place_text", 0, "postcode_unknown", None),
    ),
    "autonomous_prefecture": (
        record(2007, "831100", "昌吉"),
        (None, "652301", "county_city", "postcode4", 4, None, "OUTSIDE_CITIES"),
    ),
    "area_that_became_a_city_later": (
        record(2010, "551700", "毕节地区"),
        (None, "522401", "county_city", "postcode4", 4, None, "OUTSIDE_CITIES"),
    ),
    "the_same_as_a_city": (
        record(2011, "551700", "毕节"),
        ("520500", "520502", "district", "postcode4", 4, None, None),
    ),
    "renamed_city_keeps_its_id": (
        record(2005, "665000", "思茅"),
        ("530800", "530802", "district", "postcode4", 4, None, None),
    ),
    "renamed_city_under_its_new_name": (
        record(2008, "665000", "普洱"),
        ("530800", "530802", "district", "postcode4", 4, None, None),
    ),
    "chaohu_before_it_was_abolished": (
        record(2010, "238000", "巢湖"),
        ("341400", "341402", "district", "postcode4", 4, None, None),
    ),
    "chaohu_after_it_was_abolished": (
        record(2011, "238000", "安徽合肥"),
        ("340100", "340181", "county_city", "postcode4", 4, None, "COUNTY_CITY"),
    ),
    "district_code_of_kunshan": (
        record(2007, None, None, district="32239"),
        ("320500", "320583", "county_city", "district_code", 0, None, "COUNTY_CITY"),
    ),
    "district_code_disagrees": (
        record(2007, "213164", "常州", district="33019"),
        ("320400", "320412", "district", "postcode4", 4, "district_code", None),
    ),
    "zone_inside_the_districts": (
        record(2005, None, "上海外高桥保税区"),
        ("310000", "310115", "district", "place_text", 0, None, None),
    ),
    "zone_of_a_county_level_city": (
        record(2005, "215006", "昆山出口加工区"),
        ("320500", None, "district", "postcode4", 4, "text_unit", None),
    ),
    "zone_of_a_county_level_city_office_elsewhere": (
        record(2005, "200120", "江苏张家港保税区"),
        ("320500", "320582", "county_city", "place_text", 0, "postcode_prefecture", "COUNTY_CITY"),
    ),
    "zone_that_became_inside_with_its_city": (
        record(2012, "999999", "江苏吴江出口加工区"),
        ("320500", "320509", "district", "place_text", 0, "postcode_unknown", None),
    ),
    "zone_over_several_districts": (
        record(2007, "999999", "天津新技术产业园区"),
        ("120000", None, "district", "place_text", 0, "postcode_unknown", None),
    ),
    "rest_of_a_district": (
        record(2007, None, "海淀区其它"),
        ("110000", "110108", "district", "place_text", 0, None, None),
    ),
    "code_in_place_of_the_text": (
        record(2007, None, "32259"),
        ("320500", "320584", "county_city", "place_text", 0, None, "COUNTY_CITY"),
    ),
    "city_of_districts_only": (
        record(2007, None, "深圳其他"),
        ("440300", None, "district", "place_text", 0, None, None),
    ),
    "corps": (
        record(2007, None, "新疆生产建设兵团农八师"),
        (None, "659001", "county_city", "place_text", 0, None, "OUTSIDE_CITIES"),
    ),
    "district_code_of_a_city_swapped_in_the_national_numbers": (
        record(2007, None, None, district="33109"),
        ("331100", None, None, "district_code", 0, None, None),
    ),
    "district_code_of_a_zone": (
        record(2007, None, None, district="31224"),
        ("310000", "310115", "district", "district_code", 0, None, None),
    ),
    "no_postcode_column_text_names_the_unit": (
        record(2008, None, "昆山", column=False),
        ("320500", "320583", "county_city", "place_text", 0, None, "COUNTY_CITY"),
    ),
    "no_postcode_column_firm_history": (
        record(2008, None, "常州", firm="3204900001", column=False),
        ("320400", "320412", "district", "firm_history", 0, None, None),
    ),
    "no_postcode_column_history_of_another_city": (
        record(2008, None, "南京", firm="3204900001", column=False),
        ("320100", None, None, "place_text", 0, None, None),
    ),
    "no_postcode_column_address": (
        record(2008, None, "绍兴", address="浙江省绍兴市新昌县人民路8号", column=False),
        ("330600", "330624", "county", "address", 0, None, "COUNTY"),
    ),
    "no_postcode_column_city_only": (
        record(2008, None, "常州", address="常州延陵路1号", column=False),
        ("320400", None, None, "place_text", 0, None, None),
    ),
}


@pytest.fixture(scope="module")
def tables():
    return place_tables(load_place_book())


def placed(tables, policy=DEFAULT_POLICY, *, names=tuple(CASES), history="213164"):
    """The kernel's answer to the named cases; the one firm with a past has the given postcode there."""
    rows = pl.DataFrame([CASES[name][0] for name in names], schema=COLUMNS, orient="row", infer_schema_length=None)
    known = pl.when(pl.col("firm_id") == "3204900001").then(pl.lit(history)).alias("history_postcode")
    answers = place_records(rows.with_columns(known), tables, policy)
    return dict(zip(names, answers.to_dicts(), strict=True))


@pytest.fixture(scope="module")
def resolved(tables):
    return placed(tables)


@pytest.mark.parametrize("name", CASES)
def test_record_is_placed_as_the_policy_says(resolved, name):
    assert tuple(resolved[name][column] for column in OUTPUT) == CASES[name][1]


def test_confidence_orders_the_cases(resolved):
    sure = {name: row["place_confidence"] for name, row in resolved.items()}
    assert sure["district_by_four_digits"] > sure["unreadable_text_postcode_decides"] > sure["shaoxing_six_digits_shared"]
    assert sure["district_by_four_digits"] > sure["text_names_unit_postcode_the_district"]
    assert sure["office_in_shanghai_goods_from_wujin"] > sure["office_in_shanghai_goods_from_changzhou"]
    assert sure["office_in_shanghai_goods_from_changzhou"] > sure["unknown_postcode_in_a_known_city"] > 0
    assert sure["nothing_known"] is None
    assert all(0 < value <= 1 for value in sure.values() if value is not None)


def test_unknown_postcode_is_kept_or_refused_as_the_setting_says(tables, resolved):
    refused = placed(tables, PlacePolicy(unknown_postcode="refuse"))
    differing = {name for name in CASES if refused[name] != resolved[name]}
    assert differing == {"unknown_postcode_in_a_known_city"}
    assert refused["unknown_postcode_in_a_known_city"]["place_reason"] == "POSTCODE_UNKNOWN"


def test_ambiguous_cities_are_flagged_left_out_or_kept_whole(tables):
    shared, county, plain = "shaoxing_six_digits_shared", "shaoxing_county_six_digits", "district_by_four_digits"
    reasons = {
        option: {
            name: (row["place_reason"], row["unit_type"], row["is_place_ambiguous"])
            for name, row in placed(tables, PlacePolicy(ambiguous=option), names=(shared, county, plain)).items()
        }
        for option in ("in", "out", "whole_city")
    }
    assert reasons["in"] == {
        shared: (None, "district", True), county: ("COUNTY", "county", True), plain: (None, "district", False),
    }
    assert reasons["out"] == reasons["in"] | {shared: ("AMBIGUOUS_CITY", "district", True)}
    assert reasons["whole_city"] == {
        shared: (None, "whole_city", True), county: (None, "whole_city", True), plain: (None, "district", False),
    }


def test_postcode_may_be_put_before_the_text(tables):
    name = "office_in_shanghai_goods_from_changzhou"
    row = placed(tables, PlacePolicy(evidence_order=("postcode", "place_text")), names=(name,))[name]
    assert (row["city_id"], row["unit_code"], row["place_conflict"]) == ("310000", "310115", "text_prefecture")


def test_fallbacks_can_be_switched_off(tables):
    name = "no_postcode_column_text_names_the_unit"
    row = placed(tables, PlacePolicy(fallbacks=()), names=(name,))[name]
    assert (row["city_id"], row["unit_code"], row["place_reason"]) == ("320500", None, None)


def test_change_counts_from_its_approval_when_the_convention_says_so():
    # 江都市 became 江都区 on 2011-10-22 (国函〔2011〕132号)
    by_approval = place_tables(load_place_book(), convention="approval")
    rows = pl.DataFrame(
        {"year": 2011, "month": [9, 10, None], "postcode": "225200", "production_place": "扬州"},
        schema_overrides={"month": pl.Int32},
    )
    assert place_records(rows, by_approval)["unit_type"].to_list() == ["county_city", "district", "county_city"]


def test_unknown_option_is_refused_with_what_is_allowed():
    with pytest.raises(PlacePolicyError, match="fallbacks: expected place_text, firm_history, address; found 'guess'"):
        PlacePolicy(fallbacks=("guess",))
    with pytest.raises(PlacePolicyError, match="unknown_postcode: expected keep, refuse; found 'drop'"):
        PlacePolicy(unknown_postcode="drop")
    with pytest.raises(PlacePolicyError, match="at least one evidence"):
        PlacePolicy(evidence_order=())


@pytest.mark.spark
def test_marking_records_placed_once_equals_placing_them_under_each_option(spark, tables):
    answers = placed(tables, history=None)
    rows = [
        (name, CASES[name][0][0], *(row[column] for column in ANSWERED)) for name, row in answers.items()
    ]
    schema = "name string, year int, city_id string, unit_type string, place_conflict string, is_place_ambiguous boolean"
    frame = spark.createDataFrame(rows, f"{schema}, place_reason string")
    spans = load_place_book().ambiguous[["city_id", "valid_from", "valid_to"]]
    spans = list(spans.itertuples(index=False, name=None))
    shared = spark.createDataFrame(spans, "city_id string, valid_from int, valid_to int")
    usual = frame.withColumn("reasons", F.array_compact(F.array(F.lower("place_reason"))))
    marks = {
        "was_kept": F.size("reasons") == 0, "only_place": only_place(F.col("reasons")),
        "is_postcode_unknown": is_postcode_unknown(),
    }
    marked = mark_treatments(usual.withColumns(marks), shared).collect()
    policies = {option: PlacePolicy(ambiguous=option) for option in AMBIGUOUS_TREATMENTS}
    policies["unknown_refused"] = PlacePolicy(unknown_postcode="refuse")
    assert set(policies) == set(TREATMENTS)
    for option, policy in policies.items():
        expected = {name for name, row in placed(tables, policy, history=None).items() if row["place_reason"] is None}
        assert {r["name"] for r in marked if r[option]} == expected
