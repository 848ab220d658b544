"""Declarations to the city x product x destination cube and to what is counted of each city and year, frame by frame.

The same groups and sums as jobs/transforms/counts.py, which counts where executors cannot reach the lake's files. Memory
follows the cells and the firms, not the records. Money is summed as decimals, so that no sum depends on how records are shared
out.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import polars as pl
import pyarrow as pa

from jobs.core.data_files import DataFile, FileTarget, FileWriter
from jobs.core.file_slices import FileSlice, read_frames
from schemas import gold, silver
from schemas.fields import MONEY_TYPE

CITY_YEAR = ("year", "city_id")
CUBE_KEY = (*CITY_YEAR, "hs6_code", "partner_code")
#: Functions of the key, so that the groups are the same with them.
CUBE_CARRIED = ("hs_revision", "hs6_converted", "hs6_family", "country_iso3", "is_destination")
#: What of a declaration is asked for.
COUNT_INPUTS = (
    *CUBE_KEY, *CUBE_CARRIED, "value_usd", "firm_id", "place_method", "is_place_ambiguous", "place_conflict", "unit_type",
)
POSTCODE_METHODS = ("postcode6", "postcode5", "postcode4")
#: What makes a record's place doubtful, and the column of ``gold.city_exports`` with the share of such records in value.
DOUBTS = {
    "is_fallback": "share_value_by_fallback", "is_place_ambiguous": "share_value_ambiguous",
    "is_postcode_unknown": "share_value_postcode_unknown",
}
#: Columns of :meth:`CityYears.counts`; what is summed for a share is in dollars there.
COUNTED = (
    *CITY_YEAR, "value_usd", "n_products", "n_products_converted", "n_products_family", "n_destinations", "n_partner_codes",
    "n_pairs", "n_firms", "n_records", "n_records_postcode_unknown", *DOUBTS.values(),
)
#: Of a share of a year; bounds a task's memory where no two records are of one cell, at some hundred bytes a record.
RECORDS_OF_A_TASK = 3_000_000
#: A year is shared out for the sake of idle cores down to so many.
LEAST_OF_A_TASK = 250_000
COUNTED_DDL = "files string, counts binary"
#: Rows of sums that are put together at a time.
ROWS_AT_ONCE = 500_000
_TEXTS = ("city_id", "hs6_code", "partner_code", "hs_revision", "hs6_converted", "hs6_family", "country_iso3")
_SUMS = ("value_usd", "n_records")
_MONEY = pl.Decimal(20, 2)
assert MONEY_TYPE == "decimal(20,2)"


def count_tasks(slices: Sequence[FileSlice], *, at_least: int) -> list[str]:
    """Share counting out: a year a task, a year of many records by cities; what :func:`count_files` is given.

    Parameters
    ----------
    slices : sequence of FileSlice
        Live rows of ``silver.declaration``.
    at_least : int
        Tasks, where there are records enough for so many: every core is to have something to do.
    """
    by_year: dict[int, list[FileSlice]] = {}
    for item in slices:
        by_year.setdefault(item.partition["year"], []).append(item)
    tasks = []
    for of_year in by_year.values():
        n_rows = sum(item.n_rows for item in of_year)
        needed, useful = -(-n_rows // RECORDS_OF_A_TASK), min(-(-at_least // len(by_year)), -(-n_rows // LEAST_OF_A_TASK))
        shares = max(needed, useful)
        rows = [asdict(item) for item in of_year]
        tasks += [json.dumps({"slices": rows, "share": share, "shares": shares}) for share in range(shares)]
    return tasks


def count_files(task: str, target: FileTarget) -> Iterator[pa.RecordBatch]:
    """Count one task's cities; the cube's rows go into data files.

    Parameters
    ----------
    task : str
        As :func:`count_tasks` makes them.
    target : FileTarget
        Of the cube.

    Yields
    ------
    RecordBatch
        :data:`COUNTED_DDL`, one row: descriptions of the files as JSON, and :meth:`CityYears.counts` in Arrow's stream format.
    """
    given = json.loads(task)
    slices = [FileSlice(**item) for item in given["slices"]]
    is_ours = None if given["shares"] == 1 else share_of_city(given["shares"]) == given["share"]
    found = CityYears()
    for rows in read_frames(slices, silver.DECLARATION, COUNT_INPUTS, where=is_ours):
        found.add(rows)
    with FileWriter(target) as writer:
        if not found.is_empty:
            writer.write(found.cube())
    yield from _results(writer.files, found.counts())


def _results(files: Sequence[DataFile], counts: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    content = io.BytesIO()
    counts.write_ipc_stream(content)
    columns = [json.dumps([file.to_dict() for file in files])], [content.getvalue()]
    yield pa.RecordBatch.from_arrays([pa.array(columns[0]), pa.array(columns[1], pa.binary())], names=["files", "counts"])


def export_rows(counts: bytes, names: Mapping[str, tuple[str, str]]) -> Iterator[dict[str, object]]:
    """Yield the rows of ``gold.city_exports`` of one task.

    Parameters
    ----------
    counts : bytes
        As :func:`count_files` yields them.
    names : mapping
        City to its name and province.
    """
    for row in pl.read_ipc_stream(counts).to_dicts():
        # the double next to each exact sum, then one division
        shares = {name: float(row[name]) / float(row["value_usd"]) for name in DOUBTS.values()}
        city_name, province_code = names.get(row["city_id"], (None, None))
        yield row | shares | {"city_name": city_name, "province_code": province_code}


def share_of_city(shares: int) -> pl.Expr:
    """Which of some shares a city belongs to: the same on every machine and under every version of a library."""
    # codes of prefectures end in 00; a user's own city may have letters
    number = pl.col("city_id").str.slice(0, 4).str.to_integer(strict=False).fill_null(0)
    return number % shares


class CityYears:
    """Counts of the declarations of some cities and years; all declarations of a city and year must be added to one."""

    def __init__(self) -> None:
        self._cube = _Sums([*CUBE_KEY, *CUBE_CARRIED], _SUMS)
        self._doubts = _Sums([*CITY_YEAR, *DOUBTS], _SUMS)
        self._firms = _Sums([*CITY_YEAR, "firm_id"], ())

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return self._cube.is_empty

    def add(self, declarations: pl.DataFrame) -> None:
        """Count some declarations.

        Parameters
        ----------
        declarations : DataFrame
            :data:`COUNT_INPUTS`.
        """
        one = pl.lit(1, pl.Int64).alias("n_records")
        # numbers for texts: groups of seven texts take twice as long
        rows = declarations.with_columns(pl.col(_TEXTS).cast(pl.Categorical), one, pl.col("value_usd").cast(pl.Decimal(38, 2)))
        self._cube.add(rows)
        unknown = pl.col("place_conflict").str.contains(r"(^|\+)postcode_unknown(\+|$)").fill_null(False)
        self._doubts.add(rows.with_columns(
            (~pl.col("place_method").is_in(POSTCODE_METHODS)).alias("is_fallback"),
            (unknown & pl.col("unit_type").is_null()).alias("is_postcode_unknown"),
        ))
        self._firms.add(rows.filter(pl.col("firm_id").is_not_null()))

    def cube(self) -> pl.DataFrame:
        """Rows of ``gold.city_product_destination``, in the order of its key."""
        rows = self._cube.total().with_columns(pl.col(_TEXTS).cast(pl.String), pl.col("value_usd").cast(_MONEY))
        return rows.select(gold.CITY_PRODUCT_DESTINATION.columns).sort(CUBE_KEY)

    def counts(self) -> pl.DataFrame:
        """What is counted of each city and year: :data:`COUNTED`."""
        if self.is_empty:
            return pl.DataFrame(schema=dict.fromkeys(COUNTED, pl.Int64))
        partner = pl.when("is_destination").then("country_iso3")
        of_cells = self._cube.total().group_by(CITY_YEAR).agg(
            pl.col("value_usd").sum(), _n_distinct(pl.col("hs6_code"), "n_products"),
            _n_distinct(pl.col("hs6_converted"), "n_products_converted"),
            _n_distinct(pl.col("hs6_family"), "n_products_family"), _n_distinct(partner, "n_destinations"),
            _n_distinct(pl.col("partner_code"), "n_partner_codes"), pl.len().cast(pl.Int64).alias("n_pairs"),
            pl.col("n_records").sum(),
        )
        usd = pl.col("value_usd")
        of_doubts = self._doubts.total().group_by(CITY_YEAR).agg(
            pl.col("n_records").filter("is_postcode_unknown").sum().alias("n_records_postcode_unknown"),
            *(usd.filter(doubt).sum().alias(share) for doubt, share in DOUBTS.items()),
        )
        of_firms = self._firms.total().group_by(CITY_YEAR).agg(pl.len().cast(pl.Int64).alias("n_firms"))
        rows = of_cells.join(of_doubts, on=CITY_YEAR, how="left").join(of_firms, on=CITY_YEAR, how="left")
        return rows.with_columns(pl.col("city_id").cast(pl.String), pl.col("n_firms").fill_null(0)).select(COUNTED)


class _Sums:
    """Sums by a key of all frames that were added; what was added is put together now and then."""

    def __init__(self, key: Sequence[str], sums: Sequence[str]) -> None:
        self._key, self._sums = list(key), list(sums)
        self._parts: list[pl.DataFrame] = []
        self._limit = ROWS_AT_ONCE

    @property
    def is_empty(self) -> bool:
        return not self._parts

    def add(self, rows: pl.DataFrame) -> None:
        self._parts.append(self._summed(rows))
        if sum(map(len, self._parts)) >= self._limit:
            # groups that hardly repeat are put together ever less often
            self._limit = max(ROWS_AT_ONCE, 2 * len(self.total()))

    def total(self) -> pl.DataFrame:
        if len(self._parts) > 1:
            self._parts = [self._summed(pl.concat(self._parts))]
        return self._parts[0]

    def _summed(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.group_by(self._key).agg(pl.col(self._sums).sum()) if self._sums else rows.select(self._key).unique()


def _n_distinct(code: pl.Expr, name: str) -> pl.Expr:
    return code.drop_nulls().n_unique().cast(pl.Int64).alias(name)
