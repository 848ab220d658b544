"""What a delivered file is, told by its first bytes; by the ending of its name where these say nothing."""

from __future__ import annotations

from pathlib import PurePosixPath

TEXT_SUFFIXES = (
    ".csv", ".txt", ".tsv", ".dat", ".prn", ".asc", ".tab", ".psv", ".ssv", ".dsv", ".del", ".data", ".raw", ".out", ".unl",
)
#: Ending to kind, for files whose first bytes decide nothing.
SUFFIXES = {
    **dict.fromkeys(TEXT_SUFFIXES, "text"), ".dta": "stata", ".parquet": "parquet", ".pq": "parquet",
    ".sas7bdat": "sas", ".sav": "spss", ".zsav": "spss", ".xlsx": "excel", ".xlsm": "excel", ".xls": "excel",
    ".xlsb": "excel", ".ods": "excel", ".et": "excel", ".mdb": "access", ".accdb": "access", ".por": "spss", ".xpt": "sas",
    ".feather": "arrow", ".arrow": "arrow", ".zip": "zip", ".gz": "gzip", ".tgz": "gzip", ".bz2": "bzip2", ".xz": "xz",
    ".zst": "zstd", ".tar": "tar", ".7z": "7z", ".rar": "rar",
}
#: Endings of data that no reader here knows, and what to do with them.
UNREAD = {
    **dict.fromkeys((".rds", ".rda", ".rdata"), "In R: `write.csv(DATA, \"FILE.csv\", row.names = FALSE)`"),
    **dict.fromkeys((".pkl", ".pickle", ".h5", ".hdf", ".hdf5"), "In Python: `DATA.to_csv(\"FILE.csv\", index=False)`"),
    **dict.fromkeys(
        (".db", ".sqlite", ".sqlite3", ".duckdb", ".dbf", ".orc", ".avro", ".ibd", ".mdf", ".jsonl", ".ndjson"),
        "Export its table as CSV UTF-8",
    ),
}
_MAGIC = (
    (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "gzip"), (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"ARROW1", "arrow"),
    (b"PAR1", "parquet"), (b"\x00\x01\x00\x00Standard Jet DB", "access"), (b"\x00\x01\x00\x00Standard ACE DB", "access"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "excel"), (b"<stata_dta>", "stata"), (b"$FL2", "spss"), (b"$FL3", "spss"),
)
# Excel 2 to 4: a stream of records without a container
_OLD_SHEETS = (b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")
_CONTROLS = frozenset(range(32)) - set(b"\t\n\r")
_SAS = bytes.fromhex("000000000000000000000000c2ea8160")
#: Compressed files: one file each, a stream.
PACKED = ("gzip", "bzip2", "xz", "zstd")


def kind_of(name: str, start: bytes) -> str:
    """Tell what a file is from its first bytes and its name; empty when it is nothing known."""
    if start.startswith(_SAS):
        return "sas"
    by_name = SUFFIXES.get(PurePosixPath(name.lower()).suffix, "")
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            # a workbook is a zip archive too
            return by_name if kind == "zip" and by_name == "excel" else kind
    if by_name == "excel" and not start.startswith(_OLD_SHEETS):
        # what web pages call a workbook is often a text
        return "text"
    suffix = PurePosixPath(name).suffix
    if not by_name and (not suffix or suffix[1:].isdigit()) and _is_text(start):
        return "text"
    return by_name


def _is_text(start: bytes) -> bool:
    """Tell whether the first bytes of a file without an ending are those of a table in a text."""
    return bool(start) and not set(start) & _CONTROLS and any(mark in start for mark in (b",", b"\t", b";", b"|", b"^"))
