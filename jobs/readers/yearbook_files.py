"""Open yearbook files as grids of cells: workbooks of today and of the nineties, and text in two encodings.

The decision worth knowing: the edition comes from the name of the file or its folder and nowhere else, one year, because
titles and notes inside the sheets name other years; a file without it is refused.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum

from jobs.kernels.limits import MAX_RECORD_BYTES

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
BOOK_SUFFIXES = (".xlsx", ".xlsm")
OLD_BOOK_SUFFIXES = (".xls",)
CORRECTIONS = "corrections.csv"
# tables beside the sheets that are not sheets: read by the checks (corrections) and jobs/readers/yearbook_series.py
SIDE_FILES = (CORRECTIONS, "etdz.csv", "exchange_rates.csv", "deflators.csv")
# openpyxl has no error of its own for broken content: what its parts raise; broken XML is a SyntaxError
BROKEN_BOOK = (
    InvalidFileException, zipfile.BadZipFile, zlib.error, KeyError, IndexError, ValueError, AttributeError, TypeError,
    SyntaxError, OSError,
)
ENCODINGS = ("utf-8-sig", "gb18030")  # tried in this order, each strictly
_EDITION = re.compile(r"(?<!\d)(19[89]\d|20\d\d)(?!\d)")


class UnusableFileError(ValueError):
    """Raised for a file that cannot be opened as sheets; becomes one row of the quarantine.

    Attributes
    ----------
    reason : str
        ``file_format``, ``edition_unknown`` or ``file_unreadable``.
    edition : int or None
        Edition where it is known.
    """

    def __init__(self, reason: str, detail: str, edition: int | None = None) -> None:
        super().__init__(detail)
        self.reason, self.edition = reason, edition


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet as a grid.

    Attributes
    ----------
    place : str
        File below the yearbook folder and sheet name, ``2005.xlsx!2-18``.
    edition : int
        Edition of the yearbook.
    grid : sequence of sequence
        Cells by row, rows of any length; text, number or None.
    """

    place: str
    edition: int
    grid: Sequence[Sequence[object]]


def yearbook_files(folder: Path) -> list[Path]:
    """Sheets below the folder in order; tables beside them and editors' lock files are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith((".", "~$")) and path.name not in SIDE_FILES
    )


def edition_of(path: PurePath) -> int | None:
    """Edition from the file's name, else from the nearest folder with a year; None when it is not exactly one year."""
    for part in (path.stem, *(parent.name for parent in path.parents)):
        years = set(_EDITION.findall(part))
        if years:
            return int(years.pop()) if len(years) == 1 else None
    return None


def open_sheets(path: Path, folder: Path) -> Iterator[Sheet]:
    """Yield the sheets of a file below a folder.

    Raises
    ------
    UnusableFileError
        If the kind of file is not known, the edition is not in the name, or the content cannot be read.
    """
    relative, suffix = path.relative_to(folder), path.suffix.lower()
    if suffix not in BOOK_SUFFIXES + OLD_BOOK_SUFFIXES + TEXT_SUFFIXES:
        raise UnusableFileError("file_format", f"expected .xlsx, .xls or .csv; found {suffix or 'no suffix'}")
    edition = edition_of(relative)
    if edition is None:
        raise UnusableFileError("edition_unknown", "the name of the file or its folder must hold the edition, one year")
    readers = dict.fromkeys(TEXT_SUFFIXES, _text) | dict.fromkeys(OLD_BOOK_SUFFIXES, _old_book)
    for name, grid in readers.get(suffix, _book)(path, edition):
        yield Sheet(f"{relative.as_posix()}!{name}", edition, grid)


def _book(path: Path, edition: int) -> Iterator[tuple[str, list]]:
    try:
        with closing(load_workbook(path, read_only=True, data_only=True)) as book:
            for page in book.worksheets:
                # some programs write a wrong size into the sheet, and everything beyond it would be lost without a word
                page.reset_dimensions()
                yield page.title, list(page.iter_rows(values_only=True))
    except BROKEN_BOOK as error:
        raise UnusableFileError("file_unreadable", f"no workbook: {error}", edition) from error


def _old_book(path: Path, edition: int) -> Iterator[tuple[str, list]]:
    """Workbooks of Excel 97-2003, as early editions were delivered; openpyxl does not read them.

    New workbooks are not read this way: an Excel error in a cell (#REF!) would come as an empty cell, so as missing.
    """
    try:
        book = CalamineWorkbook.from_path(str(path))
        for page in book.sheets_metadata:
            if page.typ == SheetTypeEnum.WorkSheet:
                # with the empty rows on top, else the cells named in the quarantine would be others
                yield page.name, book.get_sheet_by_name(page.name).to_python(skip_empty_area=False)
    except CalamineError as error:
        raise UnusableFileError("file_unreadable", f"no workbook: {error}", edition) from error


def _text(path: Path, edition: int) -> Iterator[tuple[str, list]]:
    content = path.read_bytes()
    for encoding in ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        delimiter = "," if path.suffix.lower() == ".csv" else "\t"
        # the module's own limit, 131,072 characters, ends a whole edition over one cell, which is refused by itself
        csv.field_size_limit(MAX_RECORD_BYTES)
        try:
            yield path.stem, list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        except csv.Error as error:
            raise UnusableFileError("file_unreadable", f"no table: {error}", edition) from error
        return
    raise UnusableFileError("file_unreadable", "neither UTF-8 nor GB18030", edition)
