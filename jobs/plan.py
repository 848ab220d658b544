"""Plan: what the next run would load, rebuild and skip, and why. Reads everything, writes nothing.

In: the raw folder (optional), the lake (which may not be there yet). The receipts that ``land`` would write are worked
out, then the fingerprints that ``clean`` and ``count`` would want, with the very functions these jobs use; a fingerprint
that differs is explained by the parts that differ (files, rules, references, settings, code).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pyspark.sql import Row

from conf.secrets import redact
from conf.settings import load_settings
from jobs.cleaning.fingerprints import (
    bronze_fingerprints,
    cube_fingerprints,
    gold_fingerprints,
    silver_fingerprints,
    with_emptied_years,
)
from jobs.core.damage import refuse_damage
from jobs.core.errors import EXIT_DONE, EXIT_NOTHING_TO_DO, EXIT_REFUSED
from jobs.core.ledger import Builds, blocked_years, builds_of, latest_receipts, left_out_files
from jobs.core.privacy import refuse_other_policy
from jobs.readers.delivery import Delivery
from jobs.readers.receipts import without_erased
from jobs.readers.receiving import left_out_lines, look_at_folder, look_first, receive, unfinished_text
from jobs.runtime.context import (
    JobContext,
    Outcome,
    command_main,
    look_into,
    parse_years,
)
from jobs.runtime.executors import workers_elsewhere
from jobs.runtime.session import is_local
from schemas import bronze, gold, silver
from schemas.indicators import CITY_FIRM

Action = Literal["load", "build", "rebuild", "clear", "skip", "wait"]
PART_WORDS = {
    "files": "its files changed", "rules": "the cleaning rules changed", "references": "the reference tables changed",
    "places": "the settings of [places] changed", "base_revision": "count.base_revision changed",
    "build_revision": "the product's code changed its results", "silver": "its declarations are rebuilt",
    "year-1": "the year before changed", "year+0": "its counts changed", "year+1": "the year after changed",
}


@dataclass(frozen=True, slots=True)
class PlannedYear:
    """What would happen to one year.

    Attributes
    ----------
    year : int
    bronze, silver, gold : str
        load, build (first time), rebuild, clear (no file left), skip, or wait (for a file that cannot be taken).
    n_files, n_lines : int
        Files in force after the delivery, and their data lines.
    why : str
        Reason of the rebuild; empty for skip.
    """

    year: int
    bronze: Action
    silver: Action
    gold: Action
    n_files: int
    n_lines: int
    why: str

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing would be done."""
        return {self.bronze, self.silver, self.gold} <= {"skip", "wait"}


def run(context: JobContext, *, as_json: bool = False) -> Outcome:
    """Show what the next run would do, in words or as JSON."""
    refuse_other_policy(context.lake, context.settings)
    receipts = latest_receipts(context.lake)
    delivery = _delivery(context, receipts)
    future = receipts_after(receipts, delivery)
    blocked = delivery.blocked_years if delivery else tuple(blocked_years(context.lake))
    years = plan_years(context, future, blocked)
    busy = [item for item in years if not item.is_idle]
    message = f"{len(busy)} of {len(years)} years to do" if busy else f"nothing to do, {len(years)} years are up to date"
    unfinished = unfinished_text(delivery) if delivery else ""
    # a lake of an older product
    lacks = context.lake.exists(gold.CITY_EXPORTS) and not context.lake.exists(CITY_FIRM)
    never = ["indicators were never computed in this lake: the next run computes those of all its years"] * lacks
    detail = "\n".join([*delivery_lines(delivery, receipts), "", *_table(years), *never, message])
    if as_json:
        detail = json.dumps(plan_as_json(delivery, years), ensure_ascii=False, indent=1)
    return Outcome(message, changed=bool(busy), detail=detail, unfinished=unfinished)


def plan_as_json(delivery: Delivery | None, years: Sequence[PlannedYear]) -> dict[str, Any]:
    """A plan for a program: names of files by what they are to the lake, and what is done with each year."""
    groups = {} if delivery is None else _groups(delivery)
    left_out = () if delivery is None else delivery.left_out
    return {
        "files": {name: sorted(item.source_file for item in items) for name, items in groups.items()},
        "left_out": [
            {
                "source_file": item.source_file, "kind": item.kind, "reason": redact(item.reason),
                "blocked_years": list(item.blocked_years), "is_accepted": item.is_accepted,
            }
            for item in left_out
        ],
        "years": [dataclasses.asdict(item) for item in years],
    }


def receipts_after(receipts: Sequence[Row], delivery: Delivery | None) -> list[Row]:
    """Receipts that would be in force after a delivery has landed."""
    gone = {item.source_file for item in delivery.arrived} | set(delivery.replaced) if delivery else set()
    in_force = [row for row in receipts if row["receipt_status"] == "received" and row["source_file"] not in gone]
    for item in delivery.arrived if delivery else ():
        in_force += [
            Row(
                source_file=item.source_file, file_sha256=item.sha256, source_year=year.year, n_lines=year.n_lines,
                layout=item.layout, headings=list(item.headings), has_postcodes=item.has_postcodes, parts=item.parts,
            )
            for year in item.years
        ]
    return sorted(in_force, key=lambda row: (row["source_file"], row["source_year"]))


def plan_years(context: JobContext, future: Sequence[Row], blocked: Sequence[int] = ()) -> list[PlannedYear]:
    """Compare the fingerprints that would be wanted with those that were built, layer by layer."""
    lake = context.lake
    chosen = [row for row in future if context.selects(row["source_year"])]
    loads, cleans, counts = (
        builds_of(lake, table) for table in (bronze.DECLARATION, silver.DECLARATION, gold.CITY_EXPORTS)
    )
    wanted_loads = bronze_fingerprints(chosen)
    with_files = silver_fingerprints(context, chosen)
    wanted_cleans = with_emptied_years(context, with_files, cleans)
    empty = sorted(set(wanted_cleans) - set(with_files))
    wanted_counts = gold_fingerprints(context, wanted_cleans)
    held = {year: wanted_counts[year] for year in with_files}
    cubes, wanted_cubes = builds_of(lake, CITY_FIRM), cube_fingerprints(held, wanted_counts)
    planned = []
    for year in sorted(wanted_cleans):
        rows = [row for row in chosen if row["source_year"] == year]
        count: Action = "wait" if year in blocked else _action(counts, year, wanted_counts, empty)
        reason = reason_to_build(cleans, wanted_cleans[year], year) or reason_to_build(counts, wanted_counts[year], year)
        if count == "skip" and lake.exists(CITY_FIRM) and not set(blocked) & {year - 1, year + 1}:
            # the indicators of a year also compare it with the years beside it
            count = _action(cubes, year, wanted_cubes, empty)
            reason = reason or reason_to_build(cubes, wanted_cubes[year], year)
        to_load = loads.fingerprints.get(year) != wanted_loads.get(year) and year not in empty
        planned.append(
            PlannedYear(
                year, "load" if to_load else "skip", _action(cleans, year, wanted_cleans, empty),
                count, len(rows), sum(row["n_lines"] for row in rows), reason,
            )
        )
    return planned


def delivery_lines(delivery: Delivery | None, receipts: Sequence[Row]) -> list[str]:
    """What the raw folder holds, in words; of files that are taken at most five names each."""
    if delivery is None:
        return ["no --raw: only what is in the lake is looked at"]
    present = {item.source_file for items in _groups(delivery).values() for item in items}
    present |= {item.source_file for item in delivery.left_out}
    absent = [
        row["source_file"] for row in receipts
        if row["receipt_status"] == "received" and row["source_file"] not in present
    ]
    words = {
        "new": "new", "corrected": "corrected (same name, new content)",
        "reread": "read anew, for their layout changed", "unchanged": "unchanged",
        "renamed": "known under another name, ignored", "withdrawn": "withdrawn, left out",
    }
    lines = [
        f"{len(items):>5} {words[name]}" + ("" if name == "unchanged" else f": {_names(item.source_file for item in items)}")
        for name, items in _groups(delivery).items()
        if items
    ]
    if absent:
        lines.append(f"{len(absent):>5} in the lake but not in this folder, they stay in force: {_names(absent)}")
    if delivery.replaced:
        lines.append(f"{len(delivery.replaced):>5} in force, withdrawn for an accepted file: {_names(delivery.replaced)}")
    if delivery.left_out:
        lines += [f"{len(delivery.left_out):>5} not taken:", *left_out_lines(delivery.left_out)]
    return [*lines, *(f"  - noted: {note}" for note in delivery.notes)]


def _delivery(context: JobContext, receipts: Sequence[Row]) -> Delivery | None:
    if context.raw is None:
        return None
    found = look_at_folder(context.raw, context.settings, receipts=receipts, run=workers_elsewhere(context.spark))
    looked = without_erased(context.lake, context.settings, found)
    return receive(
        looked, receipts, context.settings, years=context.years, accepted=context.accepted,
        former=left_out_files(context.lake), all_or_nothing=context.all_or_nothing, where=str(context.raw),
    )


def _groups(delivery: Delivery) -> dict[str, tuple]:
    return {name: getattr(delivery, name) for name in ("new", "corrected", "reread", "unchanged", "renamed", "withdrawn")}


def _action(builds: Builds, year: int, wanted: Mapping[int, str], empty: Sequence[int]) -> Action:
    if builds.fingerprints.get(year) == wanted[year]:
        return "skip"
    if year in empty:
        return "clear"
    return "rebuild" if year in builds.fingerprints else "build"


def reason_to_build(builds: Builds, wanted: str, year: int) -> str:
    """Why a year is to be built: the parts of its fingerprint that differ, in words; empty when nothing differs."""
    if builds.fingerprints.get(year) == wanted:
        return ""
    if year not in builds.fingerprints:
        return "never built"
    former, parts = builds.inputs.get(year, {}), getattr(wanted, "parts", {})
    changed = sorted(name for name in parts if former.get(name) != parts[name])
    if not former:
        return "built by an older product that kept no parts"
    if "forgotten" in former:
        return "to be built again on demand"
    return "; ".join(PART_WORDS.get(name, f"{name} changed") for name in changed)


def _names(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def _table(years: Sequence[PlannedYear]) -> list[str]:
    lines = [f"{'year':<6}{'files':>6}{'lines':>12}  {'bronze':<8}{'silver':<9}{'gold':<9}why"]
    lines += [
        f"{item.year:<6}{item.n_files:>6}{item.n_lines:>12,}  {item.bronze:<8}{item.silver:<9}{item.gold:<9}{item.why}"
        for item in years
    ]
    return [line.rstrip() for line in lines]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return command_main("plan", run_command, argv)


def run_command(arguments: argparse.Namespace) -> int:
    """Print the plan; exit code 3 when there is nothing to do (0 without --exit-code), 4 when a file keeps a year waiting."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    years = parse_years(arguments.years)
    refuse_damage(arguments.lake, raw=arguments.raw)
    options = {"accepted": tuple(arguments.accept), "all_or_nothing": arguments.all_or_nothing}
    if arguments.raw is not None and is_local(settings):
        look_first(arguments.raw, settings, years=years, **options)
    with look_into(arguments, may_be_new=True) as context:
        outcome = run(context, as_json=arguments.json)
    print(outcome.detail)
    if outcome.unfinished:
        return EXIT_REFUSED
    return EXIT_DONE if outcome.changed else EXIT_NOTHING_TO_DO


if __name__ == "__main__":
    sys.exit(main())
