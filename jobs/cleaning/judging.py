"""Bronze rows to parsed, placed and judged records: what the kernel of cleaning needs to know, and batches for it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from conf.layouts import load_layouts
from conf.rules import rules_in_force
from jobs.core.file_tables import takes_files, tasks_of_years
from jobs.kernels.cleaning import CLEANING_INPUTS, Cleaning
from jobs.kernels.parsing import WithoutPostcodes
from jobs.kernels.placing import PlacePolicy
from jobs.reference.frames import references_for
from jobs.runtime.context import JobContext
from jobs.runtime.executors import map_batches, spread
from schemas import bronze, silver
from schemas.fields import FIELDS

#: Columns of judged records that are in no table, and in the quarantine as in silver.
JUDGED_TYPES = {
    "flow_kind": "string", "malformed_row": "string", "place_reason": "string", "postcode_raw": "string",
    "production_place_raw": "string",
}
_SPELT = "year int, firm_id string, postcode string, n_records bigint"


def judge_declarations(
    context: JobContext, rows: DataFrame, receipts: Sequence[Row], columns: Sequence[str]
) -> DataFrame:
    """Bronze rows to parsed, placed records with their reasons: the whole of cleaning, still one row per line.

    Parameters
    ----------
    rows : DataFrame
        Rows of ``bronze.declaration``.
    receipts : sequence of Row
        Files in force.
    columns : sequence of str
        What of the records is wanted: columns of the two tables of silver, and of :data:`JUDGED_TYPES`.
    """
    types = {name: FIELDS[name].type for name in columns if name in FIELDS} | JUDGED_TYPES
    schema = ", ".join(f"{name} {types[name]}" for name in columns)
    arguments = (cleaning_for(context, receipts), tuple(columns))
    return map_batches(rows.select(*CLEANING_INPUTS), "jobs.kernels.cleaning.judged_batches", arguments, schema)


def read_declarations(
    context: JobContext, rows: DataFrame, receipts: Sequence[Row], columns: Sequence[str]
) -> DataFrame:
    """Bronze rows read and repaired, with products and partners: cleaning without places and judgement.

    Parameters
    ----------
    rows, receipts, columns
        As for :func:`judge_declarations`; of places there are no columns.
    """
    types = {name: FIELDS[name].type for name in columns if name in FIELDS} | JUDGED_TYPES
    schema = ", ".join(f"{name} {types[name]}" for name in columns)
    arguments = (references_for(context).codes, without_postcodes(receipts), tuple(columns))
    return map_batches(rows.select(*CLEANING_INPUTS), "jobs.kernels.cleaning.parsed_batches", arguments, schema)


def sort_declarations(context: JobContext, rows: DataFrame, receipts: Sequence[Row]) -> DataFrame:
    """Bronze rows to packed shares of the two tables of silver: ``kept`` and ``refused``, for :func:`unpack`."""
    arguments = (cleaning_for(context, receipts), silver.DECLARATION.columns, silver.QUARANTINE.columns)
    return map_batches(
        rows.select(*CLEANING_INPUTS), "jobs.kernels.cleaning.sorted_batches", arguments, "kept binary, refused binary"
    )


def unpack(packed: DataFrame, side: str) -> DataFrame:
    """The records of one side (``kept`` or ``refused``), with the columns of its table."""
    table = {"kept": silver.DECLARATION, "refused": silver.QUARANTINE}[side]
    return map_batches(packed.select(side), "jobs.kernels.cleaning.unpacked_batches", (), table.ddl().replace(" NOT NULL", ""))


def cleaning_for(context: JobContext, receipts: Sequence[Row]) -> Cleaning:
    """What cleaning follows from under a context's settings and files in force."""
    settings, references = context.settings, references_for(context)
    return Cleaning(
        codes=references.codes, places=references.places, policy=PlacePolicy.of(settings.places),
        rules=rules_in_force(settings.quality.rules_off), without_postcodes=without_postcodes(receipts),
        firm_postcodes=_firm_postcodes(context, receipts),
    )


def _firm_postcodes(context: JobContext, receipts: Sequence[Row]) -> pl.DataFrame | None:
    """Each firm's postcode in the files that carry one; None when no file has to borrow it."""
    if not years_that_borrow(receipts) or not uses_history(context):
        return None
    lake, table = context.lake, bronze.DECLARATION
    lending = [row["file_sha256"] for row in receipts if carries_postcodes(row)]
    if takes_files(lake, table):
        tasks = tasks_of_years(lake, table, {row["source_year"] for row in receipts if carries_postcodes(row)})
        spelt = spread(context.spark, tasks, "jobs.kernels.cleaned_files.spelt_postcodes_of", (lending,), _SPELT)
        found = best_postcodes(spelt)
    else:
        found = firm_postcodes(lake.read(table).where(F.col("file_sha256").isin(lending)))
    return pl.DataFrame(pl.from_arrow(found.toArrow()))


def firm_postcodes(rows: DataFrame) -> DataFrame:
    """Each firm's most frequent postcode, the latest on a tie: ``firm_id, history_postcode``, one row per firm.

    Parameters
    ----------
    rows : DataFrame
        Rows of ``bronze.declaration`` of the files that carry postcodes.
    """
    readable = rows.where(F.col("malformed_row").isNull()).select("source_year", "firm_id", "postcode")
    return best_postcodes(map_batches(readable, "jobs.kernels.cleaning.spelt_postcodes", (), _SPELT))


def best_postcodes(spelt: DataFrame) -> DataFrame:
    """Each firm's most frequent postcode of ``year, firm_id, postcode, n_records``; the latest, then the greatest on a tie."""
    counted = spelt.groupBy("firm_id", "postcode").agg(F.sum("n_records").alias("n"), F.max("year").alias("last_year"))
    best = F.max(F.struct("n", "last_year", "postcode"))["postcode"]
    return counted.groupBy("firm_id").agg(best.alias("history_postcode"))


def uses_history(context: JobContext) -> bool:
    """Tell whether a firm's postcode of another year may place its records."""
    return "firm_history" in context.settings.places.fallbacks


def years_that_borrow(receipts: Sequence[Row]) -> list[int]:
    """Years with a file in force that carries no postcodes: its firms' postcodes of other files may place its records."""
    return sorted({row["source_year"] for row in receipts if not carries_postcodes(row)})


def without_postcodes(receipts: Sequence[Row]) -> WithoutPostcodes:
    """Years of which no file carries postcodes, and the files that carry none in all other years."""
    years_with = {row["source_year"] for row in receipts if carries_postcodes(row)}
    years = sorted({row["source_year"] for row in receipts} - years_with)
    files = {row["file_sha256"] for row in receipts if row["source_year"] in years_with and not carries_postcodes(row)}
    return WithoutPostcodes(tuple(years), tuple(sorted(files)))


def carries_postcodes(receipt: Row) -> bool:
    """Tell whether a file carries postcodes: by its column of them, as landing found its records, or by its headings."""
    if receipt["has_postcodes"] is not None:
        return receipt["has_postcodes"]
    layout = {layout.name: layout for layout in load_layouts()}[receipt["layout"]]
    return "postcode" in layout.assign(receipt["headings"])
