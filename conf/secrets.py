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
from urllib.parse import quote

from conf.errors import SettingsError

HIDDEN = "***"
_WORDS = (
    r"secret|password|passwd|passphrase|pwd|token|credential|signature|密码|口令|密钥"
    r"|(?:api|access|account|private|shared|subscription)[_.-]?key"
)
SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
# begins where the word begins: from every letter of a long one on, a search would take its square
_NAME = rf"(?<![\w.-])[\w.-]*(?:{_WORDS})[\w.-]*"
_QUOTED = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
_SCHEME = r"(?<![\w+.-])[\w+.-]*://"
_IN_TEXT = (
    # keys as files hold them, with line breaks or what stands for them
    (re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"), HIDDEN),
    # user:password before the host of an address; the password may hold a / or an @, and no port is followed by either
    (re.compile(rf"({_SCHEME})[^/\s\"'<>@:]*:(?!\d+/)[^\s\"'<>]{{0,2048}}@"), rf"\1{HIDDEN}@"),
    # a token there; in an Azure address that is the container
    (re.compile(rf"((?!(?:abfs|wasb)s?:){_SCHEME})[^/\s\"'<>]+@"), rf"\1{HIDDEN}@"),
    # the same without a scheme; a digest behind the @ is an image's
    (
        re.compile(
            r"(?:(?<=[^\w/.:+-]//)|(?<=^//)|(?<![\w/.:+-]))(?!mailto:)[\w.+-]+:[^\s/@:\"'<>]+@(?!sha\d+:)(?=\w)"
        ),
        f"{HIDDEN}@",
    ),
    (re.compile(r"(?i)(jdbc:[\w:]+:)[^\s/@]+/[^\s@]+@"), rf"\1{HIDDEN}@"),
    # signature of a shared-access address, and of presigned ones
    (re.compile(r"(?i)([?&;](?:code|key)=|\b(?:sig|x-(?:amz|goog)-(?:signature|credential))=)[^\s\"'&;]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(bearer|basic)\s+)?[^\s\"',;]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b((?:set-)?cookie[\"']?\s*:\s*)[^\r\n\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/-]{8,}=*"), rf"\1{HIDDEN}"),
    # what stores answer, and how Spark lists its settings: <name>value</name>, ('name', 'value'), a.dotted.name value
    (re.compile(rf"(?i)(<(?:[\w-]+:)?{_NAME}>)[^<]+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)([\"']{_NAME}[\"']\s*,\s*)(?:{_QUOTED})"), rf"\1'{HIDDEN}'"),
    (re.compile(rf"(?i)((?<![\w.-])(?=[\w-]*\.){_NAME}\s+)(?=\S*\d)[\w+/=~-]{{16,}}"), rf"\1{HIDDEN}"),
    # name=value, name: value and "name": "value" of anything that is named like a secret
    (re.compile(rf"(?i)({_NAME}[\"']?\s*[=:：]\s*)([\"'])(?:\\.|(?!\2)[^\\])*\2"), rf"\1\2{HIDDEN}\2"),
    (re.compile(rf"(?i)({_NAME}[\"']?\s*[=:：]\s*[\"']?)[^\s\"',;&]+"), rf"\1{HIDDEN}"),
    # key ids and tokens that tell by their form what they are: of large clouds and code hosts, signed claims, a storage key
    (re.compile(r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|LTAI[A-Za-z0-9]{12,26}|AKID[A-Za-z0-9]{13,40}|AIza[\w-]{35})\b"), HIDDEN),
    (re.compile(r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,})"), HIDDEN),
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+"), HIDDEN),
    (re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}=="), HIDDEN),
)
# of variables named like secrets: those that say where or of what kind it is
_NO_VALUE = re.compile(r"(?:file|path|provider|command|helper|ur[il]|lifetime|ttl|type|mode|store|expiration)$", re.IGNORECASE)
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
        # as it stands in addresses, too
        _known.update({value, quote(value, safe=""), quote(value)})
    return Secret(value)


def remember_environment(environment: Mapping[str, str] | None = None) -> None:
    """Take the values of all variables that are named like secrets for secrets: what a store answers may repeat them."""
    for name, value in (os.environ if environment is None else environment).items():
        # PWD is a folder, and a secret may lie in a file that is named instead
        if SECRET_NAME.search(name) and not _NO_VALUE.search(name) and not os.path.exists(value):
            remember(value)


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
