"""What of persons and firms may be written to a lake: the settings' policy, held against what the lake was loaded under.

The lake remembers in ``_privacy.json`` how its bronze was loaded and with which key (a check of it, never the key), so
that pseudonyms of two keys never stand side by side. Erased firms and files are remembered as keyed hashes
(``ops.erasure``): a later load of the same records leaves them out, and nobody can read from it who was erased. The key
of these hashes is ``privacy.key`` if there is one; else the lake's own, which keeps a search out, but not somebody who
holds the lake and tries every code.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

from conf.privacy import Privacy
from conf.settings import Settings
from jobs.core.errors import LakeError
from jobs.core.lake import Lake
from jobs.core.protection import STATE, Protection, keyed_hash
from schemas import bronze, ops

#: How a lake was loaded that does not say it.
UNSAID = {"personal_columns": "keep", "firm_codes": "as_is", "key_check": ""}


def policy_of(settings: Settings) -> dict[str, str]:
    """What the settings ask for, as the lake remembers it."""
    privacy = settings.privacy
    uses_key = "pseudonymise" in (privacy.personal_columns, privacy.firm_codes)
    check = keyed_hash(privacy.key, "check")[:16] if uses_key else ""
    return {"personal_columns": privacy.personal_columns, "firm_codes": privacy.firm_codes, "key_check": check}


def stored_policy(lake: Lake) -> dict[str, str] | None:
    """How the lake's bronze was loaded; None when it holds nothing yet."""
    state = _state(lake)
    if "personal_columns" in state:
        return {name: str(state.get(name, "")) for name in UNSAID}
    return dict(UNSAID) if lake.exists(bronze.DECLARATION) else None


def write_policy(lake: Lake, settings: Settings) -> None:
    """Remember that the lake's bronze is as the settings ask."""
    _write_state(lake, _state(lake) | policy_of(settings))


def protection_of(lake: Lake, settings: Settings) -> Protection:
    """The protection for loading, by the settings and what was erased; the lake's first load decides its policy.

    Raises
    ------
    LakeError
        If bronze was loaded under another policy or key, or the key of its erasures is not given.
    """
    _refuse_other_policy(lake, settings)
    return wanted_protection(lake, settings)


def firm_protection_of(lake: Lake, settings: Settings) -> Protection:
    """The protection for tables of firms: as :func:`protection_of`, whatever bronze holds of persons.

    Raises
    ------
    LakeError
        If the lake's firms have other codes than the settings ask for.
    """
    stored, wanted = stored_policy(lake), policy_of(settings)
    if stored is not None and stored["firm_codes"] != wanted["firm_codes"]:
        _refuse_other_policy(lake, settings)
    return wanted_protection(lake, settings)


def wanted_protection(lake: Lake, settings: Settings) -> Protection:
    """The protection that the settings ask for, whatever the lake was loaded under: for a rewrite to it."""
    wanted = settings.privacy
    protection = Protection(
        wanted.personal_columns, wanted.firm_codes, str(wanted.key), "address" in settings.places.fallbacks
    )
    erased = lake.rows(ops.ERASURE)
    if not erased:
        return protection
    return replace(
        protection, erasure_key=erasure_key(lake, wanted),
        erased_firms=frozenset(row["tombstone"] for row in erased if row["erasure_kind"] == "firm"),
        lengths=frozenset(row["code_length"] for row in erased if row["erasure_kind"] == "firm"),
        erased_files=frozenset(row["tombstone"] for row in erased if row["erasure_kind"] == "file"),
    )


def erasure_key(lake: Lake, privacy: Privacy) -> str:
    """Key of the hashes of what was erased; the lake's first erasure decides where it comes from.

    Raises
    ------
    LakeError
        If the erasures were made with a key that is not the one given.
    """
    state = _state(lake)
    if "erasure_key" not in state and lake.rows(ops.ERASURE):
        raise LakeError(
            f"{lake.root}: {STATE} is gone or lacks the key of what was erased from this lake; erased records would come back."
            " Restore it from a copy. Without one, load into a new lake and erase there."
        )
    if "erasure_key" not in state:
        own = "" if privacy.key else secrets.token_hex(32)
        check = keyed_hash(privacy.key, "erasure")[:16] if privacy.key else ""
        state |= {"erasure_key": own, "erasure_check": check}
        _write_state(lake, state)
    if state["erasure_key"]:
        return str(state["erasure_key"])
    if not privacy.key or keyed_hash(privacy.key, "erasure")[:16] != state["erasure_check"]:
        raise LakeError(
            f"{lake.root}: records were erased from it under a privacy.key, and {'another' if privacy.key else 'no'} key is"
            " given: nothing could be loaded without bringing them back. Give the key of the erasure."
        )
    return keyed_hash(privacy.key, "erasure key")


def refuse_other_policy(lake: Lake, settings: Settings) -> None:
    """Refuse settings that ask for another policy than the one the lake says it was loaded under.

    A run that has nothing to load and a plan call this: what the lake holds of persons may be against the settings although
    nothing is new. A lake that does not say its policy, of an older product, goes on to be read.

    Raises
    ------
    LakeError
        With the way out.
    """
    if "personal_columns" in _state(lake):
        _refuse_other_policy(lake, settings)


def _refuse_other_policy(lake: Lake, settings: Settings) -> None:
    stored, wanted = stored_policy(lake), policy_of(settings)
    if stored is None:
        write_policy(lake, settings)
        return
    if stored == wanted:
        return
    if can_be_rewritten(stored, wanted):
        raise LakeError(
            f"{lake.root}: bronze was loaded with privacy.personal_columns = {stored['personal_columns']} and firm_codes ="
            f" {stored['firm_codes']}; the settings ask for {wanted['personal_columns']} and {wanted['firm_codes']}. Rewrite"
            f" bronze with `customs-lake migrate --lake {lake.root}`, or give the former settings."
        )
    refuse_rewrite(lake, stored, wanted)


def refuse_rewrite(lake: Lake, stored: dict[str, str], wanted: dict[str, str]) -> None:
    """Refuse to go on when bronze of one policy cannot be made that of another.

    Raises
    ------
    LakeError
    """
    if can_be_rewritten(stored, wanted):
        return
    raise LakeError(
        f"{lake.root}: bronze was loaded with privacy.personal_columns = {stored['personal_columns']} and firm_codes ="
        f" {stored['firm_codes']}{' under another key' if stored['key_check'] != wanted['key_check'] else ''}; what was left"
        " out or replaced cannot be had back. Give the former settings, or load into a new lake."
    )


def can_be_rewritten(stored: dict[str, str], wanted: dict[str, str]) -> bool:
    """Tell whether bronze of one policy can be made that of another without the raw files."""
    persons = stored["personal_columns"], wanted["personal_columns"]
    firms = stored["firm_codes"], wanted["firm_codes"]
    same_key = not stored["key_check"] or not wanted["key_check"] or stored["key_check"] == wanted["key_check"]
    persons_can = persons[0] in ("keep", persons[1]) or persons == ("pseudonymise", "leave_out")
    return same_key and persons_can and firms[0] in ("as_is", firms[1])


def _state(lake: Lake) -> dict[str, Any]:
    text = lake.store.read_text(STATE)
    if text is None:
        return {}
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise LakeError(
            f"{lake.root}: {STATE} cannot be read ({error}). Restore it from a copy: it says how firms were made pseudonyms"
            " and which were erased."
        ) from error


def _write_state(lake: Lake, state: dict[str, Any]) -> None:
    lake.store.write_text(STATE, json.dumps(state, sort_keys=True) + "\n")
