"""Estimate: the result tables of conf/tables on the city panel, printed beside the paper and the known truth.

In: ``gold.city_panel`` and ``gold.panel_constants``, collected at named versions. Out: ``gold.estimate``, one row per
number with the versions it came from; ``gold.evidence``, what the report shows beside them (joint tests, judged claims,
robustness when asked for); the tables as text, Markdown, LaTeX, HTML and Excel. Both profiles are estimated:
``defensible`` and ``paper``. A column that cannot be estimated says so and the rest is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conf.tables import STUDY_PROFILES
from estimation.dynamic_panel.computing import reporting_to
from estimation.report.evidence import collect_evidence, collect_robustness
from estimation.tables import (
    PrintedTable,
    ResultTable,
    compare,
    count_agreement,
    to_records,
    to_text,
)
from estimation.tables.layout import LAYOUTS, TableLayout
from estimation.tables.printed import has_truth
from estimation.tables.spec import Language
from jobs.core.direct import rows_to_arrow
from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, EXIT_REFUSED, InputRefusedError
from jobs.core.ledger import fingerprint, utc_now
from jobs.core.progress import advance, report
from jobs.core.version import code_version
from jobs.reference.place_book import user_files_hash
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    open_context,
    run_job,
)
from jobs.study.handoff import (
    HandOff,
    check_tables,
    city_classes,
    collect_panel,
    measures_hash,
    named_measures,
    paper_numbers,
    result_tables,
    results_folder,
    spec_hash,
    truth_of,
)
from jobs.study.recorded import cells_of, known_evidence, record_evidence, recorded_estimates, recorded_tables
from jobs.study.result_tables import estimate_options, print_tables, write_files
from jobs.study.variants import collect_variants
from schemas.results import ESTIMATE, EVIDENCE

PREFLIGHT = (check_tables,)


def run(
    context: JobContext, *, tables: str = "all", profiles: Sequence[str] = STUDY_PROFILES, at: int | None = None,
    table_files: Path | None = None, robustness: bool = False, layout: TableLayout = "beside_paper",
    language: Language = "en", failures_stop: bool = False,
) -> Outcome:
    """Estimate, write files and record the numbers and what stands beside them in the report.

    Parameters
    ----------
    tables : str
        ``all`` or names or numbers, ``1,4``.
    profiles : sequence of str
        Sections of ``[options]``; the first one is shown on the terminal.
    at : int, optional
        Version of the panel to estimate on; such a rerun is printed and written to files, not to the lake.
    table_files : Path, optional
        Folder with the user's own tables.
    robustness : bool
        Also estimate the baseline under other choices, for the report.
    layout : {'beside_paper', 'plain'}
        Whether the paper's numbers and the truth stand beside ours in the files.
    language : {'en', 'zh'}
        Of labels and titles in the files.
    failures_stop : bool
        A column that could not be estimated is unfinished work, as for the command; a whole run goes on to its report.

    Raises
    ------
    InputRefusedError
        If the panel is not there, or a table or profile is not known.
    """
    unknown = sorted(set(profiles) - set(STUDY_PROFILES))
    if unknown or not profiles:
        raise InputRefusedError(f"--study-profile: expected some of {', '.join(STUDY_PROFILES)}; found {', '.join(unknown)}.")
    handed = collect_panel(context, at=at)
    folder = results_folder(context.lake, context.out)
    chosen = [table for profile in profiles for table in result_tables(tables, profile, table_files)]
    # p-values are adjusted over all tables, so evidence on some of them would be another one; columns of one's own are not in
    # the panel that robustness starts from
    judged = [table for table in chosen if table.profile == profiles[0] and not table.extra and not named_measures(table)]
    judged = judged if tables.strip().lower() in ("", "all") else []
    usual = at is None and not _other_form(layout, language)
    is_current = usual and not context.rebuild and _is_current(context, handed, chosen, folder)
    if is_current and _has_evidence(context, handed, judged, robustness=robustness):
        shown = (folder / chosen[0].profile / f"{chosen[0].name}.txt").read_text("utf-8") if folder else ""
        recorded = recorded_tables(
            chosen, recorded_estimates(context.lake), paper=paper_numbers(), notes={}, generated=False
        )
        detail = "\n".join([shown, *_agreement(recorded), *([f"All tables: {folder}"] if folder else [])])
        former = _former_failures(context, chosen) if failures_stop else ""
        return Outcome("estimates are up to date", changed=False, detail=detail, unfinished=former)
    with reporting_to(report):
        printed = print_tables(context, handed, tables=tables, profiles=profiles, table_files=table_files)
    tag = "-".join(part for part in (_other_form(layout, language), "" if at is None else f"at{at}") if part)
    n_files = write_files(printed, folder, tag=tag, sides=LAYOUTS[layout], language=language)
    stored = False if at is not None else _store(context, handed, printed)
    if at is None and judged:
        main = [one for one in printed if one.table in judged]
        advance(0, note="evidence for the report" + (", with robustness" if robustness else ""))
        with reporting_to(report):
            stored |= _store_evidence(context, handed, main, robustness=robustness)
    n_columns = sum(len(table.columns) for table in printed)
    failed = sum(bool(column.fit.failure) for table in printed for column in table.columns)
    message = (
        f"{n_columns} columns of {len(printed)} tables on panel version {handed.panel_version}"
        f"{f', {failed} could not be estimated' if failed else ''}"
    )
    shown = to_text(printed[0], LAYOUTS[layout], language)
    detail = "\n".join([shown, "", *_agreement(printed), *([f"All tables: {folder}"] if folder else [])])
    failures = [
        (f"{one.table.name} ({one.table.profile}) {column.heading}", column.fit.failure)
        for one in printed for column in one.columns if column.fit.failure and failures_stop
    ]
    return Outcome(message, stored or n_files > 0, detail, unfinished=_not_estimated(failures))


def _other_form(layout: TableLayout, language: Language) -> str:
    """Folder name of files in another form than the usual one, which must not replace those."""
    return "-".join(part for part in (layout, language) if part not in ("beside_paper", "en"))


def _not_estimated(failures: Sequence[tuple[str, str]]) -> str:
    """Say which columns have no estimates and why; empty where all have."""
    if not failures:
        return ""
    return "\n".join([f"Not estimated, {len(failures)} columns:", *(f"  {where}: {why}" for where, why in failures)])


def _former_failures(context: JobContext, chosen: Sequence[ResultTable]) -> str:
    """Say which columns of tables that are up to date have no estimates."""
    wanted = {(table.profile, table.name) for table in chosen}
    failed = {
        (f"{row['result_table']} ({row['study_profile']}) {row['result_column']}", row["failure"])
        for row in context.lake.rows(ESTIMATE)
        if row["failure"] and (row["study_profile"], row["result_table"]) in wanted
    }
    return _not_estimated(sorted(failed))


def _agreement(printed: Sequence[PrintedTable]) -> list[str]:
    """Say in a line per profile how the estimates stand to the paper and to the truth."""
    lines = []
    for profile in dict.fromkeys(table.table.profile for table in printed):
        mine = [table for table in printed if table.table.profile == profile]
        overall = count_agreement(compare(mine)).iloc[-1]
        parts = []
        if overall["cells"]:
            parts.append(
                f"same sign as the paper in {overall['same_sign']:.0%} of {overall['cells']} coefficients, the paper's value"
                f" inside the 95% interval in {overall['paper_in_interval']:.0%}"
            )
        if overall["cells_with_truth"]:
            parts.append(f"the truth inside in {overall['truth_in_interval']:.0%} of {overall['cells_with_truth']}")
        if parts:
            lines.append(f"Profile {profile}, all estimated columns: {'; '.join(parts)}.")
    return lines


def _is_current(context: JobContext, handed: HandOff, chosen: Sequence[ResultTable], folder: Path | None) -> bool:
    """Tell whether all tables were estimated on this panel with this configuration, and their files are there."""
    truth = truth_of(context, handed.panel)
    known = {(row["study_profile"], row["result_table"]): row["fingerprint"] for row in context.lake.rows(ESTIMATE)}
    return all(
        known.get((table.profile, table.name)) == _fingerprint(context, handed, table, has_truth(table, truth))
        and (folder is None or (folder / table.profile / f"{table.name}.txt").is_file())
        for table in chosen
    )


def _has_evidence(context: JobContext, handed: HandOff, judged: Sequence[ResultTable], *, robustness: bool) -> bool:
    """Tell whether what stands beside these tables is recorded; where none are judged there is nothing to record."""
    if not judged:
        return True
    truth = truth_of(context, handed.panel)
    mark = _evidence_mark(context, handed, judged, [has_truth(table, truth) for table in judged])
    known = known_evidence(context.lake, judged[0].profile)
    return all(known.get(name) == mark for name in ("claims", *(("sensitivity",) if robustness else ())))


def _store(context: JobContext, handed: HandOff, printed: Sequence[PrintedTable]) -> bool:
    """Replace the rows of the estimated tables in gold.estimate; False when they are there already."""
    lake = context.lake
    wanted = {
        (one.table.profile, one.table.name): _fingerprint(context, handed, one.table, one.has_truth) for one in printed
    }
    with lake.lock(ESTIMATE):
        former = [row.asDict() for row in lake.rows(ESTIMATE)]
        known = {(row["study_profile"], row["result_table"]): row["fingerprint"] for row in former}
        stale = {key for key, value in wanted.items() if known.get(key) != value}
        if not stale:
            return False
        now, lineage = utc_now(), json.dumps(handed.lineage, sort_keys=True)
        specs = {(table.table.profile, table.table.name): spec_hash(table.table) for table in printed}
        fresh = [
            record
            | {
                "term": record["variable"], "result_statistic": record["statistic"],
                "panel_version": handed.panel_version, "lineage": lineage,
                "spec_sha256": specs[record["study_profile"], record["result_table"]],
                "config_sha256": context.settings.sha256(), "code_version": code_version(),
                "fingerprint": wanted[record["study_profile"], record["result_table"]], "run_id": context.run_id,
                "estimated_at": now,
            }
            for record in to_records([table for table in printed if (table.table.profile, table.table.name) in stale])
        ]
        kept = [row for row in former if (row["study_profile"], row["result_table"]) not in stale]
        metadata = {"run": context.run_id, "panel_version": handed.panel_version}
        lake.overwrite(ESTIMATE, rows_to_arrow(ESTIMATE, (*kept, *fresh)), metadata=metadata)
    return True


def _store_evidence(context: JobContext, handed: HandOff, tables: Sequence[PrintedTable], *, robustness: bool) -> bool:
    """Record what stands beside the tables of the first profile; False when all asked for is there already."""
    mark = _evidence_mark(context, handed, [one.table for one in tables], [one.has_truth for one in tables])
    with context.lake.lock(EVIDENCE):
        known = known_evidence(context.lake, tables[0].table.profile)
        frames = {} if known.get("claims") == mark else collect_evidence(tables, handed.panel)
        if robustness and known.get("sensitivity") != mark:
            variants = collect_variants(context, handed.panel)
            frames |= collect_robustness(
                tables, handed.panel, city_classes(context.settings.places), outcomes=variants.outcomes,
                left_out=variants.left_out,
            )
        if not frames:
            return False
        origin = {
            "panel_version": handed.panel_version, "config_sha256": context.settings.sha256(),
            "code_version": code_version(), "fingerprint": mark, "run_id": context.run_id, "estimated_at": utc_now(),
        }
        cells = [cell | origin for cell in cells_of(frames)]
        record_evidence(context.lake, tables[0].table.profile, cells, keep=mark)
    return True


def _evidence_mark(
    context: JobContext, handed: HandOff, tables: Sequence[ResultTable], with_truth: Sequence[bool]
) -> str:
    """Hash of all that the evidence of one profile depends on."""
    marks = [_fingerprint(context, handed, table, known) for table, known in zip(tables, with_truth, strict=True)]
    return fingerprint(tables=marks, code=code_version())


def _fingerprint(context: JobContext, handed: HandOff, table: ResultTable, with_truth: bool) -> str:
    """Hash of all that a table's numbers depend on."""
    regions = user_files_hash(context.settings.places.user_regions)
    measures = measures_hash(context.lake, handed, table)
    return fingerprint(
        panel=handed.sha256, spec=spec_hash(table), config=context.settings.sha256(), truth=with_truth,
        **({"measures": measures} if measures else {}),
        **({"regions": regions} if regions else {}),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point under spark-submit, with the options of this job beside those of all jobs."""
    return command_main("estimate", run_command, argv, checks=PREFLIGHT)


def run_command(arguments: argparse.Namespace) -> int:
    """Estimate, print the first table and return the exit code."""
    options = estimate_options(arguments)
    with open_context(arguments) as context:
        given = options | {
            "layout": arguments.layout, "language": arguments.language, "robustness": arguments.robustness,
            "failures_stop": True,
        }
        outcome = run_job("estimate", lambda context: run(context, **given), context)
    print(outcome.detail)
    if outcome.unfinished:
        print(outcome.unfinished, file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_DONE if outcome.changed else EXIT_NOTHING_TO_DO


if __name__ == "__main__":
    sys.exit(main())
