"""What is done to records before they are written, as plain values that executors can be given."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace


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


def keyed_hash(key: str, text: str) -> str:
    """HMAC-SHA256 as 64 hexadecimal digits."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
