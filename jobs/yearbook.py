"""Yearbook: sheets of the city yearbook to one row per city, year, indicator and area.

In: ``raw/yearbook`` (workbooks and text files as published, ``corrections.csv``, and the tables beside them: zones, exchange
rates, deflators). Out: ``silver.yearbook``, ``silver.yearbook_quarantine``, ``silver.development_zone``,
``silver.yearly_series``. The tables are small and rebuilt whole whenever a file, the indicators, the city names or the
code changed. What cannot be read with certainty is refused cell by cell; the run goes on and says how many.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


import pandas as pd

from conf.panel import Panel
from conf.yearbook import load_yearbook_config
from jobs.core.errors import InputRefusedError
from jobs.core.frames import to_rows
from jobs.core.ledger import builds_of, fingerprint, package_hash, record_builds, years_text
from jobs.readers.local_copy import local_raw
from jobs.readers.raw_listing import refuse_links_out
from jobs.readers.yearbook_checks import CheckedYearbook, check_values
from jobs.readers.yearbook_files import CORRECTIONS, yearbook_files
from jobs.readers.yearbook_series import (
    DEFLATORS,
    EXCHANGE_RATES,
    SHIPPED_ZONES,
    ZONES,
    read_deflators,
    read_exchange_rates,
    read_zones,
)
from jobs.readers.yearbook_sheets import SheetRows, read_folder
from jobs.reference.city_names import CityNames, load_city_names
from jobs.runtime.context import JobContext, Outcome, job_main
from schemas import yearbook as tables

FOLDER = "yearbook"
REASONS_SHOWN = 6
# the build of a year that was there once and is in no sheet any more
NO_DATA = "no data"

log = logging.getLogger("customs_lake")


def run(context: JobContext) -> Outcome:
    """Rebuild the yearbook tables when anything behind them changed."""
    raw = local_raw(context, FOLDER)
    folder = raw / FOLDER
    refuse_links_out(folder, raw, context.settings.privacy.allowed_links)
    files = yearbook_files(folder) if folder.is_dir() else []
    if not files:
        raise InputRefusedError(
            f"{folder}: expected the sheets of the city yearbook (.xlsx or .csv, the edition in the name); found none."
            " docs/methodology/variables.md describes the layout."
        )
    side = _side_files(folder, context.settings.panel)
    user_cities = context.settings.places.user_cities
    inputs = side | ({"cities": Path(user_cities)} if user_cities else {})
    wanted = _fingerprint(folder, files, inputs)
    built = builds_of(context.lake, tables.YEARBOOK)
    if set(built.fingerprints.values()) - {NO_DATA} == {wanted}:
        return Outcome("yearbook is up to date", changed=False)
    cities = load_city_names(user_cities)
    rows, checked = read_yearbook(folder, cities)
    if checked.values.empty:
        raise InputRefusedError(f"{folder}: {len(files)} files, not one number could be read. {_explain(rows, checked)}")
    side_tables = _read_side_tables(side, cities)
    if _fingerprint(folder, files, inputs) != wanted:
        raise InputRefusedError(
            f"{folder}: a file changed while the sheets were read; nothing was written. Run again when all are complete."
        )
    return _write(context, wanted, rows, checked, side_tables, n_files=len(files))


def read_yearbook(folder: Path, cities: CityNames) -> tuple[SheetRows, CheckedYearbook]:
    """Read and check every sheet below a folder."""
    config = load_yearbook_config()
    rows = read_folder(folder, config, cities)
    corrections = folder / CORRECTIONS
    return rows, check_values(rows, config, cities, corrections=corrections if corrections.exists() else None)


def _side_files(folder: Path, options: Panel) -> dict[str, Path]:
    """Tables beside the sheets that are there, or named in the settings."""
    named = {EXCHANGE_RATES: options.exchange_rates, DEFLATORS: options.deflators}
    paths = {name: Path(named.get(name) or folder / name) for name in (CORRECTIONS, ZONES, EXCHANGE_RATES, DEFLATORS)}
    return {name: path for name, path in paths.items() if path.exists() or named.get(name)}


def _fingerprint(folder: Path, files: list[Path], side: dict[str, Path]) -> str:
    # the name below the folder counts, it holds the edition; where the folder lies does not
    inputs = {path.relative_to(folder).as_posix(): path for path in files} | side
    absent = [str(path) for path in inputs.values() if not path.is_file()]
    if absent:
        raise InputRefusedError(f"{', '.join(absent)}: named in the settings, but no such file.")
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in inputs.items()}
    packaged = package_hash(
        "conf/yearbook.toml", "conf/exchange_rates.csv", "schemas/reference/prefectures.csv",
        "schemas/reference/development_zones.csv",
    )
    return fingerprint(files=hashes, config=packaged)


def _write(
    context: JobContext, wanted: str, rows: SheetRows, checked: CheckedYearbook,
    side: tuple[pd.DataFrame, pd.DataFrame], *, n_files: int
) -> Outcome:
    lake, values = context.lake, checked.values
    zones, series = side
    zones_from = "shipped list" if zones["zone_source"].astype(str).str.startswith(SHIPPED_ZONES).any() else ZONES
    frames = [
        (tables.YEARBOOK_QUARANTINE, checked.refused),
        (tables.DEVELOPMENT_ZONE, zones),
        (tables.YEARLY_SERIES, series),
        (tables.YEARBOOK, values),
    ]
    with lake.lock(*(table for table, _ in frames)):
        for table, frame in frames:
            written = lake.overwrite(table, to_rows(frame, table), metadata={"run": context.run_id})
        per_year = {int(year): int(n) for year, n in values.groupby("year").size().items()}
        gone = {year: NO_DATA for year in builds_of(lake, tables.YEARBOOK).fingerprints if year not in per_year}
        record_builds(
            lake, context.run_id, tables.YEARBOOK, written, dict.fromkeys(per_year, wanted) | gone, per_year
        )
    for step in checked.level_breaks:
        log.warning("yearbook: %s; a unit may have changed without its heading. Check that edition's sheet.", step)
    return Outcome(
        f"{years_text(per_year)}: {len(values):,} values of {values['city_id'].nunique()} cities,"
        f" {values['indicator'].nunique()} indicators from {n_files} files; {len(checked.refused):,} cells refused,"
        f" {checked.counts['corrected'] + checked.counts['added']} corrected;"
        f" {len(zones)} cities with a development zone ({zones_from})",
        detail=_explain(rows, checked),
    )


def _read_side_tables(side: dict[str, Path], cities: CityNames) -> tuple[pd.DataFrame, pd.DataFrame]:
    zones = read_zones(side.get(ZONES), cities)
    series = [read_exchange_rates(side.get(EXCHANGE_RATES))]
    if DEFLATORS in side:
        series.append(read_deflators(side[DEFLATORS]))
    return zones, pd.concat(series, ignore_index=True)


def _explain(rows: SheetRows, checked: CheckedYearbook) -> str:
    reasons = checked.refused["primary_reason"].value_counts()
    lines = [f"  {reason:<26} {count:>7,} cells" for reason, count in reasons.items()]
    if len(reasons):
        lines.insert(0, "Yearbook cells refused (silver.yearbook_quarantine):")
    examples = checked.refused.drop_duplicates("primary_reason").head(REASONS_SHOWN)
    lines += [f"  e.g. {row.source_cell}: {row.detail}" for row in examples.itertuples()]
    if rows.unknown_headings:
        common = ", ".join(heading for heading, _ in rows.unknown_headings.most_common(5))
        lines.append(f"{len(rows.unknown_headings)} headings not asked for, e.g. {common}")
    lines += [f"Suspicious: {step}" for step in checked.level_breaks]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(job_main("yearbook", run))
