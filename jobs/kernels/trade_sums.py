"""What records sum up to by year, direction, dimension and member, where executors read the lake's files themselves.

The same members and sums as jobs/transforms/trade_sums.py, which sums up through Spark elsewhere and has the statistics of
exporters.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import polars as pl
import pyarrow as pa

from jobs.core.file_slices import read_frames, slices_from_json
from jobs.kernels.cleaning import CLEANING_INPUTS
from jobs.kernels.parsing import CodeTables, WithoutPostcodes, parse_records
from jobs.kernels.trade_codes import ORDINARY, OWNERSHIP_PATTERNS, PROCESSING
from schemas import bronze

SUMS_DDL = "sums binary"
KEY = ("year", "flow", "dimension", "member")
SUMS = ("value_usd", "n_records", "n_unreadable")
_TYPES: dict[str, pl.DataType] = {
    "year": pl.Int32(), "flow": pl.String(), "dimension": pl.String(), "member": pl.String(),
    "value_usd": pl.Decimal(38, 2), "n_records": pl.Int64(), "n_unreadable": pl.Int64(),
}
#: Texts that a member is read from; each combination is read once.
_REGIME_TEXTS, _OWNER_TEXTS = ("trade_regime",), ("firm_type", "_digit")


def sum_files(
    task: str, codes: CodeTables, without_postcodes: WithoutPostcodes, in_force: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the sums of one task's slices of ``bronze.declaration``, one row (:data:`SUMS_DDL`) in Arrow's stream format.

    Parameters
    ----------
    task : str
        Slices as JSON.
    codes : CodeTables
    without_postcodes : WithoutPostcodes
    in_force : sequence of str
        Hashes of the files whose rows count.
    """
    is_in_force = pl.col("file_sha256").is_in(list(in_force))
    frames = read_frames(slices_from_json(task), bronze.DECLARATION, CLEANING_INPUTS, where=is_in_force)
    sums = [sums_of(parse_records(rows, codes, without_postcodes)) for rows in frames]
    if sums:
        content = io.BytesIO()
        added_up(sums).write_ipc_stream(content)
        yield pa.RecordBatch.from_arrays([pa.array([content.getvalue()], pa.binary())], names=["sums"])


def sums_of_tasks(results: Iterable[bytes]) -> pl.DataFrame:
    """The sums of all tasks put together."""
    return added_up([pl.read_ipc_stream(content) for content in results])


def added_up(sums: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Sums of parts put together; without a readable value there is no sum."""
    whole = pl.concat([pl.DataFrame(schema=_TYPES), *sums]).group_by(KEY).agg(pl.col(SUMS).sum())
    return whole.with_columns(pl.when(pl.col("n_records") > 0).then("value_usd").alias("value_usd"))


def sums_of(records: pl.DataFrame) -> pl.DataFrame:
    """Value and records by year, direction, dimension and member.

    Parameters
    ----------
    records : DataFrame
        ``RECORD_COLUMNS`` of :mod:`jobs.transforms.trade_sums`, as cleaning reads and repairs them; further columns are left
        behind.

    Returns
    -------
    DataFrame
        :data:`KEY` and :data:`SUMS`.
    """
    rows = _with_members(records)
    parts = [
        rows.group_by("year", "flow", pl.col(f"_{name}").fill_null("").alias("member")).agg(
            pl.col("value_usd").sum(), pl.col("value_usd").count().cast(pl.Int64).alias("n_records"),
            pl.col("value_usd").null_count().cast(pl.Int64).alias("n_unreadable"),
        ).with_columns(pl.lit(name).alias("dimension"))
        for name in _MEMBERS
    ]
    return pl.concat(parts).select(*KEY, *SUMS)


_MEMBERS = {
    "all": pl.lit(""), "month": pl.col("month").cast(pl.String).str.pad_start(2, "0"), "file": pl.col("file_sha256"),
    "partner": pl.col("country_iso3"), "chapter": pl.col("hs8_code").str.slice(0, 2), "regime": pl.col("_regime"),
    "ownership": pl.col("_ownership"),
    "province": pl.when(pl.col("firm_id").str.contains("^[1-6][0-9]{9}$")).then(pl.col("firm_id").str.slice(0, 2)),
    "regime_ownership": pl.concat_str("_regime", "_ownership", separator="/", ignore_nulls=True),
}


def _with_members(records: pl.DataFrame) -> pl.DataFrame:
    """``year, flow, value_usd`` and the member of each dimension, by its name with ``_`` before it."""
    digit = pl.when(pl.col("firm_id").str.len_chars() == 10).then(pl.col("firm_id").str.slice(5, 1)).fill_null("")
    rows = records.select(
        "year", pl.col("flow_kind").fill_null("unknown").alias("flow"),
        pl.when(pl.col("value_usd") > 0).then("value_usd").cast(pl.Decimal(38, 2)).alias("value_usd"),
        "month", "file_sha256", "country_iso3", "hs8_code", "firm_id", digit.alias("_digit"),
        # a blank before or after a code is no part of it
        *(pl.col(name).fill_null("").str.strip_chars(" ") for name in ("firm_type", "trade_regime")),
    )
    regimes = rows.select(_REGIME_TEXTS).unique().with_columns(_regime(pl.col("trade_regime")).alias("_regime"))
    owner = pl.when(pl.col("firm_type") == "").then("_digit").otherwise("firm_type")
    owners = rows.select(_OWNER_TEXTS).unique().with_columns(_ownership(owner).alias("_ownership"))
    rows = rows.join(regimes, on=_REGIME_TEXTS, how="left").join(owners, on=_OWNER_TEXTS, how="left")
    return rows.select("year", "flow", "value_usd", *(member.alias(f"_{name}") for name, member in _MEMBERS.items()))


def _regime(text: pl.Expr) -> pl.Expr:
    return (
        pl.when(text == "").then(None).when(text.str.contains(PROCESSING)).then(pl.lit("processing"))
        .when(text.str.contains(ORDINARY)).then(pl.lit("ordinary")).otherwise(pl.lit("other"))
    )


def _ownership(text: pl.Expr) -> pl.Expr:
    chosen = [pl.when(text.str.contains(pattern)).then(pl.lit(name)) for name, pattern in OWNERSHIP_PATTERNS.items()]
    return pl.when(text != "").then(pl.coalesce(*chosen, pl.lit("other")))
