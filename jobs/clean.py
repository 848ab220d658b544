"""Clean: parse, repair, place and judge every declaration; silver for the accepted, quarantine with reasons for the rest.

In: ``bronze.declaration`` (files in force), the reference tables, conf/rules. Out: ``silver.declaration``,
``silver.quarantine``, ``ops.reconciliation``, ``ops.quality``. A year is rebuilt when its fingerprint changed: its
files, the rules, the layouts, the references, the configuration or the code. Rows and dollars in = kept + quarantined
is asserted on the written tables for every file before the year counts as built.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from conf.layouts import load_layouts
from conf.rules import load_rules
from jobs.cleaning.sites import firm_postcodes, place_by_site
from jobs.core.errors import QualityError
from jobs.core.ledger import (
    builds_of,
    files_in_force,
    fingerprint,
    package_hash,
    record_builds,
    utc_now,
    years_text,
)
from jobs.reconcile import reconcile_years
from jobs.references import reference_hash, references_for
from jobs.runtime.context import JobContext, Outcome, job_main
from jobs.transforms.declarations import apply_rules, parse_declarations
from jobs.transforms.partners import add_partners
from jobs.transforms.places import resolve_places
from jobs.transforms.products import add_products
from schemas import bronze, ops, silver

CARRIED = sorted(
    {*silver.DECLARATION.columns, *silver.QUARANTINE.columns, "postcode_raw", "production_place_raw"} - {"primary_reason"}
)


def run(context: JobContext) -> Outcome:
    """Rebuild the silver years whose inputs changed."""
    receipts = [row for row in files_in_force(context.lake) if context.selects(row["source_year"])]
    wanted = year_fingerprints(context, receipts)
    built = builds_of(context.lake, silver.DECLARATION)
    withdrawn = [year for year in built.fingerprints if context.selects(year) and year not in wanted]
    wanted |= {year: fingerprint(files=[]) for year in withdrawn}
    stale = sorted(wanted) if context.rebuild else built.stale(wanted)
    if not stale:
        return Outcome("silver is up to date", changed=False)
    with context.lake.lock(silver.DECLARATION, silver.QUARANTINE):
        return _build(context, receipts, {year: wanted[year] for year in stale})


def year_fingerprints(context: JobContext, receipts: Sequence[Row]) -> dict[int, str]:
    """Fingerprint of each year that has files: everything silver of that year depends on."""
    rules = package_hash("conf/rules/declaration.toml")
    places = context.settings.as_dict()["places"]
    # of a user's files the content counts, which is in the references' hash; regions are the study's business
    policy = {name: value for name, value in places.items() if not name.startswith("user_")}
    files: dict[int, list[str]] = {}
    for row in receipts:
        files.setdefault(row["source_year"], []).append(row["file_sha256"])
    # a year without postcodes borrows its firms' postcodes from all other years
    borrowing = _years_without_postcode(receipts) if _uses_history(context) else []
    everything = sorted(row["file_sha256"] for row in receipts)
    return {
        year: fingerprint(
            files=sorted(hashes), rules=rules, references=reference_hash(context.settings), places=policy,
            base_revision=context.settings.count.base_revision,
            **({"history": everything} if year in borrowing else {}),
        )
        for year, hashes in sorted(files.items())
    }


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
    return parse_declarations(rows, years_without_postcode=_years_without_postcode(receipts))


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
        convention=places.convention, years_without_postcode=_years_without_postcode(receipts),
    )


def _firm_postcodes(context: JobContext, receipts: Sequence[Row]) -> DataFrame | None:
    """Each firm's postcode in the years that carry one; None when no year has to borrow it."""
    without = _years_without_postcode(receipts)
    if not without or not _uses_history(context):
        return None
    lending = [row["file_sha256"] for row in receipts if row["source_year"] not in without]
    rows = context.lake.read(bronze.DECLARATION).where(F.col("file_sha256").isin(lending))
    return firm_postcodes(rows, lambda spelt: parse_records(spelt, receipts))


def _uses_history(context: JobContext) -> bool:
    return "firm_history" in context.settings.places.fallbacks


def _build(context: JobContext, receipts: Sequence[Row], fingerprints: Mapping[int, str]) -> Outcome:
    lake, years = context.lake, sorted(fingerprints)
    in_force = [row["file_sha256"] for row in receipts if row["source_year"] in fingerprints]
    rows = lake.read(bronze.DECLARATION).where(F.col("source_year").isin(years) & F.col("file_sha256").isin(in_force))
    # personal data end here: only the columns of the two tables are carried on
    judged = judge_declarations(context, rows, receipts).select(*CARRIED).persist()
    try:
        metadata = {"run": context.run_id, "years": years}
        sides = {
            silver.QUARANTINE: judged.where(F.size("reasons") > 0)
            .withColumn("primary_reason", F.col("reasons")[0])
            .withColumn("postcode", F.col("postcode_raw"))
            .withColumn("production_place", F.col("production_place_raw")),
            silver.DECLARATION: judged.where(F.size("reasons") == 0),
        }
        # side by side: one is planned and committed while the other's rows are computed
        with ThreadPoolExecutor(len(sides)) as pool:
            quarantined, kept = pool.map(
                lambda side: lake.replace_years(*side, years, metadata=metadata), sides.items()
            )
    finally:
        judged.unpersist()
    balance = reconcile_years(context, years)
    per_year = {year: sum(row["n_rows_kept"] for row in balance if row["year"] == year) for year in years}
    alarms = _record_quality(context, per_year)
    # last of all: only now do the years count as built
    record_builds(lake, context.run_id, silver.DECLARATION, kept, fingerprints, per_year)
    if alarms:
        raise QualityError("; ".join(alarms) + ". Everything is written; look at silver.quarantine and ops.quality.")
    return Outcome(
        f"{years_text(years)}: {kept.n_rows:,} declarations kept, {quarantined.n_rows:,} quarantined",
        n_rows=kept.n_rows + quarantined.n_rows,
    )


def _years_without_postcode(receipts: Sequence[Row]) -> list[int]:
    """Years in which no file in force has a postcode column."""
    layouts = {layout.name: layout for layout in load_layouts()}
    with_postcode = {
        row["source_year"] for row in receipts if "postcode" in layouts[row["layout"]].assign(row["headings"])
    }
    return sorted({row["source_year"] for row in receipts} - with_postcode)


def _record_quality(context: JobContext, kept: Mapping[int, int]) -> list[str]:
    """Append the quality metrics of years with their kept rows; return a sentence for each that leaves its bounds."""
    bounds, years = context.settings.quality, sorted(kept)
    rows = (
        context.lake.read(silver.QUARANTINE).where(F.col("year").isin(years))
        .groupBy("year", "primary_reason").agg(F.count("*").alias("n")).collect()
    )
    refused: dict[int, dict[str, int]] = {year: {} for year in years}
    for row in rows:
        refused[row["year"]][row["primary_reason"]] = row["n"]
    metrics = []
    for year in years:
        total = kept.get(year, 0) + sum(refused[year].values())
        exports = total - refused[year].get("import", 0)
        for reason in (rule.name for rule in load_rules()):
            share = refused[year].get(reason, 0) / (total if reason == "import" else exports) if exports else 0.0
            high = {"row_malformed": bounds.max_share_malformed, "import": 1.0}.get(reason, bounds.max_share_reason)
            metrics.append((year, f"share_{reason}", share, high))
        quarantined = (exports - kept.get(year, 0)) / exports if exports else 0.0
        metrics.append((year, "share_exports_quarantined", quarantined, bounds.max_share_quarantined))
    now = utc_now()
    context.lake.append_rows(
        ops.QUALITY,
        [
            {
                "run_id": context.run_id, "year": year, "metric": metric, "metric_value": value, "metric_low": 0.0,
                "metric_high": high, "is_within": value <= high, "built_at": now,
            }
            for year, metric, value, high in metrics
        ],
    )
    return [
        f"{year}: {metric} is {value:.3f}, at most {high:.3f} expected"
        for year, metric, value, high in metrics
        if value > high
    ]


if __name__ == "__main__":
    sys.exit(job_main("clean", run, __doc__))
