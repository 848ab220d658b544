"""Records to cells: one row per city, year, firm, product and destination, with canonical codes and exact cents.

Everything later is sums over cells. Dollars are whole cents, so that no sum depends on the order of its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from jobs.kernels.trade_codes import (
    INTERMEDIARY_RULES,
    INTERMEDIARY_WORDS,
    NO_DESTINATION,
    OWNERSHIPS,
    REGIMES,
    UNKNOWN,
    canonical_ownerships,
    canonical_regimes,
    section_of,
)

#: What of a record is asked for. ``partner`` is the ISO code of a destination economy, null for other partners.
RECORD_INPUTS = {
    "city_id": pl.String, "year": pl.Int32, "firm_id": pl.String, "firm_name": pl.String, "firm_type": pl.String,
    "trade_regime": pl.String, "hs6_code": pl.String, "hs6_family": pl.String, "partner": pl.String, "cents": pl.Int64,
}
#: Of rows that only say that a firm exports in a year which is not counted now, this is null.
RECORD_MARK = "cents"
CITY_YEAR = ("city_id", "year")
FIRM = (*CITY_YEAR, "firm_id")
#: Rows of which texts are read and which are summed at a time; bounds the memory beside the cells themselves.
ROWS_AT_ONCE = 300_000
_REGIME = pl.Enum([*REGIMES, UNKNOWN])
_OWNERSHIP = pl.Enum([*OWNERSHIPS, UNKNOWN])


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of some cities.

    Attributes
    ----------
    cells : DataFrame
        ``city_id, year, firm_id, hs6_code, hs6_family, partner, regime, ownership, cents, n_records, n_named`` and for each
        rule the records whose firm's name has one of its words (``n_ahn`` ...). A record without a firm's code or without a
        destination has a null there.
    presence : DataFrame
        ``city_id, year, firm_id``: firms of years that are not among the cells.
    """

    cells: pl.DataFrame
    presence: pl.DataFrame


def read_cells(batches: Iterable[pa.RecordBatch]) -> Cells:
    """Sum the records of batches to cells, some batches at a time."""
    parts = []
    for rows in _frames_of(batches):
        is_record = pl.col(RECORD_MARK).is_not_null()
        parts += [presence_of(rows.filter(~is_record)), cells_of(rows.filter(is_record))]
    return put_together(parts)


def cells_of(records: pl.DataFrame) -> Cells:
    """The cells of some records, :data:`RECORD_INPUTS`."""
    return Cells(_summed(_canonical(records)), pl.DataFrame())


def presence_of(firms: pl.DataFrame) -> Cells:
    """No cells, and the firms of years that are not among them."""
    return Cells(pl.DataFrame(), firms.select(FIRM))


def put_together(parts: Iterable[Cells]) -> Cells:
    """The cells of all parts, each once."""
    parts = list(parts)
    cells = [part.cells for part in parts if part.cells.width]
    presence = [part.presence for part in parts if part.presence.width]
    empty = pl.DataFrame(schema=RECORD_INPUTS)
    return Cells(
        _summed(pl.concat(cells)) if cells else _summed(_canonical(empty)),
        pl.concat(presence).unique() if presence else empty.select(FIRM),
    )


def sections() -> pl.DataFrame:
    """``chapter, hs_section`` of every chapter."""
    chapters = [f"{number:02d}" for number in range(1, 98)]
    return pl.DataFrame({"chapter": chapters, "hs_section": [section_of(chapter) for chapter in chapters]})


def regions(of_partner: Mapping[str, str]) -> pl.DataFrame:
    """``partner, partner_region`` of every economy; what is no destination has the null partner."""
    return pl.DataFrame(
        {"partner": [*of_partner, None], "partner_region": [*of_partner.values(), NO_DESTINATION]},
        schema={"partner": pl.String, "partner_region": pl.String},
    )


def _canonical(records: pl.DataFrame) -> pl.DataFrame:
    """Records with canonical codes in place of texts, each a cell of its own."""
    has_name = pl.col("firm_name").str.strip_chars().fill_null("") != ""
    coded = records.with_columns(
        canonical_regimes(records["trade_regime"]).cast(_REGIME).alias("regime"),
        canonical_ownerships(records["firm_type"], records["firm_id"]).cast(_OWNERSHIP).alias("ownership"),
        pl.lit(1, pl.Int64).alias("n_records"),
        has_name.cast(pl.Int64).alias("n_named"),
    )
    words = {
        f"n_{rule}": pl.col("firm_name").str.contains_any(list(INTERMEDIARY_WORDS[rule])).fill_null(False).cast(pl.Int64)
        for rule in INTERMEDIARY_RULES
    }
    named = records.select("firm_name").unique().with_columns(**words)
    coded = coded.join(named, on="firm_name", how="left", nulls_equal=True)
    blank = pl.col("firm_id").str.strip_chars() == ""
    return coded.with_columns(pl.when(~blank).then("firm_id").alias("firm_id")).drop("firm_name", "firm_type", "trade_regime")


def _summed(cells: pl.DataFrame) -> pl.DataFrame:
    sums = ["cents", "n_records", "n_named", *(f"n_{rule}" for rule in INTERMEDIARY_RULES)]
    keys = ["city_id", "year", "firm_id", "hs6_code", "hs6_family", "partner", "regime", "ownership"]
    return cells.group_by(keys).agg(pl.col(sums).sum())


def _frames_of(batches: Iterable[pa.RecordBatch]) -> Iterable[pl.DataFrame]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= ROWS_AT_ONCE:
            yield _frame(waiting)
            waiting = []
    if waiting:
        yield _frame(waiting)


def _frame(batches: list[pa.RecordBatch]) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(batches)))
    return frame.select(pl.col(name).cast(kind) for name, kind in RECORD_INPUTS.items())
