"""Report: the whole study as one HTML file, with where every number came from.

In: the panel at a named version, the lake's bookkeeping (receipts, reconciliation, quarantine, missing values). Out:
``report.html`` and the frames behind it as CSV. The page needs no network and no other file.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
from pyspark.sql import functions as F

from conf.secrets import redact
from conf.tables import STUDY_PROFILES
from estimation.report import Provenance, StudyReport, build_report, render_report
from estimation.report.claims_page import claims_markdown
from estimation.tables import PrintedTable
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.ledger import code_version
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    open_context,
    run_job,
)
from jobs.study.handoff import HandOff, city_classes, collect_panel, paper_numbers, results_folder
from jobs.study.result_tables import add_estimate_arguments, estimate_options, print_tables
from jobs.study.variants import collect_variants
from schemas import gold, ops, silver
from schemas.panel import CITY_PANEL, PANEL_MISSING
from schemas.reference.shipped import read_shipped

log = logging.getLogger("customs_lake")


def run(
    context: JobContext, *, tables: str = "all", profiles: Sequence[str] = STUDY_PROFILES, at: int | None = None,
    table_files: Path | None = None, geojson: Path | None = None,
) -> Outcome:
    """Compute and write the report.

    Parameters
    ----------
    at : int, optional
        Version of the panel.
    geojson : Path, optional
        The user's own boundaries for the maps.

    Raises
    ------
    InputRefusedError
        If there is no panel, the GeoJSON cannot be read, or no folder can hold the page.
    """
    folder = results_folder(context.lake, context.out)
    if folder is None:
        raise InputRefusedError("--out is missing: a lake in an object store has no folder beside it for the report.")
    outline = _read_outline(geojson)
    start = time.monotonic()
    handed = collect_panel(context, at=at)
    printed = print_tables(context, handed, tables=tables, profiles=profiles, table_files=table_files)
    by_profile = {profile: [one for one in printed if one.table.profile == profile] for profile in profiles}
    asked = {
        "--tables": tables, "--study-profile": ",".join(profiles), "--table-files": table_files, "--geojson": geojson,
        "--out": context.out,
    }
    provenance = _provenance(context, handed, by_profile, outline, command=repeat_command(context, handed, asked))
    log.info("report: data collected after %.0f s", time.monotonic() - start)
    report = build_report(by_profile, handed.panel, city_classes(context.settings.places), paper_numbers(), provenance)
    page = write_report(report, folder)
    return Outcome(
        f"{len(printed)} tables, {len(report.claims)} claims judged: {page}", detail=claims_text(report)
    )


def write_report(report: StudyReport, folder: Path) -> Path:
    """Write the page and the frames behind it; returns the page."""
    (folder / "report").mkdir(parents=True, exist_ok=True)
    for name, frame in report.frames.items():
        frame.to_csv(folder / "report" / f"{name}.csv", index=False)
    (folder / "claims.md").write_text(claims_markdown(report.claims), encoding="utf-8")
    page = folder / "report.html"
    page.write_text(render_report(report), encoding="utf-8")
    return page


def claims_text(report: StudyReport) -> str:
    """Return the judged claims for the terminal."""
    lines = ["Which of the paper's claims survive:"]
    for claim in report.claims:
        lines += [f"  {claim.verdict.upper():<13} {claim.name} (tables {claim.where})", f"{'':<16}{claim.evidence}"]
    return "\n".join(lines)


def _read_outline(path: Path | None) -> dict | None:
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputRefusedError(f"--geojson {path}: expected a GeoJSON file in UTF-8; {error}.") from error
    if content.get("type") not in ("FeatureCollection", "Feature", "Polygon", "MultiPolygon"):
        raise InputRefusedError(f"--geojson {path}: expected type FeatureCollection, found {content.get('type')!r}.")
    return content


def _provenance(
    context: JobContext, handed: HandOff, tables: dict[str, list[PrintedTable]], outline: dict | None, *, command: str
) -> Provenance:
    variants = collect_variants(context, handed.panel)
    rejects = _rejects(context)
    return Provenance(
        command=command,
        facts={
            "code": f"customs-lake {code_version()}", "panel": f"{CITY_PANEL.name} version {handed.panel_version}",
            "configuration": context.settings.sha256(), "panel sha256": handed.sha256, "run": context.run_id,
            "profiles": ", ".join(tables),
        },
        versions=handed.lineage,
        settings=_settings(context),
        funnel=_funnel(context, handed, next(iter(tables.values()))),
        rejects=rejects,
        coverage=_coverage(handed),
        missing=_missing(context),
        outcome_variants=variants.outcomes,
        left_out=variants.left_out,
        outline=outline,
        coordinates=_coordinates(),
    )


def repeat_command(context: JobContext, handed: HandOff, asked: Mapping[str, object]) -> str:
    """Return the command that makes this report again: panel version, options that are not the default, settings by origin."""
    parts = ["customs-lake", "report", "--lake", context.lake.root, "--at", str(handed.panel_version)]
    parts += ["--raw", str(context.raw)] if context.raw else []
    defaults = {"--tables": "all", "--study-profile": ",".join(STUDY_PROFILES)}
    for option, value in asked.items():
        if value is not None and value != defaults.get(option):
            parts += [option, str(value)]
    origins = context.settings.origins
    for origin in dict.fromkeys(origins.values()):
        if origin.startswith("profile "):
            parts += ["--profile", origin.removeprefix("profile ")]
        elif not origin.startswith(("conf/default.toml", "environment ", "--set")):
            parts += ["--config", origin]
    for key, origin in sorted(origins.items()):
        if origin == "--set" or origin.startswith("environment"):
            section, name = key.split(".")
            value = context.settings.shown()[section][name]
            parts += ["--set", f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}"]
    return " ".join(shlex.quote(redact(part)) for part in parts)


def _settings(context: JobContext) -> list[tuple[str, str, str]]:
    return [
        (
            f"{section}.{key}",
            ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value),
            context.settings.origins.get(f"{section}.{key}", "default"),
        )
        for section, values in context.settings.shown().items() for key, value in values.items()
    ]


def _funnel(context: JobContext, handed: HandOff, tables: list[PrintedTable]) -> list[tuple[str, int]]:
    lake = context.lake
    stages: list[tuple[str, int]] = []
    if lake.exists(ops.RECONCILIATION):
        sums = lake.read(ops.RECONCILIATION).agg(
            F.sum("n_lines"), F.sum("n_rows_in"), F.sum("n_rows_kept"), F.count("*")
        ).collect()[0]
        if sums[3]:
            stages += [("lines delivered", sums[0]), ("records read", sums[1]), ("records kept", sums[2])]
    elif lake.exists(silver.DECLARATION):
        stages.append(("records kept", lake.read(silver.DECLARATION).count()))
    if lake.exists(gold.CITY_EXPORTS):
        stages.append(("city-years with exports", lake.read(gold.CITY_EXPORTS).count()))
    frame = handed.panel.natural
    stages.append(("city-years of the panel", len(frame)))
    if "is_complete" in frame:
        stages.append(("with all variables", int(frame["is_complete"].fillna(False).astype(bool).sum())))
    first = next((column for table in tables for column in table.columns if column.fit.results is not None), None)
    if first is not None:
        stages += [
            ("level equation", int(first.statistics["n_level"])),
            ("transformed equation", int(first.statistics["n_transformed"])),
        ]
    return [(name, int(count or 0)) for name, count in stages]


def _rejects(context: JobContext) -> pd.DataFrame:
    """Refused records by year and first reason."""
    if not context.lake.exists(silver.QUARANTINE):
        return pd.DataFrame()
    counts = context.lake.read(silver.QUARANTINE).groupBy("year", "primary_reason").count().toPandas()
    if counts.empty:
        return pd.DataFrame()
    return counts.pivot(index="year", columns="primary_reason", values="count").fillna(0).astype(int).sort_index()


def _coverage(handed: HandOff) -> pd.DataFrame:
    frame = handed.panel.natural
    complete = frame["is_complete"].fillna(False).astype(bool)
    by_year = complete.groupby(frame["year"]).agg(["size", "sum"]).reset_index()
    by_year.columns = ["year", "city_years", "complete"]
    by_year["share"] = by_year["complete"] / by_year["city_years"]
    return by_year


def _missing(context: JobContext) -> pd.DataFrame:
    if not context.lake.exists(PANEL_MISSING):
        return pd.DataFrame()
    rows = context.lake.read(PANEL_MISSING).groupBy("variable", "missing_reason").count()
    return rows.withColumnRenamed("count", "city_years").orderBy("variable", F.desc("city_years")).toPandas()


def _coordinates() -> pd.DataFrame:
    places, names = read_shipped("city_coordinates"), read_shipped("prefectures").drop_duplicates("city_id")
    english = names.set_index("city_id")["name_en"]
    return pd.DataFrame({
        "city_id": places["city_id"], "lat": pd.to_numeric(places["lat"]), "lon": pd.to_numeric(places["lon"]),
        "name": places["city_id"].map(english).fillna(places["city_id"]),
    })


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point under spark-submit."""
    return command_main("report", __doc__, run_command, argv, add=add_report_arguments)


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add_estimate_arguments(parser)
    parser.add_argument("--geojson", type=Path, help="boundaries of your own for the maps")


def run_command(arguments: argparse.Namespace) -> int:
    """Write the report and return the exit code."""
    options = estimate_options(arguments) | {"geojson": arguments.geojson}
    with open_context(arguments, create=False) as context:
        outcome = run_job("report", lambda given: run(given, **options), context)
    print(outcome.detail)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
