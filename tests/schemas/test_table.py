"""Tables as values: names once, and the errors that name what is wrong."""

from __future__ import annotations

import pytest

from schemas.catalog import TABLES
from schemas.fields import FIELDS, PERSONAL_COLUMNS, FieldDefinedTwiceError, define, fields
from schemas.table import DuplicateKeyError, SchemaMismatchError, Table


def test_a_name_means_one_thing():
    with pytest.raises(FieldDefinedTwiceError, match="'year' is defined twice"):
        define("year", "string", "Something else")
    assert FIELDS["year"].type == "int"


def test_table_with_unknown_key_column_is_refused():
    with pytest.raises(SchemaMismatchError, match=r"unknown key columns \['month'\]"):
        Table("gold.x", fields("year!"), ("year", "month"), "One row per year.")


def test_key_columns_of_every_table_are_required():
    for table in TABLES.values():
        optional = {field.name for field in table.fields if not field.required}
        assert not optional & set(table.key), table.name


def test_personal_data_stay_in_bronze():
    for table in TABLES.values():
        if table.layer != "bronze":
            assert not set(PERSONAL_COLUMNS) & set(table.columns), table.name
            assert "malformed_row" not in table.columns, table.name
            assert "extra" not in table.columns, table.name


@pytest.mark.spark
def test_conform_orders_and_selects_but_never_invents_a_column(spark):
    table = Table("gold.x", fields("year!", "city_id!", "value_usd"), ("year", "city_id"), "One row per city-year.")
    frame = spark.createDataFrame([("a", 2003, 5, "320400")], "extra string, year int, value_usd int, city_id string")
    assert table.conform(frame).columns == ["year", "city_id", "value_usd"]
    assert table.conform(frame).schema["value_usd"].dataType.simpleString() == "decimal(20,2)"
    with pytest.raises(SchemaMismatchError, match="gold.x: .* missing value_usd"):
        table.conform(frame.drop("value_usd"))


@pytest.mark.spark
def test_repeated_and_null_keys_are_refused_with_examples(spark):
    table = Table("gold.x", fields("year!", "city_id!"), ("year", "city_id"), "One row per city-year.")
    schema = "year int, city_id string"
    table.assert_key(spark.createDataFrame([(2003, "a"), (2004, "a")], schema))
    with pytest.raises(DuplicateKeyError, match=r"\(2003, 'a'\) x2"):
        table.assert_key(spark.createDataFrame([(2003, "a"), (2003, "a")], schema))
    with pytest.raises(DuplicateKeyError, match=r"\(2003, None\) x1"):
        table.assert_key(spark.createDataFrame([(2003, None)], schema))
