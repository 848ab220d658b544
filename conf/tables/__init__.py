"""Result tables as data: one TOML file per table, `model.toml` for what they share.

A user adds a table by writing one more file, here or in a folder of his own; the estimation package gives the text its
meaning (`estimation.tables.spec`), because configuration imports nothing of the estimator.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

SHARED = "model.toml"
#: Folder of tables that show what can be written in ten lines; not part of a study unless it is asked for.
EXAMPLES = "examples"
#: Sections of options that a table can be estimated under.
STUDY_PROFILES = ("defensible", "paper")


class TableFileError(ValueError):
    """Raised when a result-table file cannot be read or is not TOML."""


def read_table_files(user_folder: str | Path | None = None) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the shared part, and each table's file by name (``table1``).

    Parameters
    ----------
    user_folder : path, optional
        A folder with further ``*.toml`` files; a file of the same name replaces the shipped one. ``examples``, where there
        is no such folder: the shipped examples.

    Raises
    ------
    TableFileError
        If the folder has no such files, or with every file that is not TOML, one a line.
    """
    shipped = resources.files("conf") / "tables"
    files = {entry.name: entry for entry in shipped.iterdir() if entry.name.endswith(".toml")}
    if user_folder is not None:
        folder = Path(user_folder)
        if str(user_folder) == EXAMPLES and not folder.is_dir():
            folder = Path(str(shipped / EXAMPLES))
        own = {path.name: path for path in sorted(folder.glob("*.toml"))}
        if not own:
            raise TableFileError(f"{user_folder}: expected result tables as *.toml, found none.")
        files |= own
    faults, parsed = [], {}
    for name, entry in sorted(files.items()):
        try:
            parsed[name] = _parse(name, entry.read_bytes())
        except TableFileError as error:
            faults.append(str(error))
    if faults:
        raise TableFileError("\n".join(faults))
    shared = parsed.pop(SHARED)
    for name, content in parsed.items():
        _locate_extra(content, files[name])
    return shared, {name.removesuffix(".toml"): content for name, content in parsed.items()}


def _locate_extra(content: dict[str, Any], entry: Any) -> None:
    """Make the address of a file of the user's own columns one beside the table that names it."""
    panel = content.get("panel")
    if isinstance(panel, dict) and isinstance(panel.get("extra"), str) and isinstance(entry, Path):
        panel["extra"] = str(entry.parent / panel["extra"])


def _parse(name: str, raw: bytes) -> dict[str, Any]:
    try:
        # editors of Windows put a mark before UTF-8
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise TableFileError(f"result table {name}: expected UTF-8, found other bytes at {error.start}.") from error
    except tomllib.TOMLDecodeError as error:
        raise TableFileError(f"result table {name}: not valid TOML ({error}).") from error
