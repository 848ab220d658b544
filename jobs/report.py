"""Report: the whole study as one HTML file, with where every number came from; nothing is estimated here.

In: ``gold.estimate`` and ``gold.evidence``, the panel they were estimated on, and the lake's bookkeeping
(reconciliation, quarantine, missing values). Out: ``report.html`` and the frames behind it as CSV. The page needs no
network and no other file.
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
from pyspark.sql import Row

from conf.secrets import redact
from conf.tables import STUDY_PROFILES
from estimation.report import Provenance, StudyReport, notes_of, render_report
from estimation.report.claims_page import claims_markdown
from estimation.report.evidence import ROBUSTNESS
from estimation.report.study_report import Origin
from estimation.tables import PrintedTable
from jobs.core.errors import EXIT_DONE, InputRefusedError
from jobs.core.progress import advance, moving
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    look_into,
)
from jobs.study.handoff import (
    HandOff,
    check_tables,
    collect_panel,
    origin_of,
    paper_numbers,
    result_tables,
    results_folder,
)
from jobs.study.package_content import firms_behind, suppressed_panel
from jobs.study.recorded import recorded_estimates, recorded_evidence, recorded_tables
from jobs.study.result_tables import estimate_options
from schemas import gold, ops, silver
from schemas.panel import CITY_PANEL, PANEL_MISSING
from schemas.reference.shipped import read_shipped

log = logging.getLogger("customs_lake")


def check_outline(arguments: argparse.Namespace, _: object) -> None:
    """Read the boundaries named on the command line, before anything starts."""
    _read_outline(arguments.geojson)


PREFLIGHT = (check_tables, check_outline)


def run(
    context: JobContext, *, tables: str = "all", profiles: Sequence[str] = STUDY_PROFILES, at: int | None = None,
    table_files: Path | None = None, geojson: Path | None = None,
) -> Outcome:
    """Write the report from what is recorded.

    Parameters
    ----------
    at : int, optional
        Version of the panel the numbers were estimated on; the latest estimates when it is not given.
    geojson : Path, optional
        The user's own boundaries for the maps.

    Raises
    ------
    InputRefusedError
        If nothing was estimated, the GeoJSON cannot be read, or no folder can hold the page.
    """
    folder = results_folder(context.lake, context.out)
    if folder is None:
        raise InputRefusedError("--out is missing: a lake in an object store has no folder beside it for the report.")
    outline = _read_outline(geojson)
    start = time.monotonic()
    advance(0, note="reading the numbers")
    estimates = recorded_estimates(context.lake, panel_version=at)
    version = int(estimates["panel_version"].max())
    handed = collect_panel(context, at=version)
    evidence = recorded_evidence(context.lake, profiles[0], panel_version=version)
    origin = _origin(context, estimates)
    printed = {
        profile: recorded_tables(
            result_tables(tables, profile, table_files), estimates, paper=paper_numbers(),
            notes=notes_of(evidence) if profile == profiles[0] else {}, generated=origin in ("generated", "mixed"),
        )
        for profile in profiles
    }
    asked = {
        "--tables": tables, "--study-profile": ",".join(profiles), "--table-files": table_files, "--geojson": geojson,
        "--out": context.out,
    }
    provenance = _provenance(
        context, handed, printed, estimates, outline, command=repeat_command(context, handed, asked), origin=origin
    )
    log.info("report: numbers read after %.0f s", time.monotonic() - start)
    advance(0, note="drawing and writing the page")
    report = StudyReport(printed, evidence, _shown_panel(context, handed), paper_numbers(), provenance)
    page = write_report(report, folder)
    missing = [name for name in ROBUSTNESS if name not in evidence]
    hint = " Robustness is not recorded: `customs-lake estimate --robustness` adds it." if missing else ""
    n_tables = sum(map(len, printed.values()))
    return Outcome(f"{n_tables} tables, {len(report.claims)} claims judged: {page}.{hint}", detail=claims_text(report))


def _origin(context: JobContext, estimates: pd.DataFrame) -> Origin:
    """Origin of the lake's records; known truth tells it of a lake whose marker does not."""
    origin = origin_of(context)
    has_truth = (estimates["statistic"] == "true_coefficient").any()
    return "generated" if origin == "unknown" and has_truth else origin


def write_report(report: StudyReport, folder: Path) -> Path:
    """Write the page and the frames behind it; returns the page."""
    (folder / "report").mkdir(parents=True, exist_ok=True)
    for name, frame in report.frames.items():
        frame.to_csv(folder / "report" / f"{name}.csv", index=name == "rejects")
    (folder / "claims.md").write_text(claims_markdown(report.claims), encoding="utf-8")
    page = folder / "report.html"
    page.write_text(render_report(report), encoding="utf-8")
    return page


def claims_text(report: StudyReport) -> str:
    """Return the judged claims for the terminal."""
    lines = ["What the estimates say of the paper's claims:"]
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
    context: JobContext, handed: HandOff, tables: dict[str, list[PrintedTable]], estimates: pd.DataFrame,
    outline: dict | None, *, command: str, origin: Origin,
) -> Provenance:
    return Provenance(
        command=command,
        origin=origin,
        facts={
            "code": f"customs-lake {estimates['code_version'].max()}",
            "panel": f"{CITY_PANEL.name} version {handed.panel_version}",
            "estimated": f"{pd.Timestamp(estimates['estimated_at'].max()):%Y-%m-%d %H:%M} UTC",
            "configuration": context.settings.sha256(), "panel sha256": handed.sha256, "run": str(estimates["run_id"].max()),
            "profiles": ", ".join(tables),
        },
        versions=handed.lineage,
        settings=_settings(context),
        funnel=_funnel(context, handed, next(iter(tables.values()))),
        rejects=_rejects(context),
        missing=_missing(context),
        plausibility=_plausibility(context),
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
        counts = {"n_lines": "lines delivered", "n_rows_in": "records read", "n_rows_kept": "records kept"}
        sums = lake.arrow(ops.RECONCILIATION, columns=tuple(counts)).to_pandas()
        if len(sums):
            stages += [(stage, int(sums[name].sum())) for name, stage in counts.items()]
    elif lake.exists(silver.DECLARATION):
        stages.append(("records kept", lake.arrow(silver.DECLARATION, columns=("year",)).num_rows))
    if lake.exists(gold.CITY_EXPORTS):
        stages.append(("city-years with exports", lake.arrow(gold.CITY_EXPORTS, columns=("year",)).num_rows))
    frame = handed.panel.natural
    stages.append(("city-years of the panel", len(frame)))
    if "is_complete" in frame:
        stages.append(("with all variables", int(frame["is_complete"].fillna(False).astype(bool).sum())))
    first = next((column for table in tables for column in table.columns if column.ours), None)
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
    rows = context.lake.arrow(silver.QUARANTINE, columns=("year", "primary_reason"))
    counts = rows.group_by(["year", "primary_reason"]).aggregate([([], "count_all")]).to_pandas()
    if counts.empty:
        return pd.DataFrame()
    counts = counts.rename(columns={"count_all": "count"})
    return counts.pivot(index="year", columns="primary_reason", values="count").fillna(0).astype(int).sort_index()


def _missing(context: JobContext) -> pd.DataFrame:
    if not context.lake.exists(PANEL_MISSING):
        return pd.DataFrame()
    rows = context.lake.arrow(PANEL_MISSING, columns=("variable", "missing_reason")).to_pandas()
    counts = rows.value_counts().rename("city_years").reset_index()
    return counts.sort_values(["variable", "city_years"], ascending=[True, False], ignore_index=True)


def _shown_panel(context: JobContext, handed: HandOff) -> pd.DataFrame:
    """The panel as it may leave the lake: maps and plots show no city-year of few firms."""
    smallest = context.settings.privacy.fewest_firms
    shown, _ = suppressed_panel(handed.panel, firms_behind(context.lake, handed), smallest)
    # how many rows are complete tells nothing of a firm
    whole = {"is_complete": handed.panel.natural["is_complete"]} if "is_complete" in shown.natural else {}
    return shown.natural.assign(**whole)


def _plausibility(context: JobContext) -> pd.DataFrame:
    """The latest comparison of each published figure, totals first."""
    prefix = "plausible_"
    latest: dict[tuple[int, str], Row] = {}
    # a part is recorded only when it is off: of each year the rows of its latest comparison count
    for row in sorted(context.lake.rows(ops.QUALITY), key=lambda row: row["built_at"]):
        if row["metric"].startswith(prefix):
            latest = {key: one for key, one in latest.items() if key[0] != row["year"] or one["run_id"] == row["run_id"]}
            latest[row["year"], row["metric"]] = row
    rows = [
        {
            "year": row["year"], "figure": row["metric"].removeprefix(prefix).replace("_", " "), "ratio": row["metric_value"],
            "lowest": row["metric_low"], "highest": row["metric_high"], "agrees": row["is_within"],
        }
        for row in latest.values()
    ]
    return pd.DataFrame(rows).sort_values(["agrees", "year", "figure"], ignore_index=True) if rows else pd.DataFrame()


def _coordinates() -> pd.DataFrame:
    places, names = read_shipped("city_coordinates"), read_shipped("prefectures").drop_duplicates("city_id")
    english = names.set_index("city_id")["name_en"]
    name = places["city_id"].map(english).fillna(places["city_id"])
    # several cities are called Yichun, Suzhou or Taizhou in letters: such a name has its characters with it
    name = name.where(~name.duplicated(keep=False), name + " " + places["city_name"])
    return pd.DataFrame({
        "city_id": places["city_id"], "lat": pd.to_numeric(places["lat"]), "lon": pd.to_numeric(places["lon"]),
        "name": name, "name_zh": places["city_name"],
    })


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point under spark-submit."""
    return command_main("report", run_command, argv, checks=PREFLIGHT)


def run_command(arguments: argparse.Namespace) -> int:
    """Write the report and return the exit code."""
    options = estimate_options(arguments) | {"geojson": arguments.geojson}
    with moving("report"), look_into(arguments) as context:
        outcome = run(context, **options)
    print(f"{outcome.detail}\n\n{outcome.message}")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
