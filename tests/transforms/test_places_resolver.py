"""Where a record belongs: every case of the policy on a handful of real places and years."""

from __future__ import annotations

import pytest
from pyspark.sql import functions as F

from conf.settings import TREATMENTS
from jobs.clean import CARRIED
from jobs.reference.codebooks import partner_reference, product_reference
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_reference
from jobs.transforms.declarations import parse_declarations
from jobs.transforms.partners import add_partners
from jobs.transforms.place_coverage import mark_treatments, only_place
from jobs.transforms.place_keys import place_key_column, without_ending_column
from jobs.transforms.places import PlacePolicyError, firm_postcode_history, resolve_places
from jobs.transforms.products import add_products
from schemas.bronze import DECLARATION as BRONZE
from schemas.reference.builders.common import read_source
from schemas.reference.place_keys import place_key, without_ending

COLUMNS = (
    "year int, month int, postcode string, production_place string, district_code string, firm_id string, "
    "firm_address string, has_postcode_column boolean"
)
OUTPUT = (
    "city_id", "unit_code", "unit_type", "place_method", "place_digits", "place_conflict", "place_reason",
)
# HotSpot's HugeMethodLimit
HUGE_METHOD_BYTES = 8_000


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
        ("620200", "620200", "whole_city", "postcode4", 4, None, None),
    ),
    "shaoxing_six_digits_shared": (
        record(2007, "312000", "绍兴市"),
        ("330600", "330602", "district", "postcode6", 6, None, None),
    ),
    "shaoxing_county_five_digits": (
        record(2007, "312035", "绍兴市"),
        ("330600", "330621", "county", "postcode5", 5, None, "COUNTY"),
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
        ("320400", None, None, "place_text", 0, "postcode_unknown", "POSTCODE_UNKNOWN"),
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
def reference(spark):
    return place_reference(spark, load_place_book())


@pytest.fixture(scope="module")
def history(spark):
    seen = [
        (2005, "3204900001", "213164", 3), (2005, "3204900001", "200120", 1), (2006, "3204900001", "200120", 1),
    ]
    return firm_postcode_history(spark.createDataFrame(seen, "year int, firm_id string, postcode string, n_records long"))


@pytest.fixture(scope="module")
def resolved(spark, reference, history):
    rows = [(name, *given) for name, (given, _) in CASES.items()]
    frame = spark.createDataFrame(rows, f"name string, {COLUMNS}")
    placed = resolve_places(frame, reference, firm_postcodes=history)
    return {row["name"]: row for row in placed.collect()}


@pytest.mark.spark
@pytest.mark.parametrize("name", CASES)
def test_record_is_placed_as_the_policy_says(resolved, name):
    assert tuple(resolved[name][column] for column in OUTPUT) == CASES[name][1]


@pytest.mark.spark
def test_no_record_is_multiplied_or_lost(resolved):
    assert len(resolved) == len(CASES)


@pytest.mark.spark
def test_confidence_orders_the_cases(resolved):
    sure = {name: row["place_confidence"] for name, row in resolved.items()}
    assert sure["district_by_four_digits"] > sure["unreadable_text_postcode_decides"] > sure["shaoxing_six_digits_shared"]
    assert sure["district_by_four_digits"] > sure["text_names_unit_postcode_the_district"]
    assert sure["office_in_shanghai_goods_from_wujin"] > sure["office_in_shanghai_goods_from_changzhou"]
    assert sure["nothing_known"] is None
    assert all(0 < value <= 1 for value in sure.values() if value is not None)


@pytest.mark.spark
def test_ambiguous_cities_are_flagged_left_out_or_kept_whole(spark, reference):
    shared, county, plain = "shaoxing_six_digits_shared", "shaoxing_county_five_digits", "district_by_four_digits"
    given = [(name, *CASES[name][0]) for name in (shared, county, plain)]
    frame = spark.createDataFrame(given, f"name string, {COLUMNS}")
    reasons = {
        option: {r["name"]: (r["place_reason"], r["unit_type"], r["is_place_ambiguous"]) for r in
                 resolve_places(frame, reference, ambiguous=option).collect()}
        for option in ("in", "out", "whole_city")
    }
    assert reasons["in"] == {
        shared: (None, "district", True), county: ("COUNTY", "county", True), plain: (None, "district", False),
    }
    assert reasons["out"] == reasons["in"] | {shared: ("AMBIGUOUS_CITY", "district", True)}
    assert reasons["whole_city"] == {
        shared: (None, "whole_city", True), county: (None, "whole_city", True), plain: (None, "district", False),
    }


@pytest.mark.spark
def test_postcode_may_be_put_before_the_text(spark, reference):
    frame = spark.createDataFrame([record(2005, "200120", "常州")], COLUMNS)
    row = resolve_places(frame, reference, evidence_order=("postcode", "place_text")).first()
    assert (row["city_id"], row["unit_code"], row["place_conflict"]) == ("310000", "310115", "text_prefecture")


@pytest.mark.spark
def test_fallbacks_can_be_switched_off(spark, reference):
    frame = spark.createDataFrame([record(2008, None, "昆山", column=False)], COLUMNS)
    row = resolve_places(frame, reference, fallbacks=()).first()
    assert (row["city_id"], row["unit_code"], row["place_reason"]) == ("320500", None, None)


@pytest.mark.spark
def test_change_counts_from_its_approval_when_the_convention_says_so(spark):
    # 江都市 became 江都区 on 2011-10-22 (国函〔2011〕132号)
    by_approval = place_reference(spark, load_place_book(), convention="approval")
    rows = [record(2011, "225200", "扬州", month=month) for month in (9, 10, None)]
    frame = spark.createDataFrame(rows, COLUMNS)
    found = {r["month"]: r["unit_type"] for r in resolve_places(frame, by_approval).collect()}
    assert found == {9: "county_city", 10: "district", None: "county_city"}


def test_unknown_option_is_refused_with_what_is_allowed():
    with pytest.raises(PlacePolicyError, match="fallbacks: expected place_text, firm_history, address; found 'guess'"):
        resolve_places(None, None, fallbacks=("guess",))
    with pytest.raises(PlacePolicyError, match="at least one evidence"):
        resolve_places(None, None, evidence_order=())


@pytest.mark.spark
def test_generated_code_of_the_cleaning_step_is_compiled_by_the_jvm(spark, reference):
    """HotSpot interprets a method above 8,000 bytes for ever; the limit then gives up the code of the whole stage."""
    line = tuple(2007 if name == "source_year" else None for name in BRONZE.columns)
    one_line = spark.createDataFrame([line], BRONZE.ddl(), verifySchema=False)
    parsed = one_line.transform(parse_declarations).transform(add_products, product_reference(spark))
    placed = parsed.transform(add_partners, partner_reference(spark)).transform(resolve_places, reference)
    # the test profile switches code generation off; adaptive plans are final only after they ran
    production = {
        "spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK",
        "spark.sql.adaptive.enabled": "false",
    }
    before = {name: spark.conf.get(name) for name in production}
    try:
        for name, value in production.items():
            spark.conf.set(name, value)
        plan = placed.select(*(name for name in CARRIED if name != "reasons"))._jdf.queryExecution().executedPlan()
        debug = getattr(getattr(spark._jvm.org.apache.spark.sql.execution.debug, "package$"), "MODULE$")
        stages = debug.codegenStringSeq(plan)
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)
    sizes = [
        stages.apply(n)._3().maxMethodCodeSize() for n in range(stages.size())
        if "BroadcastHashJoin" in stages.apply(n)._1()
    ]
    assert len(sizes) >= 2
    assert max(sizes) < HUGE_METHOD_BYTES


@pytest.mark.spark
def test_marking_records_placed_once_equals_placing_them_under_each_option(spark, reference):
    rows = [(name, *given) for name, (given, _) in CASES.items()]
    frame = spark.createDataFrame(rows, f"name string, {COLUMNS}")
    spans = load_place_book().ambiguous[["city_id", "valid_from", "valid_to"]]
    rows = list(spans.itertuples(index=False, name=None))
    shared = spark.createDataFrame(rows, "city_id string, valid_from int, valid_to int")
    usual = resolve_places(frame, reference).withColumn("reasons", F.array_compact(F.array(F.lower("place_reason"))))
    marked = mark_treatments(
        usual.withColumns({"was_kept": F.size("reasons") == 0, "only_place": only_place(F.col("reasons"))}), shared
    ).collect()
    for option in TREATMENTS:
        placed = resolve_places(frame, reference, ambiguous=option).collect()
        assert {r["name"] for r in marked if r[option]} == {r["name"] for r in placed if r["place_reason"] is None}


@pytest.mark.spark
def test_spelling_of_a_column_is_that_of_a_single_text(spark):
    texts = sorted({row.name for row in read_source("customs_districts").itertuples()})
    texts += [f"{text}其它" for text in texts[:40]] + [f"3122{n} 上海（浦东）" for n in range(10)]
    texts += list(read_source("district_spellings")["alias"])
    texts += ["Xi'an", "ＳＨＡＮＧＨＡＩ", "31224.0", "中国（上海）自由贸易试验区", "常州·武进、经济开发区"]
    texts += ["苏州工业园综保区", "12345", "－", "无锡国家级高新技术产业开发区", "烟台出口加工区A区"]
    column = place_key_column(F.col("text"))
    frame = spark.createDataFrame([(text,) for text in texts], "text string")
    found = {row[0]: (row[1], row[2]) for row in frame.select("text", column, without_ending_column(column)).collect()}
    assert found == {text: (place_key(text), without_ending(place_key(text))) for text in texts}
