"""Workbooks, databases, Parquet, SAS and SPSS to rows: a well-kept reader for each, and texts of their cells."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.core.errors import InputRefusedError
from jobs.kernels import limits
from jobs.kernels.reasons import not_now, reason_of
from jobs.kernels.rows import Rows, strings
from jobs.kernels.stata_tables import INEXACT
from jobs.kernels.texts import count_damaged, count_inexact, decode_distinct, number_texts

CHUNK_ROWS = 50_000
#: Character set of Access 97 files, which do not say theirs.
JET3_ENCODING = "gb18030"
# a row of a sheet begins, with or without a prefix; one cut by two blocks may be missed, which a limit can bear
_ROW_STARTS = re.compile(rb"<(?:\w+:)?row[\s/>]")
_ENCRYPTED = (b"E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00", b"EncryptedPackage")


@dataclass(frozen=True, slots=True)
class Table:
    """One table inside a file that is not text.

    Attributes
    ----------
    name : str
        Sheet or table; empty where a file is one table.
    headings : tuple of str
        Empty for a sheet, whose headings are among its first rows.
    first_rows : list of list of str
        Of a sheet.
    read : callable
        Takes the rows to skip at the top and yields rows.
    """

    name: str
    headings: tuple[str, ...]
    first_rows: Sequence[Sequence[str]]
    read: Callable[[int, int], Iterator[Rows]]


def open_tables(kind: str, stream: BinaryIO, where: str, folder: Path) -> list[Table]:
    """Open the tables of a file that is not text.

    Parameters
    ----------
    kind : str
        excel, access, parquet, arrow, sas or spss.
    stream : binary file
        Can be sought, stays open while the tables are read.
    where : str
        For messages.
    folder : Path
        For temporary files; stays while the tables are read.

    Raises
    ------
    InputRefusedError
        Broken, locked, or of a make that no reader here knows.
    """
    readers = {
        "excel": _sheets, "access": _database, "parquet": _parquet, "arrow": _arrow, "sas": _statistics, "spss": _statistics,
    }
    with _explained(kind, where):
        tables = readers[kind](stream, where, folder)
    return [replace(table, read=_explained_read(table.read, kind, where)) for table in tables]


@contextlib.contextmanager
def _explained(kind: str, where: str) -> Iterator[None]:
    try:
        yield
    except InputRefusedError:
        raise
    except Exception as error:
        # the readers are other people's and raise what they like; whatever it is, the file cannot be read
        ailing = not_now(error)
        raise InputRefusedError(f"{where}: {ailing}" if ailing else _unreadable(kind, where, error)) from error


def _explained_read(
    read: Callable[[int, int], Iterator[Rows]], kind: str, where: str
) -> Callable[[int, int], Iterator[Rows]]:
    def explained(n_skipped: int, n_columns: int) -> Iterator[Rows]:
        rows = read(n_skipped, n_columns)
        while True:
            with _explained(kind, where):
                chunk = next(rows, None)
            if chunk is None:
                return
            yield chunk

    return explained


def cell_text(value: object) -> str:
    """A cell as text: whole numbers without a point, dates as ISO."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return "" if np.isnan(value) else str(int(value)) if value.is_integer() and abs(value) < 2**53 else _plain(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    return str(value)


def _plain(value: float) -> str:
    text = repr(value)
    return np.format_float_positional(value, trim="-") if "e" in text else text


def _rows_of_cells(cells: Sequence[Sequence[object]], n_columns: int) -> Rows:
    texts = [[cell_text(value) for value in row] for row in cells]
    malformed = {k: "\t".join(row) for k, row in enumerate(texts) if any(cell.strip() for cell in row[n_columns:])}
    empty = [""] * n_columns
    padded = [empty if k in malformed else [*row, *empty][:n_columns] for k, row in enumerate(texts)]
    columns = tuple(strings([row[index] for row in padded]) for index in range(n_columns))
    return Rows(columns, malformed)


def _sheets(stream: BinaryIO, where: str, folder: Path) -> list[Table]:
    from python_calamine import CalamineWorkbook

    start = stream.read(1 << 16)
    stream.seek(0)
    if any(mark in start for mark in _ENCRYPTED):
        raise InputRefusedError(f"{where}: locked with a password. Open it in Excel, take the password off, deliver it again.")
    if start.startswith(b"PK"):
        _refuse_oversized(stream, where)
        stream.seek(0)
    book = CalamineWorkbook.from_filelike(stream)
    if len(book.sheet_names) > limits.MAX_MEMBERS:
        raise InputRefusedError(f"{where}: {len(book.sheet_names):,} sheets; at most {limits.MAX_MEMBERS:,} are read.")
    return [_sheet(book, name) for name in book.sheet_names]


def _refuse_oversized(stream: BinaryIO, where: str) -> None:
    """Count the rows of each sheet before they become cells: a workbook of 0.4 MB can hold millions.

    Counting costs about a twentieth of reading; what ``dimension`` says of a sheet may be wrong.
    """
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        n_bytes = sum(info.file_size for info in members)
        if n_bytes > limits.MAX_WORKBOOK_BYTES:
            raise InputRefusedError(
                f"{where}: a workbook that unpacks to {n_bytes >> 20:,} MB; at most {limits.MAX_WORKBOOK_BYTES >> 20:,} are"
                " read. Save its sheets as CSV UTF-8."
            )
        for info in members:
            if not info.filename.startswith("xl/worksheets/") or not info.filename.endswith(".xml"):
                continue
            n_rows = 0
            with archive.open(info) as sheet:
                while block := sheet.read(1 << 20):
                    n_rows += len(_ROW_STARTS.findall(block))
                    if n_rows > limits.MAX_SHEET_ROWS:
                        raise InputRefusedError(
                            f"{where}: {info.filename} has more than {limits.MAX_SHEET_ROWS:,} rows, the most that Excel"
                            " writes. It is damaged or was made to harm; deliver its records as CSV UTF-8."
                        )


def _sheet(book: Any, name: str) -> Table:
    every = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
    cells = [row for row in every if any(cell not in ("", None) for cell in row)]

    def read(n_skipped: int, n_columns: int) -> Iterator[Rows]:
        for first in range(n_skipped, len(cells), CHUNK_ROWS):
            yield _rows_of_cells(cells[first : first + CHUNK_ROWS], n_columns)

    first = [[cell_text(value) for value in row] for row in cells[: limits.MAX_LINES_ABOVE * 4]]
    return Table(name, (), first, read)


def _database(stream: BinaryIO, where: str, folder: Path) -> list[Table]:
    start = stream.read(0x62)
    is_jet3 = len(start) > 0x14 and start[0x14] == 0
    stream.seek(0)
    path = _copied(stream, folder, ".mdb")
    return _by_mdbtools(path, is_jet3) if shutil.which("mdb-export") else _by_access_parser(path, is_jet3)


def _copied(stream: BinaryIO, folder: Path, suffix: str) -> Path:
    with tempfile.NamedTemporaryFile(dir=folder, suffix=suffix, delete=False) as target:
        shutil.copyfileobj(stream, target, 1 << 20)
    return Path(target.name)


def _by_mdbtools(path: Path, is_jet3: bool) -> list[Table]:
    environment = os.environ | {"MDB_JET3_CHARSET": JET3_ENCODING.upper(), "MDBICONV": "UTF-8"}

    def run(*command: str) -> str:
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout.decode("utf-8", "replace")

    tables = []
    for name in run("mdb-tables", "-1", str(path)).splitlines():
        listed = list(csv.reader(io.StringIO(run("mdb-export", "-D", "%Y-%m-%d", "-T", "%Y-%m-%d", str(path), name))))
        if listed:
            tables.append(Table(name, tuple(listed[0]), (), partial(_rows_below, listed)))
    return tables


def _rows_below(listed: list[list[str]], n_skipped: int, n_columns: int) -> Iterator[Rows]:
    for first in range(1, len(listed), CHUNK_ROWS):
        yield _rows_of_cells(listed[first : first + CHUNK_ROWS], n_columns)


def _by_access_parser(path: Path, is_jet3: bool) -> list[Table]:
    from access_parser import AccessParser

    base = AccessParser(str(path))
    names = [name for name in base.catalog if not name.startswith(("MSys", "~"))]
    tables = []
    for name in names:
        parsed = base.parse_table(name)
        columns = {_jet_text(key, is_jet3): values for key, values in parsed.items()}
        if columns:
            tables.append(_of_lists(_jet_text(name, is_jet3), columns, is_jet3))
    return tables


def _of_lists(name: str, columns: dict[str, list], is_jet3: bool) -> Table:
    n_rows = max((len(values) for values in columns.values()), default=0)

    def read(n_skipped: int, n_columns: int) -> Iterator[Rows]:
        for first in range(0, n_rows, CHUNK_ROWS):
            yield Rows(
                tuple(
                    strings([_jet_text(cell_text(value), is_jet3) for value in values[first : first + CHUNK_ROWS]])
                    for values in columns.values()
                )
            )

    return Table(name, tuple(columns), (), read)


def _jet_text(text: str, is_jet3: bool) -> str:
    """A text of Access 97: its bytes were taken for Latin-1 letters."""
    if not is_jet3 or text.isascii():
        return text
    try:
        return text.encode("latin-1").decode(JET3_ENCODING)
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text


def _parquet(stream: BinaryIO, where: str, folder: Path) -> list[Table]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(stream)

    def read(n_skipped: int, n_columns: int) -> Iterator[Rows]:
        for batch in file.iter_batches(CHUNK_ROWS):
            yield _rows_of_arrays(batch.columns, batch.schema.names)

    return [Table("", tuple(file.schema_arrow.names), (), read)]


def _arrow(stream: BinaryIO, where: str, folder: Path) -> list[Table]:
    file = pa.ipc.open_file(stream)

    def read(n_skipped: int, n_columns: int) -> Iterator[Rows]:
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            for first in range(0, batch.num_rows, CHUNK_ROWS):
                yield _rows_of_arrays(batch.slice(first, CHUNK_ROWS).columns, batch.schema.names)

    return [Table("", tuple(file.schema.names), (), read)]


def _rows_of_arrays(columns: Sequence[pa.Array], names: Sequence[str]) -> Rows:
    texts, noticed = [], {}
    for name, column in zip(names, columns, strict=True):
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_floating(column.type):
            values = column.fill_null(float("nan")).to_numpy(zero_copy_only=False)
            texts.append(number_texts(values))
            if inexact := count_inexact(values):
                noticed[f"{INEXACT}{name}"] = inexact
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            text = column.cast(pa.string())
            texts.append(pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text))
        elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            texts.append(decode_distinct(column.cast(pa.binary()), "utf-8"))
        elif pa.types.is_decimal(column.type):
            texts.append(strings([None if value is None else _decimal_text(value) for value in column.to_pylist()]))
        elif pa.types.is_boolean(column.type):
            texts.append(column.cast(pa.int8()).cast(pa.string()))
        elif pa.types.is_nested(column.type):
            texts.append(strings([None if value is None else str(value) for value in column.to_pylist()]))
        else:
            texts.append(column.cast(pa.string()))
    return Rows(tuple(texts), noticed=noticed)


def _decimal_text(value: Any) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _statistics(stream: BinaryIO, where: str, folder: Path) -> list[Table]:
    import pyreadstat

    readers: dict[str, Any] = {
        ".sas7bdat": pyreadstat.read_sas7bdat, ".xpt": pyreadstat.read_xport, ".por": pyreadstat.read_por,
    }
    ending = next((ending for ending in readers if where.lower().endswith(ending)), ".sav")
    is_sas, reader = ending in (".sas7bdat", ".xpt"), readers.get(ending, pyreadstat.read_sav)
    path = str(_copied(stream, folder, ending))
    # labels are SPSS's; of SAS they lie in a catalogue beside the file
    options: dict[str, Any] = {} if is_sas else {"apply_value_formats": True}
    if is_sas and not _is_decoded(reader, path):
        # a transport file does not say its encoding, and others say a wrong one
        options["encoding"] = "GB18030"
    _, meta = reader(path, metadataonly=True)

    def read(n_skipped: int, n_columns: int) -> Iterator[Rows]:
        for frame, _ in pyreadstat.read_file_in_chunks(reader, path, chunksize=CHUNK_ROWS, **options):
            table = pa.Table.from_pandas(frame, preserve_index=False).combine_chunks()
            if ending == ".por" and any(count_damaged(column.chunk(0)) for column in table.columns if _is_text(column)):
                raise InputRefusedError(
                    f"{where}: its texts are not ASCII, and a portable file does not say their encoding. Save it in SPSS as"
                    " .sav, or as CSV UTF-8."
                )
            yield _rows_of_arrays([column.chunk(0) for column in table.columns], table.column_names)

    return [Table("", tuple(meta.column_names), (), read)]


def _is_decoded(reader: Callable[..., tuple[Any, Any]], path: str) -> bool:
    """Tell whether the first texts of a SAS file are of the encoding it says, or of UTF-8 where it says none."""
    import pyreadstat

    try:
        reader(path, row_limit=CHUNK_ROWS)
    except (UnicodeDecodeError, pyreadstat.ReadstatError):
        return False
    return True


def _is_text(column: pa.ChunkedArray) -> bool:
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def _unreadable(kind: str, where: str, error: Exception) -> str:
    reason = reason_of(error)
    what, remedy = {
        "excel": ("an Excel workbook", "Save its sheets as CSV UTF-8"),
        "access": ("an Access database", "Export its table with `mdb-export FILE.mdb TABLE > FILE.csv` (package mdbtools)"),
        "parquet": ("a Parquet file", "Write it again, or as CSV UTF-8"),
        "arrow": ("an Arrow or Feather file", "Write it again, or as CSV UTF-8"),
        "sas": ("a SAS file (.sas7bdat, .xpt)", "Export it with `proc export data=... outfile=\"FILE.csv\" dbms=csv`"),
        "spss": ("an SPSS file (.sav, .por)", "Save it as CSV UTF-8"),
    }[kind]
    if any(word in str(error).lower() for word in ("password", "encrypt")):
        return f"{where}: locked with a password. Take it off and deliver the file again."
    return (
        f"{where}: {what} that cannot be read ({reason}). It is of another kind, or was cut on the way. {remedy}, or deliver"
        " it anew."
    )
