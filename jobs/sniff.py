"""Sniff: what a folder of customs files holds and what landing it would do. No Spark, no lake, nothing is written to it.

In: a folder. Out: a table on the terminal (``--json``: a document), ``--out`` writes all of it. What is learned is kept in
the user's cache folder, so that an interrupted sniff goes on where it was and ``land`` reads no file a second time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table as RichTable

from conf.layouts import load_layouts, with_aliases
from conf.settings import Settings, load_settings
from jobs.core.errors import EXIT_DONE, EXIT_REFUSED, InputRefusedError
from jobs.core.printing import cell, printable
from jobs.core.progress import moving
from jobs.core.years import parse_years
from jobs.kernels.proposals import propose_layout
from jobs.kernels.raw_folder import raw_folder
from jobs.readers.delivery import Bounds, Delivery, judge
from jobs.readers.raw_listing import list_delivery
from jobs.readers.receiving import Looked, judge_for_years, left_out_lines, look_at_folder
from jobs.readers.sniffing import FileReport, Report, YearReport, estimate_rows, report_on
from jobs.runtime.command_line.catalogue import parse
from jobs.runtime.ending import conclude
from jobs.runtime.surroundings import apply_rights

#: Rows of the terminal's table; the rest is in --json and --out.
SHOWN_FILES = 60
#: A table is not narrower than this where the output is not a terminal.
WIDTH = 150
NUMBERS = ("files", "rows", "US$", "not taken")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return conclude(run_command, parse("sniff", argv))


def run_command(arguments: argparse.Namespace) -> int:
    """Look at the folder, print the report; exit code 4 when no file of it can be loaded."""
    if not arguments.folder and not arguments.propose:
        raise InputRefusedError("sniff: say which folder, as in `customs-lake sniff RAW`.")
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    apply_rights(settings.privacy)
    if arguments.propose:
        return propose(arguments.folder, arguments.propose, settings)
    report, delivery = sniff(arguments.folder, settings, years=arguments.years)
    if arguments.out:
        report.write(arguments.out)
    if arguments.json:
        print(report.to_json())
    else:
        print_report(report, delivery)
        if arguments.out:
            print(f"All of it: {arguments.out / 'sniff.json'}, files.csv, years.csv")
    return EXIT_DONE if any(item.action == "load" for item in report.files) else EXIT_REFUSED


def propose(folder: str | None, name: str, settings: Settings) -> int:
    """Print a layout to edit for a file of no known layout; ``name`` is its path, below the folder if one is given."""
    if folder is None:
        folder, _, name = name.rpartition("/")
    raw = raw_folder(folder or ".")
    if raw.size_of(name) is None:
        found = ", ".join(path for path, _ in list_delivery(raw)[0][:5])
        raise InputRefusedError(f"{name}: no such file in {raw.address}. There are {found} ...")
    print(propose_layout(raw.file(name), with_aliases(load_layouts(), settings.aliases.headings)))
    return EXIT_DONE


def sniff(folder: str, settings: Settings, *, years: str | None = None) -> tuple[Report, Delivery]:
    """Look at a folder and judge it as a lake without files would.

    Parameters
    ----------
    folder : str
        A folder, or an address that pyarrow knows.
    settings : Settings
    years : str, optional
        Years such as ``2003-2011``; every year when not given.
    """
    raw = raw_folder(folder)
    listed, _ = list_delivery(raw)
    n_bytes, start = sum(n_bytes for _, n_bytes in listed), time.monotonic()
    _show(f"{len(listed):,} files, {n_bytes / 1e6:,.1f} MB, about {estimate_rows(raw, listed):,} rows")
    known: list[str] = []
    with moving("sniff"):
        looked = look_at_folder(folder, settings, progress=lambda name, _, is_known: known.extend([name] * is_known))
    from_before = f", {len(known):,} of them known from before" if known else ""
    _show(f"{len(listed):,} files looked at in {time.monotonic() - start:.1f} s{from_before}")
    layouts = with_aliases(load_layouts(), settings.aliases.headings)
    delivery = _judged(looked, settings, years)
    return report_on(raw.address, looked, delivery, layouts), delivery


def _show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _judged(looked: Looked, settings: Settings, years: str | None) -> Delivery:
    if years is None:
        return judge(
            looked.files, looked.left_out, (), Bounds(settings.delivery.max_share_overlap, settings.delivery.max_share_lost)
        )
    return judge_for_years(looked, (), settings, years=parse_years(years))


def print_report(report: Report, delivery: Delivery) -> None:
    """Print the report as tables, with equal faults together."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, markup=False, emoji=False, highlight=False)
    readable = [item for item in report.files if item.layout]
    console.print(_file_table(readable[:SHOWN_FILES]))
    if len(readable) > SHOWN_FILES:
        console.print(f"... and {len(readable) - SHOWN_FILES:,} more files; --out FOLDER or --json gives all\n")
    console.print(_year_table(report.years))
    lines = left_out_lines(delivery.left_out)
    if lines:
        console.print(f"\n{len(delivery.left_out)} not taken:")
        for line in lines:
            console.print(printable(line), soft_wrap=True)
    for note in delivery.notes:
        console.print(printable(f"  - noted: {note}"), soft_wrap=True)
    n_taken = sum(item.action == "load" for item in report.files)
    console.print(f"\n{n_taken:,} of {len(report.files):,} would be loaded.")


def _file_table(files: Sequence[FileReport]) -> RichTable:
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    names = "file", "kind", "encoding", "sep", "layout", "rows", "US$", "years and months", "not taken", "noticed", "would be"
    _add_columns(table, *names)
    for item in files:
        noticed = "; ".join(f"{what}: {n:,}" for what, n in item.noticed.items())
        table.add_row(
            *map(
                cell,
                (
                    item.file, item.kind, item.encoding, _separator(item.delimiter), item.layout, f"{item.n_rows:,}",
                    f"{float(item.value_usd):,.0f}", _months(item.years), str(len(item.columns_not_taken) or ""), noticed,
                    "loaded" if item.action == "load" else item.action.replace("_", " "),
                ),
            )
        )
    return table


def _year_table(years: Sequence[YearReport]) -> RichTable:
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    _add_columns(table, "year", "files", "rows", "US$", "months missing", "waits for")
    for item in years:
        missing = "not known by month" if item.months_missing is None else " ".join(map(str, item.months_missing)) or "none"
        table.add_row(
            str(item.year), f"{item.n_files:,}", f"{item.n_rows:,}", f"{float(item.value_usd):,.0f}", missing,
            cell(", ".join(item.waits_for)),
        )
    return table


def _add_columns(table: RichTable, *names: str) -> None:
    for name in names:
        table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")


def _separator(delimiter: str) -> str:
    return {"\t": "tab", "": ""}.get(delimiter, delimiter)


def _months(years: dict[int, list[int]]) -> str:
    """``2003: 1-3, 5`` for each year."""
    texts = []
    for year, months in years.items():
        runs: list[list[int]] = []
        for month in months:
            if runs and month == runs[-1][1] + 1:
                runs[-1][1] = month
            else:
                runs.append([month, month])
        spans = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
        texts.append(f"{year}: {spans}" if spans else str(year))
    return "; ".join(texts) if len(texts) <= 3 else f"{min(years)}-{max(years)} ({len(years)} years)"


if __name__ == "__main__":
    sys.exit(main())
