"""Bronze rows to parsed, placed and judged records, one row per line still; nothing is read or written here but lookups."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from conf.layouts import load_layouts
from conf.rules import rules_in_force
from jobs.cleaning.sites import firm_postcodes, place_by_site
from jobs.kernels.placing import PlacePolicy
from jobs.reference.frames import references_for
from jobs.runtime.context import JobContext
from jobs.transforms.declarations import apply_rules, parse_declarations
from jobs.transforms.partners import add_partners
from jobs.transforms.places import resolve_places
from jobs.transforms.products import add_products
from schemas import bronze


def judge_declarations(context: JobContext, rows: DataFrame, receipts: Sequence[Row]) -> DataFrame:
    """Bronze rows to parsed, placed records with their reasons: the whole of cleaning, still one row per line."""
    references = references_for(context)
    return (
        parse_records(rows, receipts)
        .transform(add_products, references.products, base_revision=context.settings.count.base_revision)
        .transform(add_partners, references.partners)
        .transform(lambda parsed: place_records(context, parsed, rows, receipts))
        .transform(apply_rules, rules_in_force(context.settings.quality.rules_off))
    )


def parse_records(rows: DataFrame, receipts: Sequence[Row]) -> DataFrame:
    """Parse bronze rows, knowing from the receipts which files carry no postcodes."""
    years, files = without_postcode(receipts)
    return parse_declarations(rows, years_without_postcode=years, files_without_postcode=files)


def place_records(context: JobContext, parsed: DataFrame, rows: DataFrame, receipts: Sequence[Row]) -> DataFrame:
    """Resolve the production sites of parsed records under the settings, each site of their bronze rows once."""
    places = context.settings.places
    borrowed = _firm_postcodes(context, receipts)
    years, files = without_postcode(receipts)
    return place_by_site(
        parsed, rows,
        lambda records: resolve_places(
            records, references_for(context).places, PlacePolicy.of(places), firm_postcodes=borrowed,
        ),
        lambda sites: parse_records(sites, receipts),
        convention=places.convention, years_without_postcode=years, files_without_postcode=files,
    )


def _firm_postcodes(context: JobContext, receipts: Sequence[Row]) -> DataFrame | None:
    """Each firm's postcode in the files that carry one; None when no file has to borrow it."""
    if not years_that_borrow(receipts) or not uses_history(context):
        return None
    lending = [row["file_sha256"] for row in receipts if carries_postcodes(row)]
    rows = context.lake.read(bronze.DECLARATION).where(F.col("file_sha256").isin(lending))
    return firm_postcodes(rows, lambda spelt: parse_records(spelt, receipts))


def uses_history(context: JobContext) -> bool:
    """Tell whether a firm's postcode of another year may place its records."""
    return "firm_history" in context.settings.places.fallbacks


def years_that_borrow(receipts: Sequence[Row]) -> list[int]:
    """Years with a file in force that carries no postcodes: its firms' postcodes of other files may place its records."""
    return sorted({row["source_year"] for row in receipts if not carries_postcodes(row)})


def without_postcode(receipts: Sequence[Row]) -> tuple[list[int], list[str]]:
    """Years of which no file carries postcodes, and the files (SHA-256) that carry none in all other years."""
    years_with = {row["source_year"] for row in receipts if carries_postcodes(row)}
    years = sorted({row["source_year"] for row in receipts} - years_with)
    files = {row["file_sha256"] for row in receipts if row["source_year"] in years_with and not carries_postcodes(row)}
    return years, sorted(files)


def carries_postcodes(receipt: Row) -> bool:
    """Tell whether a file carries postcodes: by its column of them, as landing found its records, or by its headings."""
    if receipt["has_postcodes"] is not None:
        return receipt["has_postcodes"]
    layout = {layout.name: layout for layout in load_layouts()}[receipt["layout"]]
    return "postcode" in layout.assign(receipt["headings"])
