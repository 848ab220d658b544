"""Where settings come from, merged: shipped files, a user's file, the environment, ``--set``; every fault found is kept.

A source overrides the ones before it, key by key, and each value remembers its source. What is wrong is collected, so that
all of it is said at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from conf.errors import SettingsError, require_one_of
from conf.secrets import from_reference, holds_secret, reference_in, remember

ENVIRONMENT_PREFIX = "CUSTOMS_LAKE__"
# given by reference, or as a variable of the environment itself
SECRET_KEYS = ("privacy.key",)


class Sources:
    """Values of all sections, source after source.

    Parameters
    ----------
    sections : mapping
        Name of a section to its dataclass.

    Attributes
    ----------
    origins : dict
        ``section.key`` to the source of its value.
    """

    def __init__(self, sections: Mapping[str, type]) -> None:
        self.origins: dict[str, str] = {}
        self._sections = sections
        self._values: dict[str, dict[str, Any]] = {name: {} for name in sections}
        self._faults: list[str] = []

    def add_shipped(self, name: str, origin: str) -> None:
        """Add a file of this package."""
        self._add(tomllib.loads((resources.files("conf") / name).read_text("utf-8")), origin)

    def add_profile(self, name: str, known: Iterable[str]) -> None:
        """Add a profile."""
        if name in known:
            self.add_shipped(f"profiles/{name}.toml", f"profile {name}")
        else:
            self._faults.append(f"profile: expected one of {', '.join(known)}; found {name!r}.{_meant(name, known)}")

    def add_file(self, path: Path) -> None:
        """Add a user's file."""
        content = self._of(_read_user_file, path)
        self._add(content or {}, str(path))

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Add the variables that begin with :data:`ENVIRONMENT_PREFIX`."""
        for name, text in sorted(environment.items()):
            if name.startswith(ENVIRONMENT_PREFIX):
                parts = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
                self._of(self._add_text, parts, text, f"environment {name}")

    def add_overrides(self, overrides: Iterable[str]) -> None:
        """Add what was given with ``--set``."""
        for item in overrides:
            key, separator, text = item.partition("=")
            if separator:
                self._of(self._add_text, key.strip().split("."), text, "--set")
            else:
                self._faults.append(f"--set: expected section.key=value; found {item!r}.")

    def built(self) -> dict[str, Any]:
        """The sections as their dataclasses.

        Raises
        ------
        SettingsError
            With every fault of every source, a line each.
        """
        built = {}
        for name, section in self._sections.items():
            hints, before = _hints(section), len(self._faults)
            typed = {key: self._of(_typed, hints[key], value, f"{name}.{key}") for key, value in self._values[name].items()}
            # with a value of the wrong type the section cannot be judged as a whole
            built[name] = self._of(partial(section, **typed)) if len(self._faults) == before else None
        if self._faults:
            raise SettingsError("\n".join(dict.fromkeys(self._faults)))
        return built

    def _of(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Result of a call; None when it is at fault, which is kept."""
        try:
            return call(*arguments)
        except ValueError as error:
            self._faults.append(str(error))
            return None

    def _add(self, source: Mapping[str, Any], origin: str) -> None:
        for section, entries in source.items():
            self._of(self._add_section, section, entries, origin)

    def _add_section(self, section: str, entries: Any, origin: str) -> None:
        self._check_section(section, origin)
        if not isinstance(entries, Mapping):
            raise SettingsError(f"{origin}: [{section}] must be a table of keys; found {entries!r}.")
        if section == "aliases":
            self._add_aliases(entries, origin)
            return
        for key, value in entries.items():
            self._of(self._add_value, section, key, value, origin)

    def _add_aliases(self, entries: Mapping[str, Any], origin: str) -> None:
        """Add headings, which are keys whatever they are."""
        self._values["aliases"]["headings"] = self._values["aliases"].get("headings", {}) | dict(entries)
        self.origins["aliases.headings"] = origin

    def _add_value(self, section: str, key: str, value: Any, origin: str) -> None:
        self._check_key(section, key, origin)
        if f"{section}.{key}" in SECRET_KEYS and isinstance(value, str) and value:
            raise SettingsError(f'{origin}: {section}.{key} is a secret: give it by reference, {{ env = "NAME" }}.')
        is_reference = isinstance(value, Mapping) and _hints(self._sections[section])[key] is str
        self._values[section][key] = from_reference(value, f"{section}.{key}") if is_reference else value
        self.origins[f"{section}.{key}"] = origin

    def _add_text(self, parts: list[str], text: str, origin: str) -> None:
        if len(parts) != 2:
            raise SettingsError(f"{origin}: expected section.key; found {'.'.join(parts)!r}.")
        section, key = parts
        self._check_section(section, origin)
        if section == "aliases":
            self._add_aliases({key: text}, origin)
            return
        self._check_key(section, key, origin)
        self.origins[f"{section}.{key}"] = origin
        hint, reference = _hints(self._sections[section])[key], reference_in(text)
        if reference is not None and hint is str:
            self._values[section][key] = from_reference(reference, f"{section}.{key}")
            return
        is_secret = f"{section}.{key}" in SECRET_KEYS
        # of a table of further Spark settings the names are checked (Spark)
        if origin == "--set" and text and hint is str and (is_secret or holds_secret(text)):
            raise SettingsError(
                f"--set {section}.{key}: the value holds a secret, and every user of this machine can read it in the list of"
                f" processes. Give it in a file of your own as {section}.{key} = {{ env = \"NAME\" }}, or in the environment"
                f" as {ENVIRONMENT_PREFIX}{section.upper()}__{key.upper()}."
            )
        self._values[section][key] = remember(text) if is_secret else _parse_text(hint, text, f"{section}.{key}")

    def _check_section(self, section: str, origin: str) -> None:
        if section not in self._sections:
            raise SettingsError(
                f"{origin}: unknown section [{section}]; expected one of {', '.join(self._sections)}."
                f"{_meant(section, self._sections)}"
            )

    def _check_key(self, section: str, key: str, origin: str) -> None:
        known = [item.name for item in dataclasses.fields(self._sections[section])]
        if key not in known:
            raise SettingsError(
                f"{origin}: unknown key {section}.{key}; expected one of {', '.join(known)}.{_meant(key, known)}"
            )


def _read_user_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"configuration file {path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"configuration file {path}: not UTF-8 (byte {error.start}: {error.object[error.start]:#04x}). Save it as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"configuration file {path}: not valid TOML ({error}).") from error


def _meant(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f" Did you mean {found[0]}?" if found else ""


def _hints(section: type) -> dict[str, Any]:
    """Types of a section's settings; one of a few words is a text here, its own check says which."""
    return {key: str if get_origin(hint) is Literal else hint for key, hint in get_type_hints(section).items()}


def _parse_text(hint: Any, text: str, where: str) -> Any:
    if get_origin(hint) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if get_origin(hint) is dict:
        return dict(pair.split(":", 1) for pair in text.split(",") if ":" in pair)
    if hint is bool:
        section, key = where.split(".")
        require_one_of(section, key, text.lower(), ("true", "false"))
        return text.lower() == "true"
    try:
        return hint(text)
    except ValueError as error:
        raise SettingsError(f"{where}: expected {hint.__name__}; found {text!r}.") from error


def _typed(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) is tuple:
        if isinstance(value, (list, tuple)):
            item = get_args(hint)[0]
            return tuple(_typed(item, entry, where) for entry in value)
    elif get_origin(hint) is dict:
        if isinstance(value, Mapping):
            return {str(key): str(entry) for key, entry in value.items()}
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise SettingsError(f"{where}: expected {getattr(hint, '__name__', hint)}; found {value!r}.")
