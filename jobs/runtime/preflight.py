"""Before anything starts: every fault of a command line, its settings, layouts and folders at once; no session, no lake made.

What a step finds in the data is its own business; what can be known from names and small files is said here, all of it
together, so that nobody mends one fault a minute.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from conf.errors import SettingsError
from conf.layouts import LayoutError, load_layouts
from conf.secrets import holds_secret, redact
from conf.settings import Settings, load_settings
from jobs.core.errors import EXIT_REFUSED, CustomsLakeError, InputRefusedError
from jobs.core.years import parse_years
from jobs.runtime.command_line.catalogue import Command
from jobs.runtime.command_line.parser import nearest

#: A check of one command: raises what is wrong.
Check = Callable[[argparse.Namespace, Settings], None]
#: Settings that name a file of the user's own.
USER_FILES = (
    "places.user_postcodes", "places.user_units", "places.user_cities", "places.user_regions", "count.user_correlations",
    "plausible.totals",
)
#: Options that may be addresses.
ADDRESSES = ("lake", "raw", "out", "config")
T = TypeVar("T")


class Faults:
    """Errors caught one after the other, to be raised together."""

    def __init__(self) -> None:
        self.found: list[Exception] = []

    def of(self, call: Callable[..., T], *arguments: Any, **options: Any) -> T | None:
        """Result of a call; None when it is at fault."""
        try:
            return call(*arguments, **options)
        except (CustomsLakeError, SettingsError, LayoutError) as error:
            if str(error) not in map(str, self.found):
                self.found.append(error)
            return None

    def refuse(self) -> None:
        """Raise the one error as it is, or several as one.

        Raises
        ------
        InputRefusedError
            With a line for each.
        """
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            lines = "\n".join(f"  {number}. {_indented(error)}" for number, error in enumerate(self.found, start=1))
            error = InputRefusedError(f"{len(self.found)} things to mend first; nothing was started or changed.\n{lines}")
            # a damaged lake is what a scheduler must hear of, whatever else is wrong
            error.exit_code = max(getattr(one, "exit_code", EXIT_REFUSED) for one in self.found)
            raise error


def refuse_faults(chosen: Command, own: Iterable[Check], arguments: argparse.Namespace) -> None:
    """Look at all that can be wrong before a command begins.

    Parameters
    ----------
    chosen : Command
        What it needs.
    own : iterable of Check
        Checks of this command alone; asked when the settings can be read.
    arguments : Namespace
    """
    if getattr(arguments, "check_cluster", False):
        # it finds the same, with what is wrong on the nodes beside it
        return
    faults = Faults()
    for option in ADDRESSES:
        faults.of(_refuse_key, option, getattr(arguments, option, None))
    # a store is not asked with them
    faults.refuse()
    settings = _settings_of(arguments, faults)
    faults.of(parse_years, getattr(arguments, "years", None))
    _check_raw(chosen, getattr(arguments, "raw", None), faults)
    if chosen.reads_layouts:
        faults.of(load_layouts)
    if getattr(arguments, "lake", None) is not None:
        faults.of(_check_lake, chosen, arguments)
    out = getattr(arguments, "out", None)
    if out is not None and chosen.writes_folder:
        faults.of(_check_folder, Path(out))
    if settings is not None:
        for path in _missing_files(settings):
            faults.of(_refuse, path)
        for check in own:
            faults.of(check, arguments, settings)
    faults.refuse()


def _settings_of(arguments: argparse.Namespace, faults: Faults) -> Settings | None:
    if not hasattr(arguments, "set"):
        return None
    return faults.of(
        load_settings, profile=arguments.profile, config_file=getattr(arguments, "config", None), overrides=arguments.set
    )


def _refuse_key(option: str, address: object) -> None:
    if address is not None and holds_secret(str(address)):
        raise InputRefusedError(
            f"--{option} {redact(str(address))}: a key or password in an address can be read by every user of the machine (in"
            " the list of processes) and would be kept. Give it in the environment, such as AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, and the address without it."
        )


def _check_raw(chosen: Command, raw: Path | str | None, faults: Faults) -> None:
    if raw is None and chosen.needs_raw:
        faults.of(_refuse, "--raw is missing: the folder with the delivered files.")
    if isinstance(raw, Path) and not raw.is_dir():
        faults.of(_refuse, no_folder("--raw", raw))


def no_folder(option: str, folder: Path) -> str:
    """The sentence for a folder that is not there, with the one beside it that looks like it."""
    if folder.exists():
        return f"{option} {folder}: expected a folder, found a file."
    beside = folder.absolute().parent
    names = [one.name for one in beside.iterdir() if one.is_dir()] if beside.is_dir() else []
    meant = nearest(folder.name, names) if names else None
    return f"{option} {folder}: no such folder.{f' Did you mean {folder.parent / meant}?' if meant else ''}"


def _check_lake(chosen: Command, arguments: argparse.Namespace) -> None:
    """Open the lake for looking, as the command will open it; a store that only Java reads is opened by the command."""
    from jobs.core.damage import refuse_damage
    from jobs.core.reading import LakeReader, can_look

    root = arguments.lake
    if chosen.lake == "any" or not can_look(root):
        return
    local = None if "://" in root else Path(root)
    if local is not None and local.exists() and not local.is_dir():
        raise InputRefusedError(f"--lake {root}: expected a folder, found a file.")
    refuse_damage(root, raw=getattr(arguments, "raw", None))
    # it need not be listed a second time
    arguments.is_checked = True
    LakeReader.look(root, may_be_new=chosen.lake == "new")
    if local is not None and chosen.lake == "new":
        _check_writable("--lake", local)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputRefusedError(f"--out {folder}: expected a folder, found a file.")
    _check_writable("--out", folder)


def _check_writable(option: str, folder: Path) -> None:
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise InputRefusedError(f"{option} {folder}: nothing can be written in {place}. Name a folder that you may write to.")


def _missing_files(settings: Settings) -> list[str]:
    shown = settings.shown()
    sentences = []
    for name in USER_FILES:
        section, key = name.split(".")
        value = str(shown[section][key] or "")
        for path in filter(None, map(str.strip, value.split(","))):
            if "://" not in path and not Path(path).exists():
                sentences.append(f"{name} = {path}: no such file (set by {settings.origins.get(name, 'default')}).")
    return sentences


def _refuse(sentence: str) -> None:
    raise InputRefusedError(sentence)


def _indented(error: Exception) -> str:
    return str(error).replace("\n", "\n     ")
