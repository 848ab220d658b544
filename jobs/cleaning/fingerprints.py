"""What a year of each layer depends on, as fingerprints: a year is built again when its fingerprint differs.

The jobs that build and the plan that foretells them use these functions, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import Row

from jobs.cleaning.judging import uses_history, years_that_borrow
from jobs.core.ledger import Builds, Fingerprint, fingerprint, package_hash
from jobs.core.privacy import policy_of
from jobs.kernels.parts import reading_of_parts
from jobs.reference.frames import reference_hash
from jobs.runtime.context import JobContext


def bronze_fingerprints(receipts: Iterable[Row]) -> dict[int, Fingerprint]:
    """Fingerprint of each year's files."""
    files: dict[int, list[str]] = {}
    for row in receipts:
        files.setdefault(row["source_year"], []).append(_records_of(row))
    return {year: fingerprint(files=sorted(hashes)) for year, hashes in sorted(files.items())}


def silver_fingerprints(context: JobContext, receipts: Sequence[Row]) -> dict[int, Fingerprint]:
    """Fingerprint of each year that has files: everything silver of that year depends on."""
    rules = package_hash("conf/rules/declaration.toml")
    places = context.settings.as_dict()["places"]
    # of a user's files the content counts, which is in the references' hash; regions are the study's business
    policy = {name: value for name, value in places.items() if not name.startswith("user_")}
    files: dict[int, list[str]] = {}
    for row in receipts:
        files.setdefault(row["source_year"], []).append(_records_of(row))
    # a file without postcodes borrows its firms' postcodes from all others
    borrowing = years_that_borrow(receipts) if uses_history(context) else []
    everything = sorted(map(_records_of, receipts))
    # a lake that was built before rules could be off keeps its years
    off = {"rules_off": sorted(context.settings.quality.rules_off)} if context.settings.quality.rules_off else {}
    # under pseudonyms firms have other codes and no names
    policy_of_firms = {name: value for name, value in policy_of(context.settings).items() if name != "personal_columns"}
    pseudonyms = {"firms": policy_of_firms} if context.settings.privacy.firm_codes != "as_is" else {}
    return {
        year: fingerprint(
            files=sorted(hashes), rules=rules, **off, references=reference_hash(context.settings), places=policy,
            base_revision=context.settings.count.base_revision,
            **pseudonyms, **({"history": everything} if year in borrowing else {}),
        )
        for year, hashes in sorted(files.items())
    }


def _records_of(receipt: Row) -> str:
    """What the records of a file are: those of its bytes, read as its receipt says."""
    reading = reading_of_parts(receipt["parts"])
    return f"{receipt['file_sha256']}:{reading}" if reading else receipt["file_sha256"]


def with_emptied_years(context: JobContext, wanted: Mapping[int, Fingerprint], built: Builds) -> dict[int, Fingerprint]:
    """Add the years asked for that were built and have no file in force any more: they are to be built empty."""
    emptied = [year for year in built.fingerprints if context.selects(year) and year not in wanted]
    return dict(wanted) | {year: fingerprint(files=[]) for year in emptied}


def gold_fingerprints(context: JobContext, silver: Mapping[int, str]) -> dict[int, Fingerprint]:
    """Fingerprint of each year's counts: its declarations and the references."""
    references = reference_hash(context.settings)
    return {year: fingerprint(silver=str(value), references=references) for year, value in sorted(silver.items())}


def cube_fingerprints(gold: Mapping[int, str], years: Iterable[int]) -> dict[int, Fingerprint]:
    """Fingerprint of each year's firm cube: its counts, and those of the years beside it that the lake holds."""
    return {year: fingerprint(**_neighbours(gold, year, (-1, 0, 1))) for year in sorted(years)}


def dynamics_fingerprints(
    gold: Mapping[int, str], years: Iterable[int], *, borders_year: int, annexations: str
) -> dict[int, Fingerprint]:
    """Fingerprint of each year's dynamics: the year before, three years ahead, and the constant borders."""
    borders = {"borders": [borders_year, annexations]}
    return {year: fingerprint(**borders, **_neighbours(gold, year, (-1, 0, 1, 2, 3))) for year in sorted(years)}


def _neighbours(gold: Mapping[int, str], year: int, steps: Sequence[int]) -> dict[str, str]:
    """Parts of a fingerprint, named by their distance from the year; a year that the lake lacks is part of it, too."""
    return {f"year{step:+d}": str(gold.get(year + step, "")) for step in steps}
