"""Bronze's dollars against those of the receipt: a file whose values were all read holds no more than was received."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from pyspark.sql import Row

from jobs.cleaning.balance import holds_received_dollars
from jobs.kernels.content import summarise_batch


def receipt(*values):
    batch = pa.table({"value": pa.array(values, pa.string()), "period": ["200301"] * len(values)})
    return Row(content=json.dumps(summarise_batch(batch).to_json()))


@pytest.mark.parametrize(
    ("values", "in_bronze", "is_held"),
    [
        (("10.00", "5.50"), "15.50", True), (("10.00", "5.50"), "15.51", False), (("10.00", ".5"), "10.00", True),
        # cleaning may read what landing could not, and nothing else
        (("10.00", "n/a"), "10.00", True), (("10.00", '"5"x'), "15.00", True),
        ((), "0.00", True), ((), "0.01", False),
    ],
)
def test_dollars_of_bronze_are_held_against_the_receipt(values, in_bronze, is_held):
    assert holds_received_dollars(receipt(*values), Decimal(in_bronze)) is is_held


def test_a_receipt_of_an_older_product_does_not_say_its_dollars():
    assert holds_received_dollars(Row(content=None), Decimal("1.00"))
