"""What lies in a raw folder: the files to look at, and everything that is left out, each with a word on why.

Nothing is passed over in silence: folders that start with ``_`` or ``.`` (one entry each, with the number of their files),
links to folders and links that lead nowhere, and files that a working folder collects and that hold no records.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from jobs.core.errors import InputRefusedError
from jobs.kernels.raw_folder import RawFolder
from jobs.kernels.reasons import one_line

#: The delivered customs files lie in this folder below the raw folder, if it is there.
CUSTOMS = "customs"
_SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "sha256sums", "md5sums")
#: Endings of programs, notes, pictures, unfinished downloads: what lies beside data.
_OTHER_ENDINGS = frozenset(
    "do ado log smcl md pdf doc docx ppt pptx htm html png jpg jpeg gif bmp py pyc r rmd rhistory ipynb sql sps m tmp"
    " bak part crdownload lnk url ini exe bat sh cmd ps1 rtf tex gph stpr sthlp hlp chm sha256 md5 sfv torrent eml".split()
)
LEADS_OUT = (
    "a link that leads out of the raw folder, not followed and not read. Copy the file here, or allow the link by name:"
    " privacy.allowed_links"
)
_README = re.compile(r"^(read[-_ ]?me|说明|licen[cs]e|copying|changelog)([^a-z].*)?$|说明(文档)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Beside:
    """Something in the raw folder that is not a delivered file.

    Attributes
    ----------
    source_file : str
        Path below the raw folder.
    kind : str
        ``useless`` or ``link``, or ``refused`` for a folder that cannot be opened.
    reason : str
    """

    source_file: str
    kind: Literal["useless", "link", "refused"]
    reason: str


def list_delivery(folder: RawFolder, allowed_links: Sequence[str] = ()) -> tuple[list[tuple[str, int]], list[Beside]]:
    """List a raw folder.

    Parameters
    ----------
    folder : RawFolder
    allowed_links : sequence of str
        Names or patterns of links that may lead out of the folder; any other is refused unread.

    Returns
    -------
    (list of (str, int), list of Beside)
        Files to look at, as path below the raw folder and size in bytes, and everything else; both by name.

    Raises
    ------
    InputRefusedError
        If there is no such folder.
    """
    if not folder.is_local:
        return _remote(folder)
    raw = folder.path
    top = raw / CUSTOMS if (raw / CUSTOMS).is_dir() else raw
    if not top.is_dir():
        raise InputRefusedError(f"{folder.address}: no such folder. Expected a folder with customs files.")
    if top.is_symlink() and top != raw and not may_follow(top, raw, allowed_links):
        raise InputRefusedError(f"{CUSTOMS}: {LEADS_OUT}.")
    files: list[tuple[str, int]] = []
    beside: list[Beside] = []
    for found in _walk(top, raw):
        if isinstance(found, Beside):
            beside.append(found)
        elif (raw / found[0]).is_symlink() and not may_follow(raw / found[0], raw, allowed_links):
            beside.append(Beside(found[0], "refused", LEADS_OUT))
        else:
            files.append(found)
    return sorted(files), sorted(beside, key=lambda item: item.source_file)


def may_follow(path: Path, raw: Path, allowed_links: Sequence[str]) -> bool:
    """Tell whether a link below the raw folder ends in it, or is allowed by name to lead out."""
    name = path.relative_to(raw).as_posix()
    return path.resolve().is_relative_to(raw.resolve()) or any(fnmatchcase(name, item) for item in allowed_links)


def refuse_links_out(folder: Path, raw: Path, allowed_links: Sequence[str]) -> None:
    """Refuse links below a folder of the raw folder that lead out of it, before anything is read through them.

    Raises
    ------
    InputRefusedError
        Naming the links, never what they lead to.
    """
    entries = [folder, *(folder.rglob("*") if folder.is_dir() else ())]
    links = (path for path in entries if path.is_symlink())
    out = sorted(one_line(_name(path, raw)) for path in links if not may_follow(path, raw, allowed_links))
    if out:
        more = f" and {len(out) - 5:,} more" if len(out) > 5 else ""
        raise InputRefusedError(f"{', '.join(out[:5])}{more}: {LEADS_OUT}.")


def why_useless(name: str) -> str:
    """Why a file of this name holds no records, in words; empty when it may hold some."""
    lower = name.lower()
    if lower in _SYSTEM_FILES or lower.startswith((".", "._")):
        return "a file of the operating system, no records"
    if lower.startswith("~$") or lower.startswith(".~lock"):
        return "the lock of a workbook that is or was open, no records"
    stem, _, ending = lower.rpartition(".")
    if ending in _OTHER_ENDINGS and stem:
        return f".{ending}: a program, note or picture, no records"
    if _README.match(stem or lower) and ending in ("txt", "", lower, "csv", "xls", "xlsx"):
        return "a note to the reader by its name, no records"
    return ""


def why_unfit(name: str) -> str:
    """Why no ledger can hold a name, in words; empty when it can."""
    if one_line(name) == name:
        return ""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        meant = os.fsencode(name).decode("gb18030", "replace")
        likely = f", in GBK it reads {meant}" if one_line(meant) == meant and "\ufffd" not in meant else ""
        return f"its name is not UTF-8{likely}: rename it (convmv -f gbk -t utf8 does so for a whole folder)"
    return "its name holds a line break or another control character: rename it"


def _walk(top: Path, raw: Path) -> Iterator[tuple[str, int] | Beside]:
    try:
        entries = sorted(os.scandir(top), key=lambda entry: entry.name)
    except OSError as error:
        reason = f"folder that cannot be opened ({error.strerror}): its files are not known"
        yield Beside(one_line(_name(top, raw)), "refused", reason)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if entry.name.startswith(("_", ".")):
                yield _skipped_folder(path, raw)
            else:
                yield from _walk(path, raw)
        else:
            yield _file(entry, path, raw)


def _file(entry: os.DirEntry, path: Path, raw: Path) -> tuple[str, int] | Beside:
    name = _name(path, raw)
    if reason := why_unfit(name):
        return Beside(one_line(name), "refused", reason)
    if entry.is_symlink() and not path.exists():
        return Beside(name, "link", "link that leads nowhere: mend it, or copy the file here")
    if entry.is_dir():
        return Beside(
            name, "link", "linked folder, not followed: move its files here, or land it by itself"
        )
    if not entry.is_file():
        return Beside(name, "useless", "neither a file nor a folder")
    reason = why_useless(entry.name)
    return Beside(name, "useless", reason) if reason else (name, entry.stat().st_size)


def _skipped_folder(path: Path, raw: Path) -> Beside:
    n_files = sum(len(names) for _, _, names in os.walk(path))
    return Beside(
        f"{one_line(_name(path, raw))}/", "useless",
        f"folder whose name starts with {path.name[0]}, left out with its {n_files:,} file{'' if n_files == 1 else 's'}",
    )


def _name(path: Path, raw: Path) -> str:
    return path.relative_to(raw).as_posix()


def _remote(folder: RawFolder) -> tuple[list[tuple[str, int]], list[Beside]]:
    listed = folder.list_remote()
    if any(name.startswith(f"{CUSTOMS}/") for name, _ in listed):
        listed = [(name, size) for name, size in listed if name.startswith(f"{CUSTOMS}/")]
    files: list[tuple[str, int]] = []
    beside: list[Beside] = []
    for name, size in listed:
        hidden = next((part for part in name.split("/")[:-1] if part.startswith(("_", "."))), None)
        reason = f"in a folder whose name starts with {hidden[0]}" if hidden else why_useless(name.rsplit("/", 1)[-1])
        if unfit := why_unfit(name):
            beside.append(Beside(one_line(name), "refused", unfit))
        elif reason:
            beside.append(Beside(name, "useless", reason))
        else:
            files.append((name, size))
    return files, beside
