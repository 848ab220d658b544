"""A panel from a file: CSV in any encoding, Stata, Parquet, Excel.

What a file is follows from its first bytes and its name, the encoding of text from the text itself: UTF-8 and UTF-16 are
certain, GB18030 is told from Western European code pages by how common the characters are that come out. `encoding=` says it
outright.
"""

from __future__ import annotations

import codecs
import gzip
import io
import re
from pathlib import Path

import pandas as pd

from estimation.errors import SpecificationError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_EXCEL = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
# from this release on Stata writes UTF-8; before, text is in the code page of the machine
_UNICODE_RELEASE = 118
_STATA_ENCODINGS = ("utf-8", "gb18030", "windows-1252")
# below this share of everyday characters a text that decodes as GB18030 is taken for a Western European one
_EVERYDAY_SHARE = 0.7
_SEPARATORS = (",", "\t", ";", "|")


def read_table(path: str | Path, *, encoding: str | None = None) -> pd.DataFrame:
    """Read a table.

    Parameters
    ----------
    path : str or Path
        .csv, .tsv, .txt (also .gz), .dta, .parquet, .xlsx and its kin.
    encoding : str, optional
        Of text; recognised where it is not given.

    Raises
    ------
    SpecificationError
    """
    path = Path(path)
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    try:
        if kind in ("parquet", "pq"):
            return pd.read_parquet(path)
        if kind == "dta":
            return _stata(path, encoding)
        if f".{kind}" in _EXCEL:
            return _workbook(path)
        raw = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
        return _delimited(raw, encoding)
    except (OSError, ValueError, LookupError, EOFError) as error:
        raise SpecificationError(f"{path}: the data cannot be read ({_reason(error)}).") from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def recognise_encoding(raw: bytes) -> str:
    """Return the encoding of a text.

    Raises
    ------
    ValueError
        When the bytes are not text.
    """
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return name
    head = raw[:4096]
    zeros = (head[::2].count(0), head[1::2].count(0))
    if sum(zeros) > len(head) // 8:
        name = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        if min(zeros) > len(head) // 16:
            raise ValueError("expected text, found a binary file; name its kind by its suffix, such as .dta or .parquet")
        return name
    if _decodes(raw, "utf-8"):
        return "utf-8"
    if _decodes(raw, "gb18030") and _everyday_share(raw) >= _EVERYDAY_SHARE:
        return "gb18030"
    return "cp1252" if _decodes(raw, "cp1252") else "latin-1"


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _everyday_share(raw: bytes) -> float:
    """Return the share of characters beyond ASCII that GB2312 has, the six thousand of everyday Chinese."""
    beyond = [letter for letter in raw[:200_000].decode("gb18030", "ignore") if ord(letter) > 127]
    everyday = "".join(beyond).encode("gb2312", "ignore").decode("gb2312")
    return len(everyday) / max(len(beyond), 1)


def _delimited(raw: bytes, encoding: str | None) -> pd.DataFrame:
    text = raw.decode(encoding or recognise_encoding(raw))
    if not text.strip():
        raise ValueError("it is empty")
    first = text.lstrip("\ufeff").partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    # a semicolon between values usually means a comma within them
    comma = separator == ";" and re.search(r"\d,\d", text[: 1 << 16]) is not None
    table = pd.read_csv(
        io.StringIO(text.lstrip("\ufeff")), sep=separator, decimal="," if comma else ".", skipinitialspace=True
    )
    return table.rename(columns=lambda name: str(name).strip())


def _workbook(path: Path) -> pd.DataFrame:
    """Read the first sheet of a workbook."""
    from python_calamine import CalamineError

    try:
        return pd.read_excel(path, engine="calamine")
    except CalamineError as error:
        raise ValueError(f"as a workbook: {error}") from error


def _stata(path: Path, encoding: str | None) -> pd.DataFrame:
    """Read a file of Stata; dates stay numbers, so that years are years."""
    import pyreadstat

    head = path.open("rb").read(64)
    release = re.search(rb"<release>(\d+)</release>", head)
    number = int(release.group(1)) if release else head[0]
    candidates = (encoding,) if encoding else (None,) if number >= _UNICODE_RELEASE else _STATA_ENCODINGS
    failure: Exception | None = None
    for candidate in candidates:
        try:
            table, _ = pyreadstat.read_dta(path, encoding=candidate, disable_datetime_conversion=True)
            return table
        except (pyreadstat.ReadstatError, UnicodeDecodeError) as error:
            failure = error
    raise ValueError(f"as a file of Stata: {failure}")
