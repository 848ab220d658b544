"""What quarantine keeps of a refused record: the values as delivered, unless they may be a person's.

Where fields are shifted, a telephone stands under the postcode and a contact person under the partner. Such a row keeps
file, row number and reasons; its line stands in the raw folder, for whoever may read that.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

#: Columns of silver.quarantine that carry what was delivered.
DELIVERED = ("flow", "hs_code", "value", "quantity", "partner", "production_place", "postcode", "firm_id", "firm_name")
#: Of these, the ones that hold digits: letters of a name in them are another column's.
_NUMBERS = ("hs_code", "value", "quantity", "postcode", "firm_id")
MALFORMED = "row_malformed"
HAN = "[\\u3400-\\u9fff]"
E_MAIL = "@|＠"
# mainland numbers: an area code and seven or eight digits, or a mobile phone's eleven
TELEPHONE = "(^|[^0-9])(\\(?0[0-9]{2,3}\\)?[-— ]?[2-9][0-9]{6,7}|(\\+?86[- ]?)?1[3-9][0-9]{9})([^0-9]|$)"
# a telephone without its area code under the postcode
LONG_POSTCODE = "^[^0-9]*([0-9][^0-9]*){7,}$"


def withhold_persons(refused: DataFrame) -> DataFrame:
    """Clear the delivered values of rows of ``silver.quarantine`` that cannot be split or whose fields are shifted."""
    withheld = _may_hold_person()
    return refused.withColumns({name: F.when(~withheld, F.col(name)) for name in DELIVERED})


def _may_hold_person() -> Column:
    signs = [F.array_contains("reasons", MALFORMED), F.col("postcode").rlike(LONG_POSTCODE)]
    signs += [F.col(name).rlike(f"{E_MAIL}|{TELEPHONE}") for name in DELIVERED]
    signs += [F.col(name).rlike(HAN) for name in _NUMBERS]
    return reduce(or_, (F.coalesce(sign, F.lit(False)) for sign in signs))
