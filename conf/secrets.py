"""Secrets: given by reference to the environment or a file, hidden wherever anything is printed, logged, sent or kept.

:func:`redact` is the one function that every way out uses: terminal, log file, lineage, report, ``ops`` tables. It knows
what secrets look like (user and password of an address, key ids, signatures of a shared-access address, names such as
``password=``) and every value that was read by reference in this process, whatever it looks like.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from conf.errors import SettingsError

HIDDEN = "***"
_WORDS = r"secret|password|passwd|pwd|token|credential|(?:api|access|account|private|shared|subscription)[_.-]?key|signature"
SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
_IN_TEXT = (
    # what stands before the host of an address: user:password, or a token alone; up to the last @, for it may hold one
    (re.compile(r"(\w[\w+.-]*://)[^/\s\"'<>]+@"), rf"\1{HIDDEN}@"),
    # signature of a shared-access address, and of presigned ones
    (re.compile(r"(?i)([?&;](?:sig|code|key|x-amz-signature|x-amz-credential|x-goog-signature)=)[^\s\"'&;]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(bearer|basic)\s+)?[^\s\"',;]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/-]{8,}=*"), rf"\1{HIDDEN}"),
    # name=value, name: value and "name": "value" of anything that is named like a secret
    (re.compile(rf"(?i)([\w.-]*(?:{_WORDS})[\w.-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"), rf"\1{HIDDEN}"),
    # key ids of the large object store, wherever they stand
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
)
# shorter values are words: hiding them would hide half of every sentence
_SHORTEST = 6
_known: set[str] = set()


class Secret(str):
    """A value that was read by reference: a text like any other, that shows itself as hidden in ``repr``."""

    def __repr__(self) -> str:
        return repr(HIDDEN)


def redact(value: Any) -> Any:
    """Return a copy of texts, mappings and lists in which every secret is hidden."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if SECRET_NAME.search(str(key)) and item else redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return _redacted(str(value)) if isinstance(value, (str, PurePath)) else value


def remember(value: str) -> Secret:
    """Take a value for a secret from now on, wherever it appears."""
    if len(value) >= _SHORTEST:
        _known.add(value)
    return Secret(value)


def from_reference(value: Mapping[str, Any], where: str, environment: Mapping[str, str] | None = None) -> Secret:
    """Read a secret that is given as ``{ env = "NAME" }`` or ``{ file = "PATH" }``.

    Raises
    ------
    SettingsError
        If the reference is neither, or what it names is not there or empty.
    """
    kind, name = next(iter(value.items())) if len(value) == 1 else ("", "")
    if kind not in ("env", "file") or not isinstance(name, str):
        raise SettingsError(f"{where}: expected {{ env = \"NAME\" }} or {{ file = \"PATH\" }}; found keys {', '.join(value)}.")
    if kind == "env":
        found = (os.environ if environment is None else environment).get(name, "")
        place = f"the environment variable {name}"
    else:
        try:
            found = Path(name).expanduser().read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text"
            raise SettingsError(f"{where}: the file {name} cannot be read ({reason}).") from error
        place = f"the file {name}"
    if not found:
        raise SettingsError(f"{where}: {place} is not set or empty. Set it before the command is started.")
    return remember(found)


def reference_in(text: str) -> Mapping[str, Any] | None:
    """The reference a text of the command line writes (``{env = "NAME"}``); None for any other text."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return None
    return value if isinstance(value, Mapping) else None


def holds_secret(text: str) -> bool:
    """Tell whether a text has something to hide."""
    return _redacted(text) != text


def _redacted(text: str) -> str:
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text
