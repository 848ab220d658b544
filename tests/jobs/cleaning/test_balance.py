"""Bronze's dollars against those of the receipt: equal to the cent, unless records were erased or the receipt is old."""

import json
from decimal import Decimal

import pyarrow as pa
import pytest
from pyspark.sql import Row

from jobs.cleaning.balance import holds_received_dollars
from jobs.kernels.content import summarise_batch


def receipt(*values, **older):
    batch = pa.table({"value": pa.array(values, pa.string()), "period": ["200301"] * len(values)})
    return Row(content=json.dumps(summarise_batch(batch).to_json() | older))


@pytest.mark.parametrize(
    ("values", "in_bronze", "is_held"),
    [
        (("10.00", "5.50"), "15.50", True), (("10.00", "5.50"), "15.51", False), (("10.00", "5.50"), "15.49", False),
        # Stata's way of writing less than one, a spreadsheet's of keeping a text: landing reads what cleaning reads
        (("10.00", ".5"), "10.50", True), (("10.00", ".5"), "10.00", False), (("10.00", '="5"'), "15.00", True),
        (("10.00", "n/a"), "10.00", True), (("10.00", "n/a"), "9.99", False), (("10.00", "5x"), "15.00", False),
        ((), "0.00", True), ((), "0.01", False),
    ],
)
def test_dollars_of_bronze_are_held_against_the_receipt(values, in_bronze, is_held):
    assert holds_received_dollars(receipt(*values), Decimal(in_bronze)) is is_held


def test_erased_records_take_their_dollars_with_them():
    assert holds_received_dollars(receipt("10.00", "5.50"), Decimal("5.50"), n_erased=1)


def test_a_receipt_of_another_reader_of_numbers_is_a_bound():
    old = receipt("10.00", "5.50", number_reader=1)
    assert [holds_received_dollars(old, Decimal(usd)) for usd in ("15.50", "15.51", "15.49")] == [True, False, True]
    # it may have left unread what is read now
    assert holds_received_dollars(receipt("10.00", "n/a", number_reader=1), Decimal("99.00"))


def test_a_receipt_of_an_older_product_does_not_say_its_dollars():
    assert holds_received_dollars(Row(content=None), Decimal("1.00"))
