"""Estimate: the result tables of conf/tables on the city panel, printed beside the paper and the known truth.

In: ``gold.city_panel`` and ``gold.panel_constants``, collected at named versions. Out: ``gold.estimate``, one row per
number with the versions it came from, and the tables as text, Markdown, LaTeX, HTML and Excel. Both profiles are
estimated: ``defensible`` and ``paper``. A column that cannot be estimated says so and the rest is printed.
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
from estimation.tables import (
    PrintedTable,
    ResultTable,
    compare,
    count_agreement,
    to_records,
    to_text,
)
from estimation.tables.printed import has_truth
from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, InputRefusedError
from jobs.core.ledger import code_version, fingerprint, utc_now
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
    collect_panel,
    result_tables,
    results_folder,
    spec_hash,
    truth_of,
)
from jobs.study.result_tables import add_estimate_arguments, estimate_options, print_tables, write_files
from schemas.results import ESTIMATE


def run(
    context: JobContext, *, tables: str = "all", profiles: Sequence[str] = STUDY_PROFILES, at: int | None = None,
    table_files: Path | None = None,
) -> Outcome:
    """Estimate, write files and record the numbers.

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
    if at is None and not context.rebuild and _is_current(context, handed, chosen, folder):
        shown = (folder / chosen[0].profile / f"{chosen[0].name}.txt").read_text("utf-8") if folder else ""
        return Outcome("estimates are up to date", changed=False, detail="\n".join([shown, f"All tables: {folder}"]))
    printed = print_tables(context, handed, tables=tables, profiles=profiles, table_files=table_files)
    n_files = write_files(printed, folder, tag="" if at is None else f"at{at}")
    stored = False if at is not None else _store(context, handed, printed)
    n_columns = sum(len(table.columns) for table in printed)
    failed = sum(bool(column.fit.failure) for table in printed for column in table.columns)
    message = (
        f"{n_columns} columns of {len(printed)} tables on panel version {handed.panel_version}"
        f"{f', {failed} could not be estimated' if failed else ''}"
    )
    detail = "\n".join([to_text(printed[0]), "", *_agreement(printed), *([f"All tables: {folder}"] if folder else [])])
    return Outcome(message, stored or n_files > 0, detail)


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
        rows = [tuple(row[name] for name in ESTIMATE.columns) for row in (*kept, *fresh)]
        frame = context.spark.createDataFrame(rows, ESTIMATE.ddl()).coalesce(1)
        metadata = {"run": context.run_id, "panel_version": handed.panel_version}
        lake.overwrite(ESTIMATE, frame, metadata=metadata)
    return True


def _fingerprint(context: JobContext, handed: HandOff, table: ResultTable, with_truth: bool) -> str:
    """Hash of all that a table's numbers depend on."""
    regions = user_files_hash(context.settings.places.user_regions)
    return fingerprint(
        panel=handed.sha256, spec=spec_hash(table), config=context.settings.sha256(), truth=with_truth,
        **({"regions": regions} if regions else {}),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point under spark-submit, with the options of this job beside those of all jobs."""
    return command_main("estimate", __doc__, run_command, argv, add=add_estimate_arguments)


def run_command(arguments: argparse.Namespace) -> int:
    """Estimate, print the first table and return the exit code."""
    with open_context(arguments) as context:
        outcome = run_job("estimate", lambda given: run(given, **estimate_options(arguments)), context)
    print(outcome.detail)
    return EXIT_DONE if outcome.changed else EXIT_NOTHING_TO_DO


if __name__ == "__main__":
    sys.exit(main())
