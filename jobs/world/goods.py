"""Products and partners of the generated world: which codes exist, how popular they are, which stand for what.

Products are slots. Almost all are codes with one meaning in HS 2002 and HS 2007; a labelled few changed their code
between the two (one to one), so the product goes on under another code. Nothing in the clean set uses a code outside
the revision of its year.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from jobs.world.errors import WorldReferenceError
from jobs.world.reference import ALL_YEARS, WorldReference
from jobs.world.streams import generator
from schemas.places import OPEN_END

#: HS 2007 came into force on 1 January 2007.
FIRST_YEAR_OF_HS2007 = 2007
#: Slots whose code changed in 2007, kept few so that raw counts break only a little.
CHANGED_SLOTS = 60
#: How strongly cities agree on what is popular: weight of the common ranking against a city's own draw.
COMMON_TASTE = 0.8
#: Partner codes in rough order of China's exports; the rest follow at random.
LEADING_PARTNERS = (
    "502", "110", "116", "133", "304", "309", "303", "132", "143", "601", "307", "344", "501", "111", "138", "122",
    "312", "410", "429", "112", "136", "131", "141", "301", "315", "244", "137", "127", "139", "215",
)
#: Partner codes on sound records that are not destinations: China itself and "unknown".
SELF, UNKNOWN = "142", "701"
#: A territory that counts as the economy it belongs to.
TERRITORY, TERRITORY_HOST = "207", "ESP"


@dataclass(frozen=True)
class Goods:
    """Code tables of the world; positions into ``codes`` and ``partners`` stand for texts everywhere else."""

    seed: int
    reference: WorldReference

    @cached_property
    def _table(self) -> pd.DataFrame:
        return self.reference.table("hs6_codes").set_index("hs6_code")

    @cached_property
    def codes(self) -> np.ndarray:
        """All six-digit codes of any revision, as text."""
        return self._table.index.to_numpy(dtype=object)

    @cached_property
    def starts_with_zero(self) -> np.ndarray:
        """Whether a code is of chapters 01 to 09."""
        return np.array([code[0] == "0" for code in self.codes])

    @cached_property
    def slots(self) -> np.ndarray:
        """Positions in ``codes``, shape (n_slots, 2): under HS 2002 and under HS 2007."""
        position = {code: k for k, code in enumerate(self.codes)}
        old, new = set(self._valid("2002")), set(self._valid("2007"))
        pairs = self.reference.table("hs6_conversions")
        pairs = pairs[(pairs["from_revision"].str[-4:] == "2007") & (pairs["to_revision"].str[-4:] == "2002")]
        moved = {row.from_hs6: row.to_hs6 for row in pairs.itertuples() if row.from_hs6 != row.to_hs6}
        stable = sorted((old & new) - moved.keys() - set(moved.values()))
        times_used = pd.Series(list(moved.values())).value_counts()
        renamed = [(a, b) for b, a in sorted(moved.items()) if a not in new and b not in old and times_used[a] == 1]
        both = [(code, code) for code in stable] + renamed[:CHANGED_SLOTS]
        if len(renamed) < CHANGED_SLOTS:
            raise WorldReferenceError(
                f"hs6_conversions: expected at least {CHANGED_SLOTS} codes renamed one to one from HS 2002 to HS 2007, "
                f"found {len(renamed)}. The table needs rows from 2007 to 2002; see schemas/reference/build.py."
            )
        return np.array([(position[a], position[b]) for a, b in both])

    def slot_codes(self, year: int) -> np.ndarray:
        """Positions in ``codes`` of every slot in the revision of a year."""
        return self.slots[:, int(year >= FIRST_YEAR_OF_HS2007)]

    def foreign_codes(self, year: int) -> np.ndarray:
        """Positions of codes that other revisions have and the year's has not."""
        valid = set(self._valid("2007" if year >= FIRST_YEAR_OF_HS2007 else "2002"))
        return np.array([k for k, code in enumerate(self.codes) if code not in valid])

    def _valid(self, revision: str) -> pd.Index:
        return self._table.index[self._table[f"in_hs{revision}"] == "1"]

    @cached_property
    def families(self) -> dict[tuple[str, str], str]:
        """(Revision, code) to family; codes without a row are families of their own."""
        table = self.reference.table("hs6_families")
        return dict(zip(zip(table["revision"].str[-4:], table["hs6_code"], strict=True), table["family"], strict=True))

    def family(self, position: int, year: int) -> str:
        """Family of a code in the revision of a year."""
        code = self.codes[position]
        return self.families.get(("2007" if year >= FIRST_YEAR_OF_HS2007 else "2002", code), code)

    @cached_property
    def partners(self) -> pd.DataFrame:
        """All partners in order of their code."""
        return self.reference.table("partners").sort_values("code", ignore_index=True)

    def partner(self, code: str) -> int:
        """Position of a partner code."""
        return self._partner_positions[code]

    @cached_property
    def _partner_positions(self) -> dict[str, int]:
        return {code: position for position, code in enumerate(self.partners["code"])}

    @cached_property
    def destinations(self) -> np.ndarray:
        """Positions of partners that are one economy each in every year, most popular first."""
        table = self.partners
        always = (table["valid_from"].replace("", "0").str[:4].astype(int) <= ALL_YEARS[0]) & (
            table["valid_to"].replace("", str(OPEN_END)).str[:4].astype(int) > ALL_YEARS[-1]
        )
        single = table[table["kind"].eq("normal") & always & table["iso3"].ne("")].drop_duplicates("iso3")
        leading = [code for code in LEADING_PARTNERS if code in set(single["code"])]
        rest = single.index[~single["code"].isin(leading)].to_numpy()
        first = [self.partner(code) for code in leading]
        return np.concatenate([first, generator(self.seed, "partners").permutation(rest)]).astype(int)

    @cached_property
    def partner_spellings(self) -> list[list[str]]:
        """Other names of each partner, in order of ``partners``; no codes."""
        table = self.reference.table("partner_aliases")
        known = table[~table["alias"].str.fullmatch(r"[0-9]+")]
        names = {code: sorted(group["alias"]) for code, group in known.groupby("code")}
        return [
            [alias for alias in names.get(row.code, ()) if alias != row.name_zh] or [row.name_zh]
            for row in self.partners.itertuples()
        ]

    def taste(self, city_id: str) -> tuple[np.ndarray, np.ndarray]:
        """City's order of slots and of destinations: the first P and D are traded, so the sets are nested over years."""
        rng = generator(self.seed, "taste", city_id)
        common = generator(self.seed, "taste").permutation(len(self.slots))
        return _ranked(rng, common), self.destinations[_ranked(rng, np.arange(len(self.destinations)))]


def _ranked(rng: np.random.Generator, common_rank: np.ndarray) -> np.ndarray:
    """Order by a common ranking with Gumbel noise: Zipf-like popularity, other tails in every city."""
    return np.argsort(COMMON_TASTE * np.log1p(common_rank) - (1 - COMMON_TASTE) * 3 * rng.gumbel(size=len(common_rank)))
