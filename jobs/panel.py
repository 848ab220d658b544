"""Panel: exports, yearbook, productivity, ports and zones joined to the model's variables, natural and standardised.

In: ``gold.city_exports``, ``silver.yearbook``, ``gold.city_productivity``, ``silver.development_zone``,
``silver.yearly_series``, shipped coordinates. Out: ``gold.city_panel``, ``gold.panel_constants``, ``gold.panel_missing``.

Joins and variables are Spark expressions; the finished panel (a few thousand rows) is centred and scaled on the driver,
in the order of its key, so that every mean is the same to the last digit on any cluster.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from jobs.core.errors import InputRefusedError
from jobs.core.frames import to_rows
from jobs.core.ledger import builds_of, fingerprint, package_hash, record_builds, years_text
from jobs.reference.place_book import user_files_hash
from jobs.runtime.context import JobContext, Outcome, job_main
from jobs.runtime.session import interpreted
from jobs.study.assembly import assemble_natural_panel, panel_years, refused_cells, scale_city_panel
from jobs.study.missing import MissingReport, explain_missing
from jobs.study.scaling import ScaledPanel
from schemas import firms, gold
from schemas import panel as tables
from schemas import yearbook as yearbook_tables
from schemas.table import Table

SOURCES = (
    gold.CITY_EXPORTS, yearbook_tables.YEARBOOK, yearbook_tables.YEARBOOK_QUARANTINE, firms.CITY_PRODUCTIVITY,
    yearbook_tables.DEVELOPMENT_ZONE, yearbook_tables.YEARLY_SERIES,
)  # fmt: skip
MINMAX_WARNING = (
    "resilience = 'minmax' makes the weakest city-year an outlier (z below -15 is usual) and changes every value when one"
    " city-year is added; compare it with growth_factor_index before using it"
)
SHARES = {"complete": "rows with all baseline variables", "available": "rows with the variable"}


log = logging.getLogger("customs_lake")


def run(context: JobContext) -> Outcome:
    """Rebuild the panel when a source, an option or a shipped table changed."""
    _require_sources(context)
    years = panel_years(context)
    wanted = _fingerprint(context, years)
    built = builds_of(context.lake, tables.CITY_PANEL).fingerprints
    if {built.get(year) for year in years} == {wanted}:
        return Outcome("panel is up to date", changed=False)
    if context.settings.panel.resilience == "minmax":
        log.warning("panel: %s", MINMAX_WARNING)
    # some thousand rows in some eighty expressions
    with interpreted(context.spark):
        assembled = assemble_natural_panel(context, years)
        refused = refused_cells(context)
    report = explain_missing(assembled, refused, context.settings.panel)
    scaled, is_complete, absent = scale_city_panel(assembled, report, context.settings.panel)
    panel = scaled.panel.assign(is_complete=is_complete, missing_variables=report.missing_variables)
    constants = scaled.constants.assign(constant_sample=SHARES[context.settings.panel.constants_from])
    _write(context, panel, constants, report.reasons, dict.fromkeys(years, wanted))
    return Outcome(
        f"{years_text(years)}: {len(panel):,} city-years of {panel['city_id'].nunique()} cities,"
        f" {int(is_complete.sum()):,} with all variables of the model ({panel.loc[is_complete, 'city_id'].nunique()} cities)"
        + (f"; no source at all for {', '.join(absent)}" if absent else ""),
        detail=_explain(panel, report, scaled),
    )


def _require_sources(context: JobContext) -> None:
    for table, remedy in ((gold.CITY_EXPORTS, "count"), (yearbook_tables.YEARBOOK, "yearbook")):
        if not context.lake.exists(table):
            raise InputRefusedError(
                f"{table.name}: not in {context.lake.root} yet. Run `customs-lake {remedy}` first, or `customs-lake run`"
                " for all steps."
            )
    if not context.lake.exists(firms.CITY_PRODUCTIVITY):
        log.warning("panel: no gold.city_productivity; lnPro is missing. Run `customs-lake productivity` first.")


def _fingerprint(context: JobContext, years: list[int]) -> str:
    own_cities = user_files_hash(context.settings.places.user_cities)
    return fingerprint(
        sources={table.name: context.lake.version(table) for table in SOURCES},
        panel=asdict(context.settings.panel), count=asdict(context.settings.count), years=years,
        packaged=package_hash(
            "conf/yearbook.toml", "schemas/reference/prefectures.csv", "schemas/reference/city_coordinates.csv"
        ),
        **({"cities": own_cities} if own_cities else {}),
    )  # fmt: skip


def _write(
    context: JobContext, panel: pd.DataFrame, constants: pd.DataFrame, reasons: pd.DataFrame, fingerprints: dict[int, str]
) -> None:
    lake, metadata = context.lake, {"run": context.run_id}
    frames: list[tuple[Table, pd.DataFrame]] = [
        (tables.PANEL_CONSTANTS, constants), (tables.PANEL_MISSING, reasons), (tables.CITY_PANEL, panel)
    ]  # fmt: skip
    with lake.lock(*(table for table, _ in frames)):
        for table, frame in frames:
            written = lake.overwrite(table, to_rows(frame, table), metadata=metadata)
        rows = {int(year): int(n) for year, n in panel.groupby("year").size().items()}
        record_builds(lake, context.run_id, tables.CITY_PANEL, written, fingerprints, rows)


def _explain(panel: pd.DataFrame, report: MissingReport, scaled: ScaledPanel) -> str:
    by_year = panel.groupby("year")["is_complete"].agg(["size", "sum"])
    lines = ["City-years with all variables of the model, by year:"]
    lines += [f"  {year}  {int(row['sum']):>4} of {int(row['size'])}" for year, row in by_year.iterrows()]
    losses = report.losses()
    if len(losses):
        lines.append("City-years lost, by variable (gold.panel_missing has each with its reason):")
        lines += [
            f"  {row.variable:<10} {row.missing:>5} missing, {row.only_this:>5} of them only here: {row.by_reason}"
            for row in losses.itertuples()
        ]
    if scaled.constant_variables:
        lines.append(f"Without variation, standardised to 0: {', '.join(scaled.constant_variables)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(job_main("panel", run))
