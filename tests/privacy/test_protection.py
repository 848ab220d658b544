"""Records under protection, batch by batch: what is left out, replaced and erased; no JVM."""

from __future__ import annotations

import pyarrow as pa
import pytest

from jobs.core.protection import Protection
from jobs.kernels.loading import BRONZE_SCHEMA
from jobs.kernels.protection import plain_code, protect_batch, protect_firms, pseudonym, rows_of_firms

KEY = "a key that is long enough"
CODE = "3204910001"
PERSON = {"phone": "0519-88886666", "fax": "0519-88886667", "email": "z@firm.cn", "contact_person": "张三"}


def _batch(*rows):
    filled = [
        {"source_year": 2005, "layout": "x", "source_file": "a.csv", "file_sha256": "f" * 64, "source_row": number} | row
        for number, row in enumerate(rows, start=1)
    ]
    return pa.RecordBatch.from_pylist(filled, schema=BRONZE_SCHEMA)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (CODE, CODE), (f" {CODE} ", CODE), (f"'{CODE}", CODE), (f'="{CODE}"', CODE), (f"{CODE}.0", CODE),
        ("３２０４９１０００１", CODE), ("3.204910001E9", CODE), ("3.20491E9", None), ("", None), ("3204W10001", "3204W10001"),
    ],
)
def test_code_is_the_same_however_it_was_stored(text, code):
    assert plain_code(text) == code


def test_persons_are_left_out_by_default_with_lines_and_columns_that_may_hold_them():
    rows = (
        PERSON | {"firm_id": CODE, "firm_name": "公司", "extra": [("手机", "13812345678"), ("颜色", "红")]},
        {"malformed_row": "a,张三,13812345678"}, {"extra": [("联系人", "张三")]},
    )
    found = protect_batch(_batch(*rows), Protection()).to_pylist()
    assert all(row[name] is None for row in found for name in PERSON)
    assert found[0]["extra"] == [("颜色", "红")] and found[2]["extra"] is None
    assert found[1]["malformed_row"] == "(left out, 16 characters)"
    assert found[0]["firm_id"] == CODE and found[0]["firm_name"] == "公司"
    assert "张三" not in str(found) and "138" not in str(found)


def test_fields_that_an_older_lake_kept_of_a_line_that_cannot_be_split_are_cleared():
    shifted = {"malformed_row": "0;张三;公司", "flow": "0", "firm_name": "张三", "postcode": "13812345678"}
    sound = {"flow": "1", "firm_name": "公司"}
    found = protect_batch(_batch(shifted, sound), Protection()).to_pylist()
    assert [found[0][name] for name in ("flow", "firm_name", "postcode")] == [None] * 3
    assert found[0]["malformed_row"].startswith("(left out, ")
    assert (found[1]["flow"], found[1]["firm_name"]) == ("1", "公司")


def test_kept_batch_is_what_was_delivered():
    batch = _batch(PERSON | {"firm_id": CODE}, {"malformed_row": "a,b"})
    assert protect_batch(batch, Protection(personal_columns="keep")).equals(batch)


def test_pseudonyms_join_over_spellings_keep_the_place_and_do_not_change_when_repeated():
    protection = Protection("pseudonymise", "pseudonymise", KEY)
    rows = [PERSON | {"firm_id": text, "firm_name": "公司", "firm_address": "路"} for text in (CODE, f"{CODE}.0", f"'{CODE}")]
    once = protect_batch(_batch(*rows, {"firm_id": "3.2E9"}), protection)
    found = once.to_pylist()
    assert {row["firm_id"] for row in found[:3]} == {pseudonym(CODE, KEY)} and found[0]["firm_id"].startswith("3204p")
    assert found[3]["firm_id"] == "3.2E9", "a code that lost its digits names nobody"
    assert all(row["firm_name"] is None for row in found) and found[0]["firm_address"] == "路"
    assert len({row["contact_person"] for row in found[:3]}) == 1 and found[0]["contact_person"] != "张三"
    assert protect_batch(once, protection).equals(once)
    other_key = Protection("pseudonymise", "pseudonymise", KEY + "!", keeps_address=False)
    other = protect_batch(_batch(*rows), other_key).to_pylist()
    assert other[0]["firm_id"] != found[0]["firm_id"] and other[0]["firm_address"] is None


def test_erased_firm_leaves_empty_rows_wherever_its_code_stood():
    protection = Protection("keep", erasure_key="k").without([CODE])
    rows = (
        {"firm_id": CODE, "value": "12.5"}, {"firm_id": f"{CODE}.0"}, {"malformed_row": f"a,{CODE},b"},
        {"extra": [("x", f"no. {CODE}")]}, {"production_place": f"江苏{CODE}"},
        {"firm_id": "３２０４９１０００１", "reading_marks": ["m"]},
        {"firm_id": "3204910002", "value": "1"}, {"quantity": f"{CODE}7"}, {},
    )
    batch = _batch(*rows)
    assert rows_of_firms(batch, protection).tolist() == [True] * 6 + [False] * 3
    found = protect_batch(batch, protection).to_pylist()
    assert all(row["malformed_row"] == "erased" for row in found[:6])
    assert [row["source_row"] for row in found] == list(range(1, 10))
    assert all(row["firm_id"] is row["value"] is row["extra"] is row["reading_marks"] is None for row in found[:6])
    assert found[6]["value"] == "1" and found[7]["quantity"] == f"{CODE}7"
    # again, and under a stricter policy: nothing more happens to them
    strict = protect_batch(protect_batch(batch, protection), Protection("leave_out", "pseudonymise", KEY)).to_pylist()
    assert [row["malformed_row"] for row in strict[:6]] == ["erased"] * 6


def test_slice_of_a_batch_is_searched_where_its_own_rows_are():
    protection = Protection("keep", erasure_key="k").without([CODE])
    batch = _batch({"extra": [("x", CODE)]}, {}, {"extra": [("x", "1")]}, {"extra": [("y", "2"), ("x", CODE)]})
    assert rows_of_firms(batch.slice(1), protection).tolist() == [False, False, True]


def test_tables_of_firms_lose_erased_lines_and_names():
    table = pa.RecordBatch.from_pylist(
        [{"year": 2005, "legal_person_code": code, "firm_name": "公司", "n": 1.5} for code in (CODE, "3204910002")]
    )
    protection = Protection("keep", "pseudonymise", KEY, erasure_key="k").without([CODE])
    (found,) = protect_firms(iter([table]), protection, "legal_person_code")
    assert found.to_pylist() == [
        {"year": 2005, "legal_person_code": pseudonym("3204910002", KEY), "firm_name": None, "n": 1.5}
    ]
