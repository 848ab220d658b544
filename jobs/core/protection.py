"""What is done to records before they are written, as plain values that executors can be given."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conf.privacy import FIRM_CODES, PERSONAL

if TYPE_CHECKING:
    from jobs.core.stored_files import StoredFiles

#: How a lake's bronze was loaded, and the key of what was erased from it.
STATE = "_privacy.json"


@dataclass(frozen=True, slots=True)
class Protection:
    """What is done to every batch of records before it is written; plain values, so that executors can be given it.

    Attributes
    ----------
    personal_columns, firm_codes : str
        As of the settings.
    key : str
        Of the pseudonyms.
    keeps_address : bool
        Addresses of firms stay although their codes are pseudonyms: places are decided by them.
    erasure_key : str
        Of the hashes of what was erased.
    erased_firms : frozenset of str
        Hashes of erased firms' codes.
    lengths : frozenset of int
        Lengths of these codes.
    erased_files : frozenset of str
        Hashes of erased files' SHA-256.
    """

    personal_columns: str = "leave_out"
    firm_codes: str = "as_is"
    key: str = ""
    keeps_address: bool = True
    erasure_key: str = ""
    erased_firms: frozenset[str] = frozenset()
    lengths: frozenset[int] = frozenset()
    erased_files: frozenset[str] = frozenset()

    @property
    def changes_firms(self) -> bool:
        """Tell whether anything is done to a table of firms."""
        return self.firm_codes == "pseudonymise" or bool(self.erased_firms)

    def hash_of_firm(self, code: str) -> str:
        """Hash under which an erased firm is remembered."""
        return keyed_hash(self.erasure_key, f"firm:{code}")

    def hash_of_file(self, sha256: str) -> str:
        """Hash under which an erased file is remembered."""
        return keyed_hash(self.erasure_key, f"file:{sha256}")

    def without(self, firms: Iterable[str]) -> Protection:
        """Protection under which some more firms are erased."""
        codes = frozenset(firms)
        return replace(
            self, erased_firms=self.erased_firms | {self.hash_of_firm(code) for code in codes},
            lengths=self.lengths | {len(code) for code in codes},
        )


def state_fault(files: StoredFiles, *, has_erasures: bool) -> str:
    """What is odd about how a lake remembers its policy; empty when nothing is.

    Parameters
    ----------
    files : StoredFiles
    has_erasures : bool
        Something was erased: no hash of it is made without a key. Without, a lake of an older product has no such file.
    """
    kind = files.kind(STATE)
    if kind == "nothing":
        return "is gone, and with it the key of what was erased" if has_erasures else ""
    if kind != "file":
        return {"folder": "is a folder, not a file", "dangling": "is a link to nowhere"}.get(kind, "is no file")
    content = files.read(STATE) or b""
    try:
        state = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return f"is not JSON ({str(error)[:80]})" if content else "is empty"
    if not isinstance(state, dict) or not all(isinstance(value, str) for value in state.values()):
        return "has odd values: expected names and texts"
    allowed = {"personal_columns": PERSONAL, "firm_codes": FIRM_CODES}
    odd = [name for name, values in allowed.items() if name in state and state[name] not in values]
    lacks_key = has_erasures and not (state.get("erasure_key") or state.get("erasure_check"))
    return f"has an odd {odd[0]}" if odd else "lacks the key of what was erased" if lacks_key else ""


def keyed_hash(key: str, text: str) -> str:
    """HMAC-SHA256 as 64 hexadecimal digits."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
