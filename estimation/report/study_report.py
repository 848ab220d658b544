"""What the page shows: tables, the evidence beside them, the panel, and where the data came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import pandas as pd

from estimation.report.evidence import claims_of
from estimation.tables import PrintedTable, compare, count_agreement
from estimation.tables.claims import Claim, paper_channel_tests
from estimation.tables.printed import PaperColumn

Origin = Literal["generated", "mixed", "delivered", "unknown"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the data came from, as far as the lake knows.

    Attributes
    ----------
    command : str
        Command that makes the same report again.
    origin : {'generated', 'mixed', 'delivered', 'unknown'}
        Whether the data behind it are generated, delivered, or both.
    facts : dict
        Run, code version, configuration hash, panel version, time of estimation.
    versions : dict
        Table to version.
    settings : list of (setting, value, origin)
    funnel : list of (stage, count)
        From raw rows to observations.
    rejects : DataFrame
        Years by reasons, records; empty when unknown.
    missing : DataFrame
        Variable, reason, city-years.
    plausibility : DataFrame
        Year, published figure, ratio of the lake's to it, bounds and verdict; empty when nothing was compared.
    outline : dict or None
        The user's GeoJSON.
    coordinates : DataFrame
        city_id, lat, lon, name, name_zh.
    """

    command: str = ""
    origin: Origin = "unknown"
    facts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    settings: Sequence[tuple[str, str, str]] = ()
    funnel: Sequence[tuple[str, int]] = ()
    rejects: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: pd.DataFrame = field(default_factory=pd.DataFrame)
    plausibility: pd.DataFrame = field(default_factory=pd.DataFrame)
    outline: Mapping[str, object] | None = None
    coordinates: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class StudyReport:
    """What the page shows, before it is words and plots.

    Attributes
    ----------
    tables : dict
        Profile to its printed tables; the first profile is the one that is tested and judged.
    evidence : dict
        Frames of `estimation.report.evidence`, as far as they are recorded.
    panel : DataFrame
        Rows of the city panel in natural units.
    paper : dict
        (table number, column) to the paper's numbers.
    provenance : Provenance
    """

    tables: Mapping[str, Sequence[PrintedTable]]
    evidence: Mapping[str, pd.DataFrame]
    panel: pd.DataFrame
    paper: Mapping[tuple[int, int], PaperColumn]
    provenance: Provenance

    @property
    def main(self) -> list[PrintedTable]:
        """Tables of the first profile."""
        return list(next(iter(self.tables.values())))

    @property
    def is_generated(self) -> bool:
        """Whether some of the data behind it were generated."""
        return self.provenance.origin in ("generated", "mixed")

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The paper's claims, judged."""
        return claims_of(self.evidence)

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Every coefficient beside the paper's and the truth."""
        return compare(self.main)

    @cached_property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Every frame the page lists or draws, by name."""
        complete = self.panel["is_complete"].fillna(False).astype(bool)
        by_year = complete.groupby(self.panel["year"]).agg(["size", "sum"]).reset_index()
        by_year.columns = pd.Index(["year", "city_years", "complete"])
        return {
            **self.evidence,
            "agreement": count_agreement(self.comparison),
            "comparison": self.comparison,
            "paper_channels": paper_channel_tests(self.paper),
            "coverage": by_year.assign(share=by_year["complete"] / by_year["city_years"]),
            "missing": self.provenance.missing,
            "rejects": self.provenance.rejects,
            "plausibility": self.provenance.plausibility,
        }
