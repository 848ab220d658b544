"""Section ``privacy``: what of the records' persons and firms enters the lake, and who may read what is written.

None of it changes a result: a pseudonym keeps what the study reads of a firm's code (its place of registration, and that
two records are of one firm).
"""

from __future__ import annotations

from dataclasses import dataclass

from conf.errors import SettingsError, require_one_of

PERSONAL = ("leave_out", "pseudonymise", "keep")
FIRM_CODES = ("as_is", "pseudonymise")
SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True)
class Privacy:
    """Section ``privacy``.

    Attributes
    ----------
    personal_columns : str
        Telephone, fax, e-mail and contact person: ``leave_out`` (never written), ``pseudonymise`` (a keyed hash, equal
        for equal persons), ``keep``.
    firm_codes : str
        ``as_is``, or ``pseudonymise``: a keyed hash beside the four digits of the place of registration; names of
        firms are left out with it.
    key : str
        Key of the pseudonyms and of what is remembered of erased records, 16 characters or more. By reference only:
        ``{ env = "NAME" }`` or ``{ file = "PATH" }``, outside the lake.
    group_access : bool
        Lake, exports, reports and logs may be read by the owner's group; false: by the owner only.
    allowed_links : tuple of str
        Names or patterns, below the raw folder, of links that may lead out of it; all others are refused.
    fewest_firms : int
        Cells of fewer firms are left empty in what leaves the lake: exports, queries, the report. 0 or 1: none.
    """

    personal_columns: str = "leave_out"
    firm_codes: str = "as_is"
    key: str = ""
    group_access: bool = False
    allowed_links: tuple[str, ...] = ()
    fewest_firms: int = 3

    def __post_init__(self) -> None:
        require_one_of("privacy", "personal_columns", self.personal_columns, PERSONAL)
        require_one_of("privacy", "firm_codes", self.firm_codes, FIRM_CODES)
        if "pseudonymise" in (self.personal_columns, self.firm_codes) and not self.key:
            raise SettingsError(
                'privacy.key: pseudonyms need a key. Give it by reference, `key = { env = "CUSTOMS_LAKE_KEY" }` or'
                ' `{ file = "PATH" }`, and keep it outside the lake: with another key joins over years are lost.'
            )
        if self.fewest_firms < 0:
            raise SettingsError(f"privacy.fewest_firms: expected a number of firms, 0 or more; found {self.fewest_firms}.")
        if self.key and len(self.key) < SHORTEST_KEY:
            raise SettingsError(f"privacy.key: expected {SHORTEST_KEY} characters or more; found {len(self.key)}.")

    @property
    def umask(self) -> int:
        """Rights that are taken from every file and folder that is made."""
        return 0o027 if self.group_access else 0o077
