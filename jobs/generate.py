"""Generate: raw customs files, yearbook sheets and firm tables of a world whose truth is known.

In: reference tables and a seed. Out: ``raw/customs``, ``raw/yearbook``, ``raw/firms`` in the layouts of the trade, and
``truth/`` beside them. The same seed gives the same bytes wherever, in whatever order and in however many processes it
runs, in memory that hardly grows with the records. No Spark: a year's records are arrays until they are written
(docs/methodology/generated_world.md).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from jobs.core.errors import EXIT_DONE
from jobs.core.progress import advance, aside, expect, moving
from jobs.core.years import parse_years
from jobs.runtime.command_line.catalogue import parse
from jobs.runtime.ending import conclude
from jobs.world.equation import write_model
from jobs.world.errors import WorldOptionError
from jobs.world.firm_tables import write_firm_survey, write_firm_tfp
from jobs.world.latent import WorldModel
from jobs.world.reference import ALL_YEARS, WorldReference
from jobs.world.truth import write_truth
from jobs.world.world import World, cities_that_fit, pick_cities
from jobs.world.yearbook import write_sheets
from jobs.world.years import WrittenYear, YearTask, write_years

log = logging.getLogger("customs_lake")

#: Cities every smaller world has: Changzhou and Shanghai (the registered-place example), undivided Dongguan, cities
#: whose counties became districts, postcodes with a leading zero, and Shaoxing, whose postcodes are doubtful.
NAMED_CITIES = (
    "320400", "310000", "110000", "120000", "320100", "440100", "440300", "441900", "230100", "500000", "320600",
    "130100", "150200", "330600", "530100", "430100",
)


class Preset(NamedTuple):
    """Sizes of a world: raw rows, cities (None: all), years."""

    records: int
    n_cities: int | None
    years: tuple[int, ...]


PRESETS = {"full": Preset(600_000, None, ALL_YEARS), "small": Preset(30_000, 20, tuple(range(2003, 2009)))}
#: Written last into ``truth/``.
MANIFEST = "world.json"
FIRMS = ("tfp", "survey")
#: Records from which a second process is worth its start.
RECORDS_PER_PROCESS = 1_000_000
#: Share of the records asked for by which a world may miss them without a word.
TOLERANCE = 0.02
MAX_SKEW = 100
#: Raise when the same options give other bytes.
EDITION = 5
REFERENCE_TABLES = (
    "prefectures", "county_units", "postcode_prefixes", "place_names", "partners", "partner_aliases", "hs6_codes",
    "hs6_conversions", "hs6_families", "city_coordinates", "paper_tables",
)


@dataclass(frozen=True, slots=True)
class Generated:
    """What was written: folder, raw rows, files, cities, years and seconds."""

    out: Path
    n_rows: int
    n_files: int
    n_cities: int
    years: tuple[int, ...]
    seconds: float

    def __str__(self) -> str:
        """One line for people."""
        span = f"{self.years[0]}-{self.years[-1]}" if len(self.years) > 1 else str(self.years[0])
        return f"{self.n_rows:,} rows in {self.n_files} files, {self.n_cities} cities, {span}"


def generate(
    out: str | Path,
    *,
    seed: int = 7,
    preset: str = "full",
    records: int | None = None,
    years: Sequence[int] | None = None,
    n_cities: int | None = None,
    years_without_postcode: Sequence[int] = (),
    firms: str = "tfp",
    model: WorldModel | None = None,
    reference: Path | None = None,
    overwrite: bool = False,
    processes: int = 1,
    skew: float = 0.0,
    progress: Callable[[str], None] | None = None,
) -> Generated:
    """Write a whole world into a folder.

    Parameters
    ----------
    out : path
        Receives ``raw/`` and ``truth/``. A complete world of the same recipe is used again; another one is refused
        unless ``overwrite``.
    seed : int
        Root of all random streams.
    preset : {'full', 'small'}
        Sizes where the next three are not given.
    records : int, optional
        Raw rows aimed at, imports and dirt included; met within 2 %. Fewer than the products and destinations of all
        cities need are met with fewer cities; where ``n_cities`` is given, too, a sentence says how many rows there are.
    years : sequence of int, optional
        Years with customs files, within 2003-2011; yearbook and firm table always cover all.
    n_cities : int, optional
        Cities with customs files.
    years_without_postcode : sequence of int
        Years whose files have no postcode column.
    firms : {'tfp', 'survey'}
        ``raw/firms``: productivity as a table, or survey accounts it has to be estimated from.
    model : WorldModel, optional
        Latent settings; its seed gives way to ``seed``.
    reference : Path, optional
        Folder with other reference tables.
    overwrite : bool
        Replace an earlier world in the folder.
    processes : int
        Years written side by side; the bytes do not depend on it. Needs a caller that can be imported again (a script
        with ``if __name__ == "__main__"``), as Python's own process pools do.
    skew : float
        Times the real odds that a record is of Shenzhen, Shanghai or Dongguan; 0 shares rows by products and destinations.
    progress : callable, optional
        Receives one sentence per step.

    Raises
    ------
    WorldOptionError
        For options out of range or a folder that is taken.
    """
    start = time.perf_counter()
    report = progress or log.info
    world = _build_world(seed, preset, records, years, n_cities, model, reference, skew)
    strange = set(years_without_postcode) - set(world.years)
    if strange:
        raise WorldOptionError(f"years without postcode: expected some of {world.years}, found {sorted(strange)}.")
    if firms not in FIRMS:
        raise WorldOptionError(f"firms: expected one of {', '.join(FIRMS)}; found {firms!r}.")
    recipe = _recipe(world, years_without_postcode, firms)
    former = _former_world(Path(out), recipe)
    if former is not None and not overwrite:
        report(f"{out}: holds this world already, used again")
        return former
    raw, truth_folder = _prepare_folders(Path(out), overwrite)
    try:
        return _write_world(world, Path(out), recipe, years_without_postcode, firms, processes, report, start)
    except BaseException:
        # half a world is of no use, and would stand in the way of the next try
        for folder in (raw, truth_folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_world(
    world: World, out: Path, recipe: dict[str, object], years_without_postcode: Sequence[int], firms: str, processes: int,
    report: Callable[[str], None], start: float,
) -> Generated:
    raw, truth_folder = out / "raw", out / "truth"
    expect(world.records, "rows")
    advance(0, note=f"{world.years[0]} is made")
    report(f"{len(world.plans):,} city-years planned, {len(world.roster):,} firms")
    years_written = _write_customs(world, raw / "customs", truth_folder, years_without_postcode, processes, report)
    n_rows, n_files = (sum(getattr(year, name) for year in years_written) for name in ("n_rows", "n_files"))
    write_model(truth_folder / "model.json", world.model, world.latent.equations)
    advance(0, note="yearbook and firm files are made")
    write_sheets(world, raw / "yearbook", truth_folder)
    if firms == "survey":
        write_firm_survey(world, raw / "firms", truth_folder)
    else:
        write_firm_tfp(world, raw / "firms")
    done = Generated(out, n_rows, n_files, len(world.city_ids), world.years, time.perf_counter() - start)
    counts = {"n_rows": n_rows, "n_files": n_files, "n_cities": done.n_cities, "years": done.years}
    manifest = json.dumps({"recipe": recipe, "written": counts}, indent=1) + "\n"
    (truth_folder / MANIFEST).write_text(manifest, encoding="utf-8")  # last: a folder without it is half-written
    report(f"{done}, {done.seconds:.1f} s")
    if abs(n_rows / world.records - 1) > TOLERANCE:
        report(
            f"records={world.records:,}: {n_rows:,} were written, because each of the {len(world.plans):,} city-years needs a "
            "row for each of its products and destinations. Ask for fewer cities or years."
        )
    return done


def _build_world(
    seed: int, preset: str, records: int | None, years: Sequence[int] | None, n_cities: int | None,
    model: WorldModel | None, reference: Path | None, skew: float,
) -> World:
    if preset not in PRESETS:
        raise WorldOptionError(f"preset: expected one of {', '.join(PRESETS)}; found {preset!r}.")
    chosen = PRESETS[preset]
    years = tuple(sorted(years or chosen.years))
    if not set(years) <= set(ALL_YEARS):
        raise WorldOptionError(f"years: expected some of {ALL_YEARS[0]}-{ALL_YEARS[-1]}, found {years}.")
    tables = WorldReference(reference) if reference else _shipped_reference()
    settings = model or WorldModel()
    settings = WorldModel(**{**{name: getattr(settings, name) for name in settings.__slots__}, "seed": seed})
    if not 0 <= skew <= MAX_SKEW:
        raise WorldOptionError(f"skew: expected 0 to {MAX_SKEW}, found {skew:g}.")
    if records is not None and records < 1000:
        raise WorldOptionError(f"records: expected at least 1,000, found {records:,}.")
    most = n_cities or chosen.n_cities or len(tables.cities)
    cities = pick_cities(tables, most, NAMED_CITIES)
    if records is not None and n_cities is None:
        choices = [pick_cities(tables, n, NAMED_CITIES) for n in range(1, most + 1)]
        cities = cities_that_fit(settings, tables, years, records, choices)
    return World(settings, tables, years, cities, records or chosen.records, skew)


@lru_cache(maxsize=1)
def _shipped_reference() -> WorldReference:
    # worlds of one process share it: its postcodes and spellings take a second to work out
    return WorldReference()


def _recipe(world: World, years_without_postcode: Sequence[int], firms: str) -> dict[str, object]:
    """Everything the bytes follow from, as JSON has it: two equal recipes give the same files."""
    tables = {
        name: hashlib.sha256(world.reference.table(name).to_csv(index=False).encode()).hexdigest()
        for name in REFERENCE_TABLES
    }
    return {
        "edition": EDITION, "model": dataclasses.asdict(world.model), "records": world.records, "years": list(world.years),
        "cities": list(world.city_ids), "years_without_postcode": sorted(years_without_postcode), "tables": tables,
        # absent in worlds made before there was a choice, which are the same
        **({} if firms == FIRMS[0] else {"firms": firms}), **({"skew": world.skew} if world.skew else {}),
    }


def _former_world(out: Path, recipe: dict[str, object]) -> Generated | None:
    """Find a complete world of the same recipe in the folder."""
    path = out / "truth" / MANIFEST
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["recipe"] != recipe:
        return None
    written = content["written"]
    return Generated(out, written["n_rows"], written["n_files"], written["n_cities"], tuple(written["years"]), 0.0)


def _prepare_folders(out: Path, overwrite: bool) -> tuple[Path, Path]:
    """Create ``raw/*`` and ``truth``; refuse a folder that holds either unless asked to replace them."""
    taken = [name for name in ("raw", "truth") if (out / name).exists()]
    if taken and not overwrite:
        raise WorldOptionError(
            f"{out}: expected a folder without {' and '.join(taken)}/, found another world or part of one. "
            "Name another folder or pass --overwrite."
        )
    try:
        for name in taken:
            shutil.rmtree(out / name)
        for part in ("raw/customs", "raw/yearbook", "raw/firms", "truth"):
            (out / part).mkdir(parents=True)
    except OSError as error:
        raise WorldOptionError(f"{out}: cannot be written ({error.strerror}). Name a folder you may write to.") from error
    return out / "raw", out / "truth"


def _write_customs(
    world: World, folder: Path, truth: Path, without_postcode: Sequence[int], processes: int, report: Callable[[str], None]
) -> list[WrittenYear]:
    """Write all years and their truth; what is there for the time being only goes with the folder it is in."""
    written = []
    with tempfile.TemporaryDirectory(prefix=".parts-", dir=truth) as parts:
        tasks = [YearTask(year, folder, Path(parts), year in without_postcode) for year in world.years]
        for year in write_years(world, tasks, processes):
            advance(year.n_rows, note=f"{year.year} is written")
            report(f"{year.year}: {year.n_rows:,} rows in {year.n_files} files")
            written.append(year)
        write_truth([year.truth for year in written], truth)
    return written


def usable_processes(records: int) -> int:
    """How many processes of this machine's cores a world of this size is worth."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, records // RECORDS_PER_PROCESS))


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    return conclude(run_command, parse("generate", argv))


def run_command(options: argparse.Namespace) -> int:
    """Write the world and return the exit code."""
    chosen = {} if options.year_effect is None else {"year_effect": options.year_effect}
    model = WorldModel(resilience=options.resilience, sample=options.sample, **chosen)
    with moving("generate"):
        _generate(options, model)
    return EXIT_DONE


def _report(text: str) -> None:
    with aside():
        print(text, flush=True)


def _generate(options: argparse.Namespace, model: WorldModel) -> None:
    generate(
        options.out, seed=options.seed, preset=options.preset, records=options.records,
        years=_sorted_years(options.years), n_cities=options.cities, model=model,
        years_without_postcode=_sorted_years(options.without_postcode) or (), firms=options.firms,
        reference=options.reference, overwrite=options.overwrite, skew=options.skew, progress=_report,
        processes=options.processes or usable_processes(options.records or PRESETS[options.preset].records),
    )


def _sorted_years(text: str | None) -> tuple[int, ...] | None:
    years = parse_years(text)
    return None if years is None else tuple(sorted(years))


if __name__ == "__main__":
    sys.exit(main())
