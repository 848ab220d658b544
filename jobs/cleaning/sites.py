"""Production sites: the evidence on a record's place, resolved once for each distinct site and looked up by the records.

The place of a record follows from few of its columns, and a year's millions of records repeat some ten thousands of their
combinations. So the distinct sites are resolved first, in a query of their own, and every record finds its answer by
looking up a hash of these columns. The answers are those of resolving record by record: the columns are all that
:func:`jobs.transforms.places.resolve_places` reads, and that no two sites share a hash is checked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.core.frames import arrow_to_frame
from jobs.kernels.placing import PLACE_COLUMNS, PLACE_INPUTS
from jobs.reference.place_lookups import Convention
from jobs.transforms.declarations import carries_postcode, firm_code
from jobs.transforms.places import firm_postcode_history
from schemas import bronze

SITE, ANSWER = "_site", "_answer"
# the hashes stand in the memory of the driver and of every executor, some 100 bytes a site
MAX_SITES = 4_000_000
# hash functions pass over a null: without a text for it, a postcode alone and the same text as a place alone were one site
NO_TEXT = "\0"

log = logging.getLogger("customs_lake")


def place_by_site(
    parsed: DataFrame,
    rows: DataFrame,
    resolve: Callable[[DataFrame], DataFrame],
    parse: Callable[[DataFrame], DataFrame],
    *,
    convention: Convention,
    years_without_postcode: Sequence[int],
    files_without_postcode: Sequence[str] = (),
) -> DataFrame:
    """Add the columns of the place to parsed records by resolving the distinct sites of their bronze rows.

    Parameters
    ----------
    parsed : DataFrame
        Parsed records of some or all of ``rows``.
    rows : DataFrame
        Rows of ``bronze.declaration``.
    resolve, parse : callable
        Parsed records to placed ones, and bronze rows to parsed records.
    convention : str
        ``year_end`` or ``approval``: only under the latter a place depends on the month.
    years_without_postcode, files_without_postcode : sequence
        Years, and in other years the files (SHA-256), whose places depend on the firm and its address too.

    Returns
    -------
    DataFrame
        The rows of ``resolve(parsed)``. With more than :data:`MAX_SITES` sites, or two of one hash, it is
        ``resolve(parsed)`` itself.
    """
    without = years_without_postcode, files_without_postcode
    columns = _site_columns(convention, *without, is_parsed=False)
    sites = rows.select(*(column.alias(name) for name, column in columns.items())).distinct()
    site = _hash(_site_columns(convention, *without, is_parsed=True))
    inputs = [name for name in (*PLACE_INPUTS, "firm_id") if name in parsed.columns]
    resolved = sites.transform(_completed).transform(parse).select(site.alias(SITE), *inputs).transform(resolve)
    # places are few, however many sites (4,131 answers for 118,855): with each answer the hashes of its sites
    found = (
        resolved.select(SITE, *PLACE_COLUMNS).limit(MAX_SITES + 1)
        .groupBy(*PLACE_COLUMNS).agg(F.collect_list(SITE).alias(SITE)).toArrow().combine_chunks()
    )
    hashes, numbers = pc.list_flatten(found[SITE]), pc.list_parent_indices(found[SITE])
    if len(hashes) > MAX_SITES:
        log.info("more than %s distinct production sites: places are resolved record by record", f"{MAX_SITES:,}")
        return resolve(parsed)
    if pc.count_distinct(hashes).as_py() < len(hashes):
        log.info("two production sites have one hash: places are resolved record by record")
        return resolve(parsed)
    spark, serial = parsed.sparkSession, pa.array(range(found.num_rows), pa.int64())
    index = arrow_to_frame(spark, pa.table({SITE: hashes, ANSWER: numbers}))
    answers = arrow_to_frame(spark, found.drop_columns(SITE).append_column(ANSWER, serial))
    return (
        parsed.withColumn(SITE, site)
        .join(F.broadcast(index), on=SITE, how="left")
        .join(F.broadcast(answers), on=ANSWER, how="left")
        .drop(SITE, ANSWER)
    )


def firm_postcodes(rows: DataFrame, parse: Callable[[DataFrame], DataFrame]) -> DataFrame:
    """Find each firm's postcode, parsing each spelling of firm and postcode once.

    Parameters
    ----------
    rows : DataFrame
        Rows of ``bronze.declaration`` of the years that carry postcodes.
    parse : callable
        Bronze rows to parsed records.

    Returns
    -------
    DataFrame
        As of :func:`jobs.transforms.places.firm_postcode_history`.
    """
    readable = rows.where(F.col("malformed_row").isNull())
    spelt = readable.groupBy("source_year", "firm_id", "postcode").agg(F.count("*").alias("n_records"))
    return spelt.transform(_completed).transform(parse).transform(firm_postcode_history)


def _completed(frame: DataFrame) -> DataFrame:
    """Bronze rows of which only some columns are known."""
    return frame.withColumns(
        {field.name: F.lit(None).cast(field.type) for field in bronze.DECLARATION.fields if field.name not in frame.columns}
    )


def _site_columns(
    convention: str, years_without: Sequence[int], files_without: Sequence[str], *, is_parsed: bool
) -> dict[str, Column]:
    """What a place follows from, under the names of bronze: as delivered, but for the firm's number."""
    raw = "_raw" if is_parsed else ""
    columns = {
        "source_year": F.col("source_year"),
        "postcode": F.col(f"postcode{raw}"),
        "production_place": F.col(f"production_place{raw}"),
        "production_place_code": F.col("production_place_code"),
    }
    if convention == "approval":
        columns["source_month"] = F.col("source_month")
    if years_without or files_without:
        carries = F.col("has_postcode_column") if is_parsed else carries_postcode(years_without, files_without)
        firm = F.col("firm_id") if is_parsed else firm_code(F.col("firm_id"))
        columns |= {"firm_id": F.when(~carries, firm), "firm_address": F.when(~carries, F.col("firm_address"))}
        if files_without:
            # the year no longer says it
            columns["has_postcode_column"] = carries
    return columns


def _hash(columns: dict[str, Column]) -> Column:
    return F.xxhash64(*(F.coalesce(column.cast("string"), F.lit(NO_TEXT)) for column in columns.values()))
