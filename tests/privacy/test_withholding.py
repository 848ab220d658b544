"""What quarantine keeps of a refused record is never a person's."""

from __future__ import annotations

import polars as pl
import pytest

from jobs.kernels.withholding import DELIVERED, withhold_persons

SOUND = {
    "flow": "0", "hs_code": "85171100", "value": "n/a", "quantity": "12", "partner": "某国", "production_place": "江苏省常州",
    "postcode": "213000", "firm_id": "3204910001", "firm_name": "常州2000机械公司",
}
SHIFTED = (
    {"postcode": "0519-88886666"}, {"postcode": "88886666"}, {"quantity": "13812345678"}, {"partner": "zhang@firm.cn"},
    {"production_place": "(0519)88886666"}, {"value": "张三"}, {"hs_code": "李四"}, {"firm_id": "王五"},
    {"firm_name": "+86 13812345678"},
    {"partner": "传真 0571 88886666"}, {"postcode": "张三"}, {"value": "a＠b"},
)


def test_rows_that_cannot_be_split_and_shifted_rows_keep_no_value_and_all_others_do():
    rows = [(0, *SOUND.values(), ["value_malformed"]), (1, *SOUND.values(), ["row_malformed"])]
    rows += [(2 + k, *(SOUND | other).values(), ["value_malformed"]) for k, other in enumerate(SHIFTED)]
    # numbers that are long but nobody's: a code with a float's ending, a large amount, a postcode of five digits
    sound = (
        {"firm_id": "3204910001.0"}, {"value": "1234567890123.00"}, {"postcode": "10000"}, {"hs_code": "8517110000"},
        {"value": None},
    )
    rows += [(100 + k, *(SOUND | other).values(), ["county"]) for k, other in enumerate(sound)]
    kinds = {"source_row": pl.Int64, **dict.fromkeys(DELIVERED, pl.String), "reasons": pl.List(pl.String)}
    for row in withhold_persons(pl.DataFrame(rows, schema=kinds, orient="row")).to_dicts():
        kept = [row[name] for name in DELIVERED if row[name] is not None]
        if row["source_row"] in (0, *range(100, 200)):
            assert len(kept) >= len(DELIVERED) - 1, row
        else:
            assert kept == [], row


@pytest.mark.parametrize("name", DELIVERED)
def test_what_is_withheld_is_a_column_of_quarantine(name):
    from schemas.silver import QUARANTINE

    assert name in QUARANTINE.columns
