"""Parsing, repairing and judging records: one small table per question, the expected answer beside each row."""

from __future__ import annotations

import pytest
from chispa import assert_df_equality
from pyspark.sql import functions as F

from conf.rules import parse_rules
from jobs.transforms.declarations import apply_rules, parse_declarations, readable_value
from schemas import bronze

pytestmark = pytest.mark.spark


def _bronze(spark, rows, *columns):
    """Bronze rows with only some columns given, the rest null or plain."""
    plain = {"source_year": 2005, "file_sha256": "f", "source_row": 1, "load_id": "l", "layout": "x", "source_file": "s"}
    frame = spark.createDataFrame([(number, *row) for number, row in enumerate(rows)], f"id int, {', '.join(columns)}")
    for field in bronze.DECLARATION.fields:
        if field.name not in frame.columns:
            frame = frame.withColumn(field.name, F.lit(plain.get(field.name)).cast(field.type))
    return frame


def _check(spark, rows, column, result, **options):
    """Compare ``result`` of the parsed rows with the last field of each row."""
    frame = _bronze(spark, rows, f"{column} string", "expected string")
    parsed = parse_declarations(frame, **options).orderBy("id")
    assert_df_equality(
        parsed.select("id", F.col(result).cast("string").alias("value")),
        parsed.select("id", F.col("expected").alias("value")),
        ignore_nullable=True,
    )


def test_hs_codes_are_repaired_to_eight_digits(spark):
    _check(
        spark,
        [
            ("84713010", "84713010"),
            (" 8471 3010 ", "84713010"),
            ("\u300084713010", "84713010"),
            ("８４７１３０１０", "84713010"),
            ("8471.30.10", "84713010"),
            ("8471.3010", "84713010"),
            ("84713010.0", "84713010"),
            ("1012110", "01012110"),
            ("1012110.0", "01012110"),
            ("847130", "84713000"),
            ("10121", "01012100"),
            ("8471301000", "84713010"),
            # ten digits of a chapter below 10 that lost their zero
            ("902409000", "09024090"),
            ("'85171100", "85171100"),
            ('="85171100"', "85171100"),
            ("8.5171100E+07", "85171100"),
            # two of eight digits are gone
            ("8.51711E+07", None),
            ("8.52E+07", None),
            ("8471", None),
            ("8471301O", None),
            ("电脑", None),
            ("", None),
            (None, None),
        ],
        "hs_code",
        "hs8_code",
    )


def test_values_are_read_exactly_or_not_at_all(spark):
    _check(
        spark,
        [
            ("1500", "1500.00"),
            ("1,234,567.5", "1234567.50"),
            ("１２３", "123.00"),
            (" 12 ", "12.00"),
            ("-5", "-5.00"),
            ("0", "0.00"),
            ("0.005", "0.01"),
            ("1.5e+06", "1500000.00"),
            ("12,34", None),
            ("1.2.3", None),
            ("abc", None),
            ("NULL", None),
            ("99999999999999999999", None),
            (None, None),
        ],
        "value",
        "value_usd",
    )


def test_postcodes_get_their_lost_zero_back(spark):
    _check(
        spark,
        [
            ("213000", "213000"),
            ("２１３０００", "213000"),
            (" 213 000", "213000"),
            ("213000.0", "213000"),
            ("50000", "050000"),
            ("90000", None),
            ("21300", "021300"),
            ("2130001", None),
            ("21300A", None),
            ("", None),
        ],
        "postcode",
        "postcode",
    )


def test_flow_marks_of_all_vintages(spark):
    _check(
        spark,
        [
            ("出口", "export"), ("0", "export"), (" 1 ", "import"), ("进口", "import"), ("exp", "export"), ("2", None),
            ("0.0", "export"), ("1.0", "import"), ("出", "export"), ("进", "import"), ("E", "export"), ("I", "import"),
            ("0-出口", "export"), ("1：进口", "import"), ("出口(0)", "export"), ("1-出口", None), ("X", None),
            ("進口", "import"),
        ],
        "flow",
        "flow_kind",
    )


def test_firm_codes_lose_what_a_spreadsheet_put_to_them_and_a_lost_code_is_said_so(spark):
    frame = _bronze(
        spark,
        [
            ("3204910001", "3204910001", ""), ("3204910001.0", "3204910001", "firm_code_float"),
            ("'310491000A", "310491000A", ""), ("3.204910001E9", "3204910001", ""),
            ("3.20491E+09", None, "firm_code_lost"), (None, None, ""),
        ],
        "firm_id string", "expected string", "marks string",
    )
    parsed = parse_declarations(frame)
    rows = parsed.orderBy("id").select("firm_id", "expected", F.array_join("repairs", " ").alias("found"), "marks").collect()
    assert [(row["firm_id"], row["found"]) for row in rows] == [(row["expected"], row["marks"]) for row in rows]


def test_marks_of_the_reading_are_among_the_repairs(spark):
    frame = _bronze(spark, [(["damaged_text"],), (None,)], "reading_marks array<string>")
    assert [row["repairs"] for row in parse_declarations(frame).orderBy("id").collect()] == [["damaged_text"], []]


def test_each_repair_is_recorded_once_and_sound_values_carry_none(spark):
    frame = _bronze(
        spark,
        [
            ("84713010", "1500", "213000", "江苏省常州", ""),
            (" 1012110", "1,500", "50000", "江苏省 常州", "hs_spaces hs_leading_zero value_thousands"
             " postcode_leading_zero place_spaces"),
            ("８４７１.３０.１０", "１５００", "２１３０００", "江苏省常州", "hs_full_width hs_dotted value_full_width"
             " postcode_full_width"),
            ("84713010.0", "1500.005", "213000", "江苏省常州", "hs_float value_rounded"),
            ("84713010", "1500.500", "213000", "江苏省常州", ""),
        ],
        "hs_code string", "value string", "postcode string", "production_place string", "expected string",
    )
    parsed = parse_declarations(frame).orderBy("id")
    found = [row["repairs"] for row in parsed.select(F.array_join("repairs", " ").alias("repairs")).collect()]
    assert found == [row["expected"] for row in parsed.collect()]


def test_malformed_line_has_no_readable_value(spark):
    frame = _bronze(spark, [("5", None), ("5", "a,b")], "value string", "malformed_row string")
    values = [row[0] for row in frame.orderBy("id").select(readable_value(frame)).collect()]
    assert [None if value is None else int(value) for value in values] == [5, None]


def test_all_reasons_are_kept_in_order_and_a_final_rule_ends_the_list(spark):
    text = "".join(
        f'[[rule]]\nname = "{name}"\nclass = "format"\nwhen = "{when}"\nwhy = "because of {name}"\n{extra}'
        for name, when, extra in [
            ("broken", "a = 'broken'", "final = true\n"),
            ("no_b", "b IS NULL", ""),
            ("small", "c < 10", ""),
        ]
    )
    rows = [("x", "y", 20, []), ("x", None, 5, ["no_b", "small"]), ("broken", None, 5, ["broken"]), (None, "y", None, [])]
    frame = spark.createDataFrame(rows, "a string, b string, c int, expected array<string>")
    judged = apply_rules(frame, parse_rules(text, "test"))
    assert_df_equality(
        judged.select("reasons"), judged.select(F.col("expected").alias("reasons")), ignore_nullable=True
    )


def test_years_without_postcode_columns_are_marked(spark):
    frame = _bronze(spark, [("213000", "false")], "postcode string", "expected string")
    marked = parse_declarations(frame, years_without_postcode=[2005]).collect()[0]
    assert marked["has_postcode_column"] is False
