"""Compare: each year of the lake beside the year before, and what moved more than years usually do.

In: ``ops.reconciliation``, ``gold.city_exports``. Out: text. A new year is looked at before it is estimated on: lines,
the share that was refused, value, cities, products and destinations per city. A change outside its bounds is marked and
ends with exit code 6; it may be right (2009 lost a sixth of its value to the crisis), but someone must have looked.

``--between A B`` compares two moments of the lake (or two lakes, or two runs) instead: which city-years, values of the panel
and coefficients changed, by how much, and which delivered file, rule, reference or setting made the change. No Java.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jobs.core.errors import EXIT_DONE, EXIT_QUALITY, InputRefusedError
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    look_into,
)
from jobs.study.change_causes import causes_between
from jobs.study.change_text import as_json, render
from jobs.study.changes import changes_between
from jobs.study.moments import moment_of
from schemas import gold, ops

# China's exports grew by 35 % at most (2003, 2004) and fell by 16 % once (2009): customs statistics, 2000-2016
VALUE_RATIO = (0.75, 1.6)
# records of yearly files are sums over months, so their number may fall to a third in 2007
LINES_RATIO = (0.25, 3.0)
CITIES_RATIO = (0.9, 1.1)
COUNT_RATIO = (0.75, 1.35)
# share of lines refused, in points: imports and counties are refused by design, so only the change tells
QUARANTINE_POINTS = 0.15


@dataclass(frozen=True, slots=True)
class YearSummary:
    """One year in numbers.

    Attributes
    ----------
    year : int
    n_lines : int
        Data lines received.
    share_refused : float
        Share of the lines in quarantine.
    value_usd : float
        Export value of all cities, nominal US dollars.
    n_cities : int
    mean_products, mean_destinations : float
        Per city.
    """

    year: int
    n_lines: int
    share_refused: float
    value_usd: float
    n_cities: int
    mean_products: float
    mean_destinations: float

    def remarks(self, before: YearSummary) -> list[str]:
        """What moved out of bounds against another year."""
        ratios = {
            "lines": (self.n_lines, before.n_lines, LINES_RATIO),
            "value": (self.value_usd, before.value_usd, VALUE_RATIO),
            "cities": (self.n_cities, before.n_cities, CITIES_RATIO),
            "products per city": (self.mean_products, before.mean_products, COUNT_RATIO),
            "destinations per city": (self.mean_destinations, before.mean_destinations, COUNT_RATIO),
        }
        found = [
            f"{name} x {now / former:.2f}" for name, (now, former, (low, high)) in ratios.items()
            if former and not low <= now / former <= high
        ]
        points = self.share_refused - before.share_refused
        if abs(points) > QUARANTINE_POINTS:
            found.append(f"refused {points:+.0%} points")
        return found


def run(context: JobContext) -> Outcome:
    """Print the years beside each other."""
    years = summaries(context)
    if not years:
        raise InputRefusedError(f"{context.lake.root}: no year is built yet; run `customs-lake run --through count` first.")
    lines = [
        f"{'year':<6}{'lines':>12}{'refused':>9}{'value, US$ m':>16}{'cities':>8}{'products':>10}{'destinations':>14}  remarks"
    ]
    marked = 0
    for now, remarks in _with_remarks(years):
        marked += bool(remarks)
        lines.append(
            f"{now.year:<6}{now.n_lines:>12,}{now.share_refused:>9.1%}{now.value_usd / 1e6:>16,.1f}{now.n_cities:>8,}"
            f"{now.mean_products:>10,.1f}{now.mean_destinations:>14,.1f}  {'; '.join(remarks)}".rstrip()
        )
    return Outcome(f"{len(years)} years, {marked} with changes to look at", changed=bool(marked), detail="\n".join(lines))


def _with_remarks(years: Sequence[YearSummary]) -> Iterator[tuple[YearSummary, list[str]]]:
    """Yield each year and what moved against the year before; a gap is not compared over."""
    for before, now in zip([None, *years], years, strict=False):
        yield now, now.remarks(before) if before is not None and before.year == now.year - 1 else []


def summaries(context: JobContext) -> list[YearSummary]:
    """Numbers of every built year, oldest first."""
    lake = context.lake
    files = lake.arrow(ops.RECONCILIATION, columns=("year", "n_lines", "n_rows_quarantined"))
    lines = files.group_by("year").aggregate([("n_lines", "sum"), ("n_rows_quarantined", "sum")])
    received = {row["year"]: (row["n_lines_sum"], row["n_rows_quarantined_sum"]) for row in lines.to_pylist()}
    exports = lake.arrow(gold.CITY_EXPORTS, columns=("year", "value_usd", "n_products", "n_destinations"))
    counts = exports.group_by("year").aggregate(
        [("value_usd", "sum"), ("value_usd", "count"), ("n_products", "mean"), ("n_destinations", "mean")]
    )
    return [
        YearSummary(
            row["year"], received[row["year"]][0], received[row["year"]][1] / received[row["year"]][0],
            float(row["value_usd_sum"]), row["value_usd_count"], row["n_products_mean"], row["n_destinations_mean"],
        )
        for row in sorted(counts.to_pylist(), key=lambda row: row["year"])
        if row["year"] in received
    ]


def compare_moments(arguments: argparse.Namespace) -> int:
    """Print what differs between two moments of a lake, or two lakes, and what made it."""
    first, second = (moment_of(text, arguments.lake) for text in arguments.between)
    changes = changes_between(first, second)
    causes = causes_between(first, second, changes)
    if arguments.json:
        print(as_json(first, second, changes, causes))
    else:
        print(render(first, second, changes, causes, shown=arguments.limit))
    return EXIT_DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("compare", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Print the comparison; exit code 6 when a year is marked, 0 for two moments."""
    if arguments.between:
        return compare_moments(arguments)
    with look_into(arguments) as context:
        outcome = run(context)
        if arguments.json:
            years = summaries(context)
            print(json.dumps([asdict(now) | {"remarks": remarks} for now, remarks in _with_remarks(years)]))
    if not arguments.json:
        print(f"{outcome.detail}\n{outcome.message}")
    return EXIT_QUALITY if outcome.changed else EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
