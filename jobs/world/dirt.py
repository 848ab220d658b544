"""Defects of the generated world: what is put in, how often, and how a spoilt field looks.

Two kinds. REJECT rows come on top of the clean ones and carry products and partners that the clean set of their
city-year lacks, so keeping one shows in the counts. REPAIR defects sit on clean rows and change nothing once repaired.
The order of ``REJECTS`` is the order of the cleaning rules: the first defect of a row is its primary reason.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: In the order of the rules; place kinds (county ...) come from the firm, imports from the flow.
REJECTS = (
    "row_malformed", "flow_missing", "import", "hs_missing", "hs_malformed", "hs_unknown", "place_missing",
    "destination_missing", "destination_unknown", "value_missing", "value_malformed", "value_nonpositive",
    "postcode_missing", "postcode_malformed", "postcode_unknown", "place_unknown", "county", "county_city",
    "outside_cities",
)
#: Share of all reject rows; the rest are two defects at once.
REJECT_SHARES = {
    "row_malformed": 0.05, "flow_missing": 0.03, "hs_missing": 0.09, "hs_malformed": 0.07, "hs_unknown": 0.11,
    "place_missing": 0.08, "destination_missing": 0.08, "destination_unknown": 0.06, "value_missing": 0.06,
    "value_malformed": 0.05, "value_nonpositive": 0.09, "postcode_missing": 0.07, "postcode_malformed": 0.04,
    "postcode_unknown": 0.05,
}
#: Pairs that occur together, of different fields.
REJECT_PAIRS = (
    ("hs_missing", "value_missing"), ("hs_unknown", "destination_missing"), ("place_missing", "postcode_missing"),
    ("destination_unknown", "value_nonpositive"), ("hs_malformed", "postcode_malformed"), ("flow_missing", "hs_missing"),
)
REPAIRS = (
    "hs_spaces", "hs_full_width", "hs_dotted", "hs_float", "hs_leading_zero", "value_thousands", "value_spaces",
    "value_full_width", "postcode_spaces", "postcode_full_width", "postcode_leading_zero", "postcode_not_listed",
    "place_spaces", "partner_spaces", "partner_alias",
)
BIT = {name: np.int64(1) << k for k, name in enumerate(REJECTS)}
REPAIR_BIT = {name: np.int64(1) << k for k, name in enumerate(REPAIRS)}
#: Defects after which the row's value cannot be read.
VALUE_UNREADABLE = BIT["row_malformed"] | BIT["value_missing"] | BIT["value_malformed"]

_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_BLANKS = ("", " ", "\u3000", "   ")
_NOT_CODES = ("8471X0I0", "84", "847130101112", "ABCD1234", "8471", "84-71-??")
_NO_COUNTRIES = ("火星", "888", "亚特兰蒂斯", "XX", "其他国家或地区A")
_NOT_NUMBERS = ("12.34.56", "约1200", "1234美元", "--5", "1O00")
_NOT_POSTCODES = ("2130", "21300A", "2130011", "邮编", "21-30")
#: Six digits that no prefix of any year covers (the tests hold this against the reference).
UNKNOWN_POSTCODES = ("999999", "000000", "990012", "900001", "880088")


def add_space(text: str, style: int) -> str:
    """Put one kind of space before, after or inside a text."""
    space = (" ", "\u3000", "\u00a0")[style % 3]
    middle = len(text) // 2
    return (space + text, text + space, text[:middle] + space + text[middle:])[style // 3 % 3]


def full_width(text: str, _style: int) -> str:
    """Write digits in full width."""
    return text.translate(_FULL_WIDTH)


def dotted(text: str, _style: int) -> str:
    """Write a code as 8471.30.10 (101.10.10 where the leading zero is lost)."""
    return f"{text[:-4]}.{text[-4:-2]}.{text[-2:]}"


def thousands(text: str, _style: int) -> str:
    """Write a whole number with separators."""
    return f"{int(text):,}"


def _one_of(texts: tuple[str, ...]) -> Callable[[str, int], str]:
    return lambda _text, style: texts[style % len(texts)]


#: Repair name to (column, what it does to a sound text and the row's style number).
REPAIR_EDITS: dict[str, tuple[str, Callable[[str, int], str]]] = {
    "hs_leading_zero": ("hs_code", lambda text, _: text.removeprefix("0")),
    "hs_dotted": ("hs_code", dotted),
    "hs_float": ("hs_code", lambda text, _: text + ".0"),
    "hs_full_width": ("hs_code", full_width),
    "hs_spaces": ("hs_code", add_space),
    "value_thousands": ("value", thousands),
    "value_full_width": ("value", full_width),
    "value_spaces": ("value", add_space),
    "postcode_leading_zero": ("postcode", lambda text, _: text.removeprefix("0")),
    "postcode_full_width": ("postcode", full_width),
    "postcode_spaces": ("postcode", add_space),
    # the text names the city, so the record counts for it
    "postcode_not_listed": ("postcode", _one_of(UNKNOWN_POSTCODES)),
    "place_spaces": ("production_place", add_space),
    "partner_spaces": ("partner", add_space),
}
#: Reject name to (column, edit). Zero and negative values are drawn as such, foreign HS codes too.
REJECT_EDITS: dict[str, tuple[str, Callable[[str, int], str]]] = {
    "flow_missing": ("flow", _one_of(_BLANKS)),
    "hs_missing": ("hs_code", _one_of(_BLANKS)),
    "hs_malformed": ("hs_code", _one_of(_NOT_CODES)),
    "place_missing": ("production_place", _one_of(_BLANKS)),
    "destination_missing": ("partner", _one_of(_BLANKS)),
    "destination_unknown": ("partner", _one_of(_NO_COUNTRIES)),
    "value_missing": ("value", _one_of(_BLANKS)),
    "value_malformed": ("value", _one_of(_NOT_NUMBERS)),
    "postcode_missing": ("postcode", _one_of(_BLANKS)),
    "postcode_malformed": ("postcode", _one_of(_NOT_POSTCODES)),
    "postcode_unknown": ("postcode", _one_of(UNKNOWN_POSTCODES)),
}


def draw_rejects(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw the defect masks of ``n`` reject rows."""
    names = list(REJECT_SHARES)
    masks = np.array([BIT[name] for name in names] + [BIT[a] | BIT[b] for a, b in REJECT_PAIRS])
    shares = list(REJECT_SHARES.values())
    left = (1 - sum(shares)) / len(REJECT_PAIRS)
    drawn = masks[rng.choice(len(masks), size=n, p=[*shares, *[left] * len(REJECT_PAIRS)])]
    # without place and postcode nothing names a prefecture
    nowhere = BIT["place_missing"] | BIT["postcode_missing"]
    return np.where(drawn & nowhere == nowhere, drawn | BIT["place_unknown"], drawn)


def spoil(fields: list[bytes], style: int) -> list[bytes]:
    """Give a row too few or too many fields."""
    if style % 2:
        return fields[: -(1 + style // 2 % 4)]
    middle = len(fields) // 2
    return [*fields[:middle], b"", *fields[middle:]]


def names_of(mask: int, names: tuple[str, ...]) -> list[str]:
    """Names whose bits are set, in order."""
    return [name for k, name in enumerate(names) if mask >> k & 1]
