"""Bronze rows to parsed, placed and judged records, one row per line still; nothing is read or written here but lookups."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from conf.layouts import load_layouts
from conf.rules import load_rules
from jobs.cleaning.sites import firm_postcodes, place_by_site
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
        .transform(apply_rules, load_rules())
    )


def parse_records(rows: DataFrame, receipts: Sequence[Row]) -> DataFrame:
    """Parse bronze rows, knowing from the receipts which years carry no postcodes."""
    return parse_declarations(rows, years_without_postcode=years_without_postcode(receipts))


def place_records(context: JobContext, parsed: DataFrame, rows: DataFrame, receipts: Sequence[Row]) -> DataFrame:
    """Resolve the production sites of parsed records under the settings, each site of their bronze rows once."""
    places = context.settings.places
    firm_postcodes = _firm_postcodes(context, receipts)
    return place_by_site(
        parsed, rows,
        lambda records: resolve_places(
            records, references_for(context).places, evidence_order=places.evidence_order, fallbacks=places.fallbacks,
            ambiguous=places.ambiguous, firm_postcodes=firm_postcodes,
        ),
        lambda sites: parse_records(sites, receipts),
        convention=places.convention, years_without_postcode=years_without_postcode(receipts),
    )


def _firm_postcodes(context: JobContext, receipts: Sequence[Row]) -> DataFrame | None:
    """Each firm's postcode in the years that carry one; None when no year has to borrow it."""
    without = years_without_postcode(receipts)
    if not without or not uses_history(context):
        return None
    lending = [row["file_sha256"] for row in receipts if row["source_year"] not in without]
    rows = context.lake.read(bronze.DECLARATION).where(F.col("file_sha256").isin(lending))
    return firm_postcodes(rows, lambda spelt: parse_records(spelt, receipts))


def uses_history(context: JobContext) -> bool:
    """Tell whether a firm's postcode of another year may place its records."""
    return "firm_history" in context.settings.places.fallbacks


def years_without_postcode(receipts: Sequence[Row]) -> list[int]:
    """Years in which no file in force has a postcode column."""
    layouts = {layout.name: layout for layout in load_layouts()}
    with_postcode = {
        row["source_year"] for row in receipts if "postcode" in layouts[row["layout"]].assign(row["headings"])
    }
    return sorted({row["source_year"] for row in receipts} - with_postcode)
