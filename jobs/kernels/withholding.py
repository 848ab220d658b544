"""What quarantine keeps of a refused record: the values as delivered, unless they may be a person's.

Where fields are shifted, a telephone stands under the postcode and a contact person under the partner. Such a row keeps
file, row number and reasons; its line stands in the raw folder, for whoever may read that.
"""

from __future__ import annotations

import polars as pl

#: Columns of silver.quarantine that carry what was delivered.
DELIVERED = ("flow", "hs_code", "value", "quantity", "partner", "production_place", "postcode", "firm_id", "firm_name")
#: Of these, the ones that hold digits: letters of a name in them are another column's.
_NUMBERS = ("hs_code", "value", "quantity", "postcode", "firm_id")
MALFORMED = "row_malformed"
HAN = "[\u3400-\u9fff]"
E_MAIL = "@|＠"
# mainland numbers: an area code and seven or eight digits, or a mobile phone's eleven
TELEPHONE = "(^|[^0-9])(\\(?0[0-9]{2,3}\\)?[-— ]?[2-9][0-9]{6,7}|(\\+?86[- ]?)?1[3-9][0-9]{9})([^0-9]|$)"
# a telephone without its area code under the postcode
LONG_POSTCODE = "^[^0-9]*([0-9][^0-9]*){7,}$"


def withhold_persons(refused: pl.DataFrame) -> pl.DataFrame:
    """Clear the delivered values of rows of ``silver.quarantine`` that cannot be split or whose fields are shifted."""
    # looked for once: as part of each column's own expression it was looked for nine times
    may_hold = refused.select(_may_hold_person()).to_series()
    return refused.with_columns(pl.when(~may_hold).then(name).alias(name) for name in DELIVERED)


def _may_hold_person() -> pl.Expr:
    signs = [pl.col("reasons").list.contains(MALFORMED), pl.col("postcode").str.contains(LONG_POSTCODE)]
    signs += [pl.col(name).str.contains(f"{E_MAIL}|{TELEPHONE}") for name in DELIVERED]
    signs += [pl.col(name).str.contains(HAN) for name in _NUMBERS]
    return pl.any_horizontal(sign.fill_null(False) for sign in signs)
