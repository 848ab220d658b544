"""A lake held against published totals: ratio and verdict of every figure, on small frames, without Spark.

The lake's side is long (year, flow, measure, dimension, member, value), and so is what is published. Several editions of
one figure may be published (a first release and a revision): the nearest counts. A printed figure is known to half a unit
of its last place, so that much is always allowed on top of the tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from conf.plausible import Plausible
from jobs.kernels.trade_codes import section_of

#: What a figure is told apart by.
KEY = ("year", "flow", "measure", "dimension", "member")
REFERENCE_COLUMNS = (*KEY, "value", "precision", "edition", "source")
#: Groups that customs' releases print: the EU of 2007-2013, and ASEAN.
GROUPS = {
    "EU27": "AUT BEL BGR CYP CZE DEU DNK ESP EST FIN FRA GBR GRC HUN IRL ITA LTU LUX LVA MLT NLD POL PRT ROU SVK SVN SWE",
    "ASEAN": "BRN IDN KHM LAO MMR MYS PHL SGP THA VNM",
}
AGREES, OFF, EXTRACT = "agrees", "off", "extract"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the lake beside what is published.

    Attributes
    ----------
    year : int
    flow, measure, dimension, member : str
    found, published : float
        In US dollars, percent or numbers.
    low, high : float
        Smallest and largest ratio that agrees.
    verdict : str
        ``agrees``, ``off``, or ``extract`` where the lake is a part of the country's trade by design.
    source, reason : str
        Where the published figure stands, and the likely reason of a difference.
    """

    year: int
    flow: str
    measure: str
    dimension: str
    member: str
    found: float
    published: float
    low: float
    high: float
    verdict: str
    source: str
    reason: str = ""

    @property
    def ratio(self) -> float:
        """Found to published."""
        return self.found / self.published

    @property
    def is_total(self) -> bool:
        """Whether it is the value of a whole year."""
        return self.measure == "value" and self.dimension == "all"

    @property
    def metric(self) -> str:
        """Its name in ops.quality."""
        return "_".join(filter(None, ("plausible", self.flow, self.measure, self.dimension, self.member)))

    @property
    def name(self) -> str:
        """In words, such as ``export value, partner USA``."""
        part = "" if self.dimension == "all" else f", {self.dimension.replace('_', ' and ')} {self.member}"
        return f"{self.flow} {self.measure.replace('_', ' ')}{part}"


def found_figures(sums: pd.DataFrame, statistics: pd.DataFrame | None = None) -> pd.DataFrame:
    """The lake's figures: values of every member, sections, groups of partners, shares, and statistics of exporters.

    Parameters
    ----------
    sums : DataFrame
        As :func:`jobs.transforms.trade_sums.trade_sums` gives them, with floats.
    statistics : DataFrame, optional
        As :func:`jobs.transforms.trade_sums.exporter_statistics` gives them.
    """
    values = sums.assign(measure="value", value=sums["value_usd"].astype(float).fillna(0.0))[[*KEY, "value"]]
    chapters, partners = values[values["dimension"] == "chapter"], values[values["dimension"] == "partner"]
    sections = chapters.assign(dimension="section", member=chapters["member"].map(section_of))
    grouped = [
        partners[partners["member"].isin(members.split())].assign(member=name) for name, members in GROUPS.items()
    ]
    more = pd.concat([sections, *grouped]).groupby(list(KEY), as_index=False)["value"].sum()
    frames = [values, more, _shares(values)]
    if statistics is not None and len(statistics):
        frames.append(statistics.assign(flow="export")[[*KEY, "value"]].dropna(subset="value"))
    return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def _shares(values: pd.DataFrame) -> pd.DataFrame:
    """Percent of the value that a kind of ownership holds, of the year and within a regime; what is unreadable counts."""
    owned = values[values["dimension"].isin(["ownership", "regime_ownership"])]
    within = owned["member"].where(owned["dimension"] == "regime_ownership", "/").str.partition("/")[0]
    keys = [owned["year"], owned["flow"], owned["dimension"], within]
    whole = owned["value"].groupby(keys).transform("sum")
    return owned.assign(measure="share", value=100 * owned["value"] / whole)[whole > 0]


def judge(found: pd.DataFrame, published: pd.DataFrame, bounds: Plausible) -> list[Figure]:
    """Figures of the lake's years for which something is published, in order, without reasons.

    Parameters
    ----------
    found : DataFrame
        As :func:`found_figures` gives them.
    published : DataFrame
        ``REFERENCE_COLUMNS``, and ``tolerance`` where a source brings its own (else missing).
    """
    totals = found[(found["measure"] == "value") & (found["dimension"] == "all") & (found["value"] > 0)]
    present = set(zip(totals["year"], totals["flow"], strict=True))
    values: dict[tuple[object, ...], float] = dict(zip(_keys(found), found["value"], strict=True))
    nearest: dict[tuple[object, ...], Figure] = {}
    for row in published.to_dict("records"):
        key = tuple(row[name] for name in KEY)
        value = values.get(key, _if_absent(row))
        if key[:2] not in present or value is None or not row["value"]:
            continue
        figure = _judged(row, value, bounds)
        former = nearest.get(key)
        if former is None or abs(figure.ratio - 1) < abs(former.ratio - 1):
            nearest[key] = figure
    order = sorted(nearest.values(), key=lambda item: (item.year, item.flow, not item.is_total, item.metric))
    return _mark_extracts(order, bounds)


def _if_absent(row: Mapping[str, object]) -> float | None:
    """A member that no record has holds nothing; a statistic that could not be computed cannot be judged."""
    return 0.0 if row["measure"] in ("value", "share") or row["dimension"] == "partner" else None


def _judged(row: Mapping[str, object], value: float, bounds: Plausible) -> Figure:
    is_total = row["measure"] == "value" and row["dimension"] == "all"
    own = row.get("tolerance")
    tolerance = bounds.tolerance_total if is_total else bounds.tolerance_part
    if own is not None and own == own:
        tolerance = float(str(own))
    published = float(str(row["value"]))
    margin = tolerance + float(str(row["precision"])) / abs(published)
    low, high = 1 - margin, 1 + margin
    verdict = AGREES if low - 1e-12 <= value / published <= high + 1e-12 else OFF
    return Figure(
        int(str(row["year"])), str(row["flow"]), str(row["measure"]), str(row["dimension"]), str(row["member"]),
        value, published, low, high, verdict, str(row["source"]),
    )


def _mark_extracts(figures: Sequence[Figure], bounds: Plausible) -> list[Figure]:
    """Mark all figures of a direction whose every total is a small part of the country's: a sample, a city, a product."""
    small = {
        flow: all(item.ratio < bounds.extract_below for item in figures if item.is_total and item.flow == flow)
        for flow in {item.flow for item in figures if item.is_total}
    }
    return [replace(item, verdict=EXTRACT) if small.get(item.flow) else item for item in figures]


def _keys(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(frame[list(KEY)].itertuples(index=False, name=None))
