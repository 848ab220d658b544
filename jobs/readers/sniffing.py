"""What a raw folder holds, as a report: file by file, year by year, and what landing it would do."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from conf.layouts import Layout
from jobs.kernels.parts import parts_from_json
from jobs.kernels.raw_folder import RawFolder
from jobs.readers.delivery import DeliveredFile, Delivery, FileYear
from jobs.readers.receiving import Looked

#: Bytes at the start of a text by which its lines are estimated, and files looked at for it.
SAMPLE_BYTES, SAMPLE_FILES = 64 << 10, 200
TEXT_ENDINGS = (".csv", ".txt", ".tsv")
#: Bytes of a record where nothing better is known: packed text, Stata, databases.
USUAL_RECORD_BYTES = {".gz": 25, ".zip": 25, ".7z": 20, ".rar": 20}
RECORD_BYTES = 250
MONTHS = frozenset(range(1, 13))


@dataclass(frozen=True, slots=True)
class FileReport:
    """One delivered file.

    Attributes
    ----------
    file : str
    kind, encoding, delimiter, layout : str
        Empty for a file that could not be looked into.
    n_bytes, n_rows : int
    value_usd : str
        US dollars of the values that can be read.
    years : dict
        Year to the months its records are of; an empty list where they are not known.
    n_tables : int
        Members, sheets or tables with records.
    columns_not_taken : list of str
        Headings that the layout does not name; they are kept as delivered.
    noticed : dict
        What was mended or is damaged, and how often.
    notes : list of str
    action : str
        ``load``, ``known``, or why it is not taken: refused, duplicate, useless, ...
    reason : str
    """

    file: str
    action: str
    reason: str = ""
    kind: str = ""
    encoding: str = ""
    delimiter: str = ""
    layout: str = ""
    n_bytes: int = 0
    n_rows: int = 0
    value_usd: str = "0"
    years: dict[int, list[int]] = field(default_factory=dict)
    n_tables: int = 0
    columns_not_taken: list[str] = field(default_factory=list)
    noticed: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class YearReport:
    """One year of the files that would be in force.

    Attributes
    ----------
    year : int
    n_files, n_rows : int
    value_usd : str
    months_missing : list of int or None
        None where the months of some records are not known.
    waits_for : list of str
        Files that cannot be taken and block its counts.
    """

    year: int
    n_files: int
    n_rows: int
    value_usd: str
    months_missing: list[int] | None
    waits_for: list[str]


@dataclass(frozen=True, slots=True)
class Report:
    """What ``sniff`` says.

    Attributes
    ----------
    folder : str
    files : tuple of FileReport
        By name.
    years : tuple of YearReport
    """

    folder: str
    files: tuple[FileReport, ...]
    years: tuple[YearReport, ...]

    def to_json(self) -> str:
        """As a JSON document."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    def write(self, out: Path) -> None:
        """Write ``sniff.json``, ``files.csv`` and ``years.csv`` into a folder."""
        out.mkdir(parents=True, exist_ok=True)
        (out / "sniff.json").write_text(self.to_json() + "\n", encoding="utf-8")
        _write_csv(out / "files.csv", [_flat(asdict(item)) for item in self.files])
        _write_csv(out / "years.csv", [_flat(asdict(item)) for item in self.years])


def report_on(folder: str, looked: Looked, delivery: Delivery, layouts: Sequence[Layout]) -> Report:
    """Put together what was found in a folder and how it was judged.

    Parameters
    ----------
    folder : str
    looked : Looked
    delivery : Delivery
        The judgement on ``looked``.
    layouts : sequence of Layout
    """
    by_name = {layout.name: layout for layout in layouts}
    aside = {item.source_file: item for item in delivery.left_out}
    reports = {}
    for item in looked.files:
        left = aside.get(item.source_file)
        action, reason = (left.kind, left.reason) if left else ("load", "")
        reports[item.source_file] = _file_report(item, by_name[item.layout], action, reason)
    for name, out in aside.items():
        reports.setdefault(name, FileReport(name, out.kind, out.reason))
    return Report(folder, tuple(reports[name] for name in sorted(reports)), tuple(_year_reports(delivery)))


def estimate_rows(folder: RawFolder, files: Sequence[tuple[str, int]]) -> int:
    """Guess the rows of files from their sizes and the first lines of some texts, to one or two digits."""
    per_byte: dict[str, float] = {}
    sampled = 0
    for name, n_bytes in files:
        if sampled < SAMPLE_FILES and n_bytes and name.lower().endswith(TEXT_ENDINGS):
            per_byte[name] = _lines_per_byte(folder, name, n_bytes)
            sampled += 1
    known = [value for value in per_byte.values() if value]
    usual = sum(known) / len(known) if known else 1 / RECORD_BYTES
    total = 0.0
    for name, n_bytes in files:
        ending = "." + name.lower().rsplit(".", 1)[-1]
        rate = per_byte.get(name) or (1 / USUAL_RECORD_BYTES[ending] if ending in USUAL_RECORD_BYTES else usual)
        total += n_bytes * rate
    return _two_digits(total)


def _lines_per_byte(folder: RawFolder, name: str, n_bytes: int) -> float:
    try:
        with folder.file(name, n_bytes).open() as stream:
            start = stream.read(SAMPLE_BYTES)
    except OSError:
        return 0.0
    return max(start.count(b"\n"), start.count(b"\r")) / len(start) if start else 0.0


def _two_digits(number: float) -> int:
    whole = round(number)
    digits = len(str(whole)) - 2
    return round(whole, -digits) if digits > 0 else whole


def _file_report(item: DeliveredFile, layout: Layout, action: str, reason: str) -> FileReport:
    parts = parts_from_json(item.parts)
    taken = {index for positions in layout.assign(item.headings).values() for index in positions}
    months = {
        year.year: sorted(month for month in year.by_month() if month is not None) for year in item.years
    }
    value = sum((year.content.value_usd for year in item.years), Decimal(0))
    return FileReport(
        item.source_file, action, reason, _kind(item, parts), item.encoding, item.delimiter, item.layout, item.n_bytes,
        item.n_lines, str(value), months, len(parts),
        [heading or f"column {index + 1}" for index, heading in enumerate(item.headings) if index not in taken],
        dict(item.noticed), list(item.notes),
    )


def _kind(item: DeliveredFile, parts: Sequence) -> str:
    kinds = " + ".join(sorted({part.kind for part in parts}))
    ending = item.source_file.lower().rsplit(".", 1)[-1]
    return f"{kinds} in .{ending}" if ending in ("gz", "zip", "7z", "rar", "bz2", "xz", "zst") else kinds


def _year_reports(delivery: Delivery) -> list[YearReport]:
    years: dict[int, list[FileYear]] = {}
    for item in (*delivery.arrived, *delivery.unchanged):
        for of_file in item.years:
            years.setdefault(of_file.year, []).append(of_file)
    waits: dict[int, list[str]] = {}
    for left in delivery.left_out:
        for year in () if left.is_accepted else left.blocked_years:
            waits.setdefault(year, []).append(left.source_file)
    reports = []
    for year in sorted({*years, *waits}):
        of_year = years.get(year, [])
        months = {month for part in of_year for month in part.by_month()}
        value = sum((part.content.value_usd for part in of_year), Decimal(0))
        reports.append(
            YearReport(
                year, len(of_year), sum(part.n_lines for part in of_year), str(value),
                None if None in months else sorted(MONTHS - months), waits.get(year, []),
            )
        )
    return reports


def _flat(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
        for name, value in entry.items()
    }


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with open(path, "w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else ["nothing"])
        writer.writeheader()
        writer.writerows(rows)
