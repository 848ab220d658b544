"""What makes a file one that must not be loaded as it is: lost labels, codes beyond their type, and damage under strictness.

A column of small numbers where words or codes are expected is what Stata's ``encode`` leaves when its labels are lost: read
as codes, exports become imports and one country another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.amounts import CLEAR_THOUSANDS, DECIMAL_COMMA
from jobs.kernels.codes import count_rounded
from jobs.kernels.parts import Part, add_counts
from jobs.kernels.stata_tables import INEXACT
from jobs.kernels.texts import count_damaged, holds_any
from schemas.fields import RAW_COLUMNS

#: Columns that hold codes: another digit is another thing.
CODE_COLUMNS = ("hs_code", "firm_id", "postcode", "production_place", "production_place_code", "partner")
#: Columns in which codes may have been rounded for display, and the share of them beyond which the file is refused.
ROUNDED, MAX_SHARE_ROUNDED = ("hs_code", "firm_id"), 0.5
#: Numbers people read, and the share of them with a decimal comma beyond which their file is refused in any case.
AMOUNTS, MAX_SHARE_COMMAS = ("value", "quantity"), 0.5
_COMMAS = {"decimal": DECIMAL_COMMA, "thousands": CLEAR_THOUSANDS, "doubtful": r"^\s*[-+]?[0-9]{1,3},[0-9]{3}\s*$"}
#: Column to the pattern of numbers that are not codes of its kind, and the share of them at which labels were lost.
_SMALL = {
    "flow": (r"^\s*[2-9](\.0+)?\s*$", 0.005),
    "partner": (r"^\s*[0-9]{1,2}(\.0+)?\s*$", 0.5),
    "production_place": (r"^\s*[0-9]{1,3}(\.0+)?\s*$", 0.5),
}
_EXPECTED = {
    "flow": "words, or 0 for exports and 1 for imports", "partner": "names, or codes of three digits",
    "production_place": "names, or codes of four to six digits",
}


@dataclass(frozen=True, slots=True)
class Suspicions:
    """Counts over the rows of a piece.

    Attributes
    ----------
    small, filled : dict
        Column to the rows with a small number, and to those with anything.
    damaged : dict
        Column to the rows with a damaged text.
    rounded : dict
        Column to the rows with a code written as a power of ten whose last digits are lost.
    commas : dict
        ``decimal``, ``thousands`` or ``doubtful`` and the column to the rows with a number whose comma can only stand before
        decimals, only between thousands, or for either (``1,234``).
    """

    small: Mapping[str, int] = field(default_factory=dict)
    filled: Mapping[str, int] = field(default_factory=dict)
    damaged: Mapping[str, int] = field(default_factory=dict)
    rounded: Mapping[str, int] = field(default_factory=dict)
    commas: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Suspicions) -> Suspicions:
        return Suspicions(
            add_counts(self.small, other.small), add_counts(self.filled, other.filled),
            add_counts(self.damaged, other.damaged), add_counts(self.rounded, other.rounded),
            add_counts(self.commas, other.commas),
        )

    @classmethod
    def of(cls, batch: pa.RecordBatch, is_damaged: bool) -> Suspicions:
        """Count over one batch."""
        small, filled = {}, {}
        for column, (pattern, _) in _SMALL.items():
            distinct = batch.column(column).dictionary_encode()
            filled[column] = len(distinct) - distinct.null_count
            is_small = pc.match_substring_regex(distinct.dictionary, pattern).take(distinct.indices)
            small[column] = int(pc.sum(is_small).as_py() or 0)
        damaged = {name: count_damaged(batch.column(name)) for name in RAW_COLUMNS} if is_damaged else {}
        filled |= {name: len(batch) - batch.column(name).null_count for name in (*ROUNDED, *AMOUNTS)}
        rounded = {name: count_rounded(batch.column(name)) for name in ROUNDED}
        commas = {f"{kind} {name}": n for name in AMOUNTS for kind, n in count_commas(batch.column(name)).items()}
        return cls(small, filled, _counted(damaged), _counted(rounded), _counted(commas))

    def damage(self) -> dict[str, int]:
        """The damage in words."""
        return {f"damaged text in {name}": n for name, n in self.damaged.items()}


def count_commas(column: pa.Array) -> dict[str, int]:
    """How many numbers have a comma, by what it can stand for; several points stand as commas between thousands do."""
    if not holds_any(column, (b",",)) and not _has_several_points(column):
        return {}
    return {kind: int(pc.sum(pc.match_substring_regex(column, form)).as_py() or 0) for kind, form in _COMMAS.items()}


def _has_several_points(column: pa.Array) -> bool:
    counts = pc.count_substring(column, ".") if holds_any(column, (b".",)) else None
    return counts is not None and (pc.max(counts).as_py() or 0) > 1


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: n for name, n in counts.items() if n}


def refuse_suspicious(path: str, part: Part, suspicions: Suspicions, layout: Layout, *, strict: bool) -> None:
    """Refuse a part that must not be loaded as it is.

    Raises
    ------
    InputRefusedError
        With what was found and the way out.
    """
    _refuse_inexact(path, part, layout)
    for column, (_, bound) in _SMALL.items():
        small, filled = suspicions.small.get(column, 0), suspicions.filled.get(column, 0)
        if filled and small > bound * filled:
            raise InputRefusedError(
                f"{path}: {column} holds small whole numbers in {small:,} of {filled:,} rows; expected {_EXPECTED[column]}."
                " Such numbers are left when a text was encoded and its labels were lost. Export the file again with its"
                " labels (in Stata: `decode VARIABLE, gen(NAME)`), or say what they mean in a layout of your own:"
                f" `[values.{column}]`, `\"1\" = \"...\"` (docs/operations/layouts.md)."
            )
    for column, n in suspicions.rounded.items():
        if n > MAX_SHARE_ROUNDED * suspicions.filled[column]:
            raise InputRefusedError(
                f"{path}: {column} is rounded in {n:,} of {suspicions.filled[column]:,} rows: codes such as 3.20491E+09 are"
                " what a spreadsheet shows of a number; the last digits are lost. Open the source, format the column as a"
                " number without decimals or as text, and export it again"
                + (", or leave firm_id out of a layout of your own." if column == "firm_id" else ".")
            )
    for column in AMOUNTS if layout.form.decimal != "," else ():
        n, thousands, doubtful = (suspicions.commas.get(f"{kind} {column}", 0) for kind in _COMMAS)
        # a few among others are typing errors, and refused one by one, unless they make others doubtful
        if n > MAX_SHARE_COMMAS * suspicions.filled.get(column, 0) or (doubtful and n > thousands):
            raise InputRefusedError(
                f"{path}: {column} is written with a decimal comma in {n:,} of {suspicions.filled[column]:,} rows, so that a"
                " number such as 1,234 may be one thousand times too large. Say so in a layout of your own: `[file]`,"
                " `decimal = \",\"` (docs/operations/layouts.md), or export the file again with a decimal point."
            )
    if strict and suspicions.damaged:
        found = ", ".join(f"{n:,} in {name}" for name, n in sorted(suspicions.damaged.items()))
        raise InputRefusedError(
            f"{path}: not valid {part.encoding}: texts with damaged bytes: {found}. Convert the file or deliver it again;"
            " without delivery.strict its records load and the damage is marked."
        )


def _refuse_inexact(path: str, part: Part, layout: Layout) -> None:
    assigned = layout.assign(part.headings)
    for column in CODE_COLUMNS:
        for index in assigned.get(column, ()):
            heading = part.headings[index]
            n = part.noticed.get(f"{INEXACT}{heading}", 0)
            if n:
                raise InputRefusedError(
                    f"{path}: {heading} ({column}) is stored as float and {n:,} of its {part.n_rows:,} numbers have more"
                    " digits than a float keeps (seven, to 16,777,216): 85171199 became 85171200. The codes cannot be got back"
                    " from this file. Write it again from its source with the variable as str, long or double."
                )
