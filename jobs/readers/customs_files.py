"""Look once at a delivered file: hash, strict decoding, headings, layout, year. Pure Python, streaming, no Spark.

Spark reads wrong or broken bytes in silence, so the whole file is decoded strictly here before anything is loaded. The
headings decide the layout; the file's name decides year and month, because the date column is unreliable before 2006.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conf.layouts import Layout, load_layouts, match_layout, nearest_layout
from jobs.core.errors import InputRefusedError
from jobs.readers import stata

CHUNK_BYTES = 4 << 20
TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
PERIOD_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:[-_]?(0[1-9]|1[0-2]))?(?!\d)")
# what Spark's reader calls blank: nothing but characters up to U+0020
_BLANK = "".join(map(chr, range(33)))
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_REMEDIES = {
    ".mdb": "an Access database: export its table with `mdb-export FILE.mdb TABLE > FILE.csv` (package mdbtools)",
    ".accdb": "an Access database: export its table with `mdb-export FILE.accdb TABLE > FILE.csv` (package mdbtools)",
    ".zip": "an archive: unpack it",
    ".rar": "an archive: unpack it",
    ".7z": "an archive: unpack it",
    ".xlsx": "an Excel workbook: save the sheet as CSV UTF-8",
    ".xls": "an Excel workbook: save the sheet as CSV UTF-8",
}


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one look at a file found.

    Attributes
    ----------
    source_file : str
        Path below the raw folder, with forward slashes.
    sha256 : str
        Hash of the file's bytes.
    n_bytes, n_lines : int
        Size, and data lines without heading and blank lines.
    encoding, delimiter : str
        Python codec that decodes the whole file, and the field separator (empty for a Stata file, which has none).
    headings : tuple of str
        Headings in order, surrounding space removed.
    layout : Layout
        The layout they matched.
    year : int
    month : int or None
        None for yearly files.
    """

    source_file: str
    sha256: str
    n_bytes: int
    n_lines: int
    encoding: str
    delimiter: str
    headings: tuple[str, ...]
    layout: Layout
    year: int
    month: int | None


def list_raw_files(raw: Path) -> list[Path]:
    """Return the delivered files below ``raw/customs`` (or ``raw`` itself), sorted.

    Raises
    ------
    InputRefusedError
        If there is no folder or no file, or a file is of a kind that cannot be read; all such files are named.
    """
    folder = raw / "customs" if (raw / "customs").is_dir() else raw
    if not folder.is_dir():
        raise InputRefusedError(f"{raw}: no such folder. Expected a folder with customs files ({_kinds()}).")
    files = sorted(
        path for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    )
    if not files:
        raise InputRefusedError(f"{folder}: no files in it. Expected customs files ({_kinds()}), found an empty folder.")
    strange = [path for path in files if not (_is_text(path) or stata.is_stata(path))]
    if strange:
        what = "; ".join(
            f"{path.relative_to(folder)} is {_REMEDIES.get(path.suffix.lower(), 'of a kind that is not known')}"
            for path in strange[:5]
        )
        raise InputRefusedError(f"{folder}: {len(strange)} of {len(files)} files cannot be read ({_kinds()}): {what}.")
    return files


def inspect_file(path: Path, raw: Path) -> Inspection:
    """Read a file once, strictly.

    Raises
    ------
    InputRefusedError
        Empty file, unknown headings, bytes that no allowed encoding decodes, a cut last character, no year in the name.
    """
    name = path.relative_to(raw).as_posix()
    if path.stat().st_size == 0:
        raise InputRefusedError(f"{name}: the file is empty (0 bytes). Deliver it again, or move it away.")
    if stata.is_stata(path):
        return _inspect_stata(path, name)
    encoding, delimiter, headings, layout = _recognise(path, name)
    year, month = _period(path.name, layout, name)
    sha256, n_bytes, n_lines = _read_through(path, name, encoding)
    _require_lines(n_lines, name)
    return Inspection(name, sha256, n_bytes, n_lines, encoding, delimiter, headings, layout, year, month)


def _inspect_stata(path: Path, name: str) -> Inspection:
    encoding = stata.stored_encoding(path)
    n_lines, headings = 0, ()
    for piece in stata.read_texts(path, name):
        headings, n_lines = tuple(piece.columns), n_lines + len(piece)
    layout = match_layout(headings)
    if layout is None or encoding not in layout.encodings:
        raise InputRefusedError(_no_layout(name, headings))
    year, month = _period(path.name, layout, name)
    sha256, n_bytes = _hash(path)
    _require_lines(n_lines, name)
    return Inspection(name, sha256, n_bytes, n_lines, encoding, "", headings, layout, year, month)


def _require_lines(n_lines: int, name: str) -> None:
    if n_lines == 0:
        raise InputRefusedError(f"{name}: headings but no data lines. Deliver it again, or move it away.")


def _is_text(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(TEXT_SUFFIXES)


def _kinds() -> str:
    return f"{'; '.join(TEXT_SUFFIXES)}, each also as .gz; {stata.SUFFIX}"


def _recognise(path: Path, name: str) -> tuple[str, str, tuple[str, ...], Layout]:
    """Find the first allowed encoding under which the first line holds the headings of a layout."""
    first = _first_line(path, name)
    tried: list[tuple[str, ...]] = []
    for encoding in _candidates(first):
        try:
            line = first.decode(encoding)
        except UnicodeDecodeError:
            continue
        delimiter = _delimiter(line)
        headings = tuple(cell.strip().strip("\ufeff") for cell in next(csv.reader([line], delimiter=delimiter)))
        layout = match_layout(headings)
        if layout is not None and encoding in layout.encodings:
            return _settle(path, encoding, layout), delimiter, headings, layout
        tried.append(headings)
    raise InputRefusedError(_unknown_headings(name, first, tried))


def _settle(path: Path, encoding: str, layout: Layout) -> str:
    """ASCII headings say nothing of the encoding: take the first allowed one that decodes the whole file."""
    if encoding == "utf-16":
        return encoding
    for candidate in sorted(layout.encodings, key=lambda item: item != encoding):
        if candidate != "utf-16" and _decodes(path, candidate):
            return candidate
    return encoding


def _decodes(path: Path, encoding: str) -> bool:
    try:
        for _ in _decoded(path, encoding):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _open(path: Path):
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else open(path, "rb")


def _first_line(path: Path, name: str) -> bytes:
    try:
        with _open(path) as stream:
            start = stream.read(1 << 16)
    except (OSError, EOFError) as error:
        raise InputRefusedError(f"{name}: cannot be read ({error}). Is the file complete and readable?") from error
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = start[: len(start) // 2 * 2].decode("utf-16", errors="replace")
        return text.splitlines()[0].encode("utf-16")
    return re.split(rb"[\r\n]", start.lstrip(b"\r\n"), maxsplit=1)[0]


def _candidates(first: bytes) -> list[str]:
    for bom, encoding in _BOMS:
        if first.startswith(bom):
            return [encoding]
    return ["utf-8", "gb18030"]


def _delimiter(line: str) -> str:
    return max((",", "\t", ";", "|"), key=line.count)


def _unknown_headings(name: str, first: bytes, tried: list[tuple[str, ...]]) -> str:
    if not tried:
        return (
            f"{name}: the first line is neither UTF-8 nor GB18030 nor UTF-16 with a byte-order mark; it starts with"
            f" bytes {first[:16].hex(' ')}. Convert the file (for example `iconv -f ENCODING -t UTF-8`)."
        )
    return _no_layout(name, min(tried, key=lambda item: len(nearest_layout(item)[1])))


def _no_layout(name: str, headings: tuple[str, ...]) -> str:
    layout, missing = nearest_layout(headings)
    shown = ", ".join(headings[:12]) + (" ..." if len(headings) > 12 else "")
    if not missing:
        return (
            f"{name}: the headings are those of layout {layout.name}, in an encoding that layout does not allow"
            f" (allowed: {', '.join(layout.encodings)}). Convert the file, or add the encoding to"
            f" conf/layouts/{layout.name}.toml."
        )
    return (
        f"{name}: its headings match none of the {len(load_layouts())} known layouts. Found: {shown}. The nearest,"
        f" {layout.name} ({layout.description}), also needs: {', '.join(missing)}. Read in another encoding the headings"
        " may be right; if this is a new vintage, add a file to conf/layouts."
    )


def _period(file_name: str, layout: Layout, name: str) -> tuple[int, int | None]:
    match = PERIOD_IN_NAME.search(file_name)
    if match is None:
        raise InputRefusedError(
            f"{name}: no year in the file's name. Expected a name with YYYY or YYYYMM, such as data200301.csv or"
            " 2007_1.txt; rename the file."
        )
    month = int(match.group(2)) if match.group(2) and layout.period == "month" else None
    return int(match.group(1)), month


def _read_through(path: Path, name: str, encoding: str) -> tuple[str, int, int]:
    """Hash the bytes, decode them strictly and count the non-blank lines after the heading."""
    sha256, n_bytes = _hash(path)
    try:
        n_lines = sum(_count_lines(_decoded(path, encoding)))
    except UnicodeDecodeError as error:
        raise InputRefusedError(_broken_text(name, encoding, error)) from error
    except (OSError, EOFError) as error:
        raise InputRefusedError(f"{name}: cannot be read to its end ({error}). Deliver it again.") from error
    return sha256, n_bytes, max(n_lines - 1, 0)


def _hash(path: Path) -> tuple[str, int]:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), stream.tell()


def _decoded(path: Path, encoding: str) -> Iterator[str]:
    """Yield the text in pieces; the error of a broken byte carries its offset in the whole file as ``start``."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    offset = 0
    with _open(path) as stream:
        while True:
            block = stream.read(CHUNK_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                yield decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                error.start += offset - pending
                # the rest of an unfinished character is all that is left: the file was cut
                error.reason = "cut" if not block else error.reason
                raise
            if not block:
                return
            offset += len(block)


def _count_lines(pieces: Iterator[str]) -> Iterator[int]:
    rest = ""
    for piece in pieces:
        # a carriage return at the end of a piece may be half of a line break
        text = (rest + piece).replace("\r\n", "\n")
        held = "\r" if text.endswith("\r") else ""
        lines = text.removesuffix("\r").replace("\r", "\n").split("\n") if held else text.replace("\r", "\n").split("\n")
        rest = lines.pop() + held
        yield sum(1 for line in lines if line.strip(_BLANK))
    yield 1 if rest.strip(_BLANK) else 0


def _broken_text(name: str, encoding: str, error: UnicodeDecodeError) -> str:
    if error.reason == "cut":
        return (
            f"{name}: the file ends in the middle of a {encoding} character (byte {error.start}): it was cut on the way."
            " Deliver it again whole."
        )
    return (
        f"{name}: not valid {encoding} at byte {error.start} ({error.reason}). The headings are known, but the text is in"
        " another encoding or was damaged. Convert it (for example `iconv -f ENCODING -t UTF-8`) or deliver it again."
    )
