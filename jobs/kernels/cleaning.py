"""The whole of cleaning as a function of batches: bronze rows in, parsed, placed and judged records out.

Every batch is worked on by itself, and what a record becomes depends on no other record, so the batches may be cut in
any way. Two forms come out: the judged records themselves, and the same sorted into the two tables of silver, each
batch's share of a table in one piece of bytes: to be kept until both are written, without a value being looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from conf.rules import Rule
from jobs.kernels.judging import judge_records
from jobs.kernels.parsing import (
    PARSED_INPUTS,
    CodeTables,
    WithoutPostcodes,
    parse_firms,
    parse_postcodes,
    parse_records,
    parse_values,
)
from jobs.kernels.placing import PLACE_COLUMNS, PLACE_INPUTS, PlacePolicy, PlaceTables, place_records
from jobs.kernels.withholding import withhold_persons
from schemas.fields import CARRIED_COLUMNS, ERASED

ROWS_AT_ONCE = 100_000
"""Rows that are worked on at a time: enough for what every batch costs, some 200 MB at most."""
CLEANING_INPUTS = tuple(dict.fromkeys((*PARSED_INPUTS, *CARRIED_COLUMNS, "firm_address", "source_row", "load_id")))
"""Columns of bronze that cleaning reads; personal data are not among them."""


@dataclass(frozen=True, slots=True)
class Cleaning:
    """All that a record's cleaning follows from besides the record.

    Attributes
    ----------
    codes : CodeTables
    places : PlaceTables
    policy : PlacePolicy
    rules : sequence of Rule
    without_postcodes : WithoutPostcodes
    firm_postcodes : DataFrame or None
        ``firm_id, history_postcode``, one row per firm: what a record of a file without postcodes borrows.
    """

    codes: CodeTables
    places: PlaceTables
    policy: PlacePolicy
    rules: Sequence[Rule]
    without_postcodes: WithoutPostcodes
    firm_postcodes: pl.DataFrame | None = None


def clean_records(rows: pl.DataFrame, cleaning: Cleaning) -> pl.DataFrame:
    """Bronze rows to parsed, placed and judged records in the same order.

    Parameters
    ----------
    rows : DataFrame
        :data:`CLEANING_INPUTS` of ``bronze.declaration``.
    cleaning : Cleaning

    Returns
    -------
    DataFrame
        As of :func:`jobs.kernels.parsing.parse_records`, with :data:`jobs.kernels.placing.PLACE_COLUMNS` and ``reasons``.
    """
    parsed = parse_records(rows, cleaning.codes, cleaning.without_postcodes)
    placed = pl.concat([parsed, place_sites(parsed, cleaning)], how="horizontal")
    return placed.with_columns(judge_records(placed, cleaning.rules))


def judged_batches(
    batches: Iterable[pa.RecordBatch], cleaning: Cleaning, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the given columns of the judged records."""
    for rows in _frames_of(batches):
        yield from to_arrow(clean_records(rows, cleaning).select(columns)).to_batches()


def parsed_batches(
    batches: Iterable[pa.RecordBatch], codes: CodeTables, without_postcodes: WithoutPostcodes, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the given columns of the records as read and repaired, neither placed nor judged."""
    for rows in _frames_of(batches):
        yield from to_arrow(parse_records(rows, codes, without_postcodes).select(columns)).to_batches()


def sorted_batches(
    batches: Iterable[pa.RecordBatch], cleaning: Cleaning, kept: Sequence[str], refused: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield one row per batch: ``kept`` and ``refused``, each the batch's rows of one table as bytes.

    Parameters
    ----------
    kept, refused : sequence of str
        Columns of the two tables. Of a refused record postcode and place are those delivered, and nothing of it is kept
        where it may be a person's.
    """
    for rows in _frames_of(batches):
        sides = sort_records(clean_records(rows, cleaning), kept, refused)
        yield pa.RecordBatch.from_arrays([pa.array([_packed(side)], pa.binary()) for side in sides], ["kept", "refused"])


def sort_records(
    judged: pl.DataFrame, kept: Sequence[str], refused: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Judged records to the rows of the two tables of silver; of the refused what was delivered, without persons."""
    is_kept = judged.get_column("reasons").list.len() == 0
    given = {
        "primary_reason": pl.col("reasons").list.first(), "postcode": pl.col("postcode_raw"),
        "production_place": pl.col("production_place_raw"),
    }
    delivered = judged.select(given.get(name, pl.col(name)).alias(name) for name in refused)
    return judged.select(kept).filter(is_kept), withhold_persons(delivered.filter(~is_kept))


def unpacked_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the records that one column of :func:`sorted_batches` holds."""
    for batch in batches:
        for packed in batch.column(0):
            with pa.ipc.open_stream(packed.as_buffer()) as stream:
                yield from stream


def spelt_postcodes(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield ``year, firm_id, postcode, n_records`` of rows ``source_year, firm_id, postcode``: readable codes, counted."""
    for rows in _frames_of(batches):
        yield from to_arrow(count_spellings(rows)).to_batches()


def count_spellings(rows: pl.DataFrame) -> pl.DataFrame:
    """``year, firm_id, postcode, n_records`` of rows ``source_year, firm_id, postcode``: readable codes, counted."""
    counted = rows.group_by("source_year", "firm_id", "postcode").len("n_records")
    firms = parse_firms(counted.select("firm_id").unique())
    codes = parse_postcodes(counted.select("postcode").unique())
    read = counted.join(firms, on="firm_id", nulls_equal=True).join(codes, on="postcode", nulls_equal=True)
    known = read.filter(pl.col("_code").is_not_null() & pl.col("_six").is_not_null())
    return known.group_by(
        pl.col("source_year").alias("year"), pl.col("_code").alias("firm_id"), pl.col("_six").alias("postcode")
    ).agg(pl.col("n_records").sum().cast(pl.Int64))


def value_totals(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield ``file_sha256, year, n_rows, n_erased, usd`` of rows ``file_sha256, source_year, value, malformed_row``."""
    for rows in _frames_of(batches):
        usd = parse_values(rows.select("value", "malformed_row")).get_column("value_usd")
        yield from to_arrow(sum_values(rows, usd)).to_batches()


def sum_values(rows: pl.DataFrame, usd: pl.Series) -> pl.DataFrame:
    """``file_sha256, year, n_rows, n_erased, usd`` of rows of bronze whose values in dollars are given."""
    columns = rows.select("file_sha256", pl.col("source_year").alias("year"), "malformed_row")
    return columns.with_columns(usd.alias("usd")).group_by("file_sha256", "year").agg(
        pl.len().cast(pl.Int64).alias("n_rows"),
        (pl.col("malformed_row") == ERASED).sum().cast(pl.Int64).alias("n_erased"),
        pl.col("usd").cast(pl.Decimal(38, 2)).sum(),
    )


def place_sites(parsed: pl.DataFrame, cleaning: Cleaning) -> pl.DataFrame:
    """The place of every record, each distinct production site resolved once."""
    carries = pl.col("has_postcode_column")
    site = parsed.select(
        "year",
        # only by approval a place depends on the month
        (pl.col("month") if cleaning.places.convention == "approval" else pl.lit(None, pl.Int32)).alias("month"),
        "postcode", "production_place", "district_code", carries,
        # a file without postcodes is placed by its firms' other records and addresses
        pl.when(~carries).then("firm_id").alias("firm_id"), pl.when(~carries).then("firm_address").alias("firm_address"),
    )
    sites = site.unique()
    if cleaning.firm_postcodes is not None:
        sites = sites.join(cleaning.firm_postcodes, on="firm_id", how="left")
    inputs = sites.select(name for name in PLACE_INPUTS if name in sites.columns)
    placed = place_records(inputs, cleaning.places, cleaning.policy)
    known = pl.concat([sites.select(site.columns), placed], how="horizontal")
    # what is nowhere said tells no sites apart
    keys = [column.name for column in site if column.null_count() < len(column)]
    return site.join(known, on=keys, how="left", nulls_equal=True, maintain_order="left").select(PLACE_COLUMNS)


def _frames_of(batches: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Batches put together to frames of about :data:`ROWS_AT_ONCE`."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= ROWS_AT_ONCE:
            yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches(waiting)))
            waiting = []
    if waiting and any(map(len, waiting)):
        yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches(waiting)))


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """As an Arrow table of types that Spark reads: of lists it knows the small ones only."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    kinds = [pa.list_(pa.string()) if pa.types.is_large_list(field.type) else field.type for field in table.schema]
    return table.cast(pa.schema(zip(table.column_names, kinds, strict=True)))


def _packed(frame: pl.DataFrame) -> bytes:
    table, sink = to_arrow(frame), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()
