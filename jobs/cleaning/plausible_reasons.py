"""The likely reason of a difference from published totals, in words, from what the lake's own sums look like."""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from conf.plausible import Plausible
from jobs.cleaning.plausibility import EXTRACT, OFF, Figure

# how near a total must come to what a reason predicts, as a share of the published total
NEAR = 0.01
# a month below this part of the median month is half there, one above this multiple is there twice
THIN_MONTH, THICK_MONTH = 0.35, 1.7
SMALL_CHAPTERS = tuple(f"{number:02d}" for number in range(1, 10))
# of a year with monthly files: fewer months carry no pattern
ENOUGH_MONTHS = 4
#: Factors by which a value is off when it is in another unit.
UNITS = {
    1e-3: "thousands of US dollars", 1e-4: "ten thousands of US dollars", 1e-6: "millions of US dollars", 100.0: "US cents",
}
# yuan to the dollar, 2000-2016
YUAN = (6.0, 8.4)


@dataclass(frozen=True, slots=True)
class YearSums:
    """What one year and direction of the lake holds, by member; the values of all years for comparison.

    Attributes
    ----------
    members : dict
        Dimension to member to US dollars.
    unreadable : int
        Records without a readable value.
    names : dict
        SHA-256 to the name of a delivered file.
    small_chapters_elsewhere : float
        Median share of chapters 01 to 09 in the other years; 0 when there are none.
    other_flows : dict
        Value of the other directions of the year.
    """

    members: Mapping[str, Mapping[str, float]]
    unreadable: int
    names: Mapping[str, str]
    small_chapters_elsewhere: float
    other_flows: Mapping[str, float]

    def of(self, dimension: str) -> dict[str, float]:
        """Members with a value of one dimension, without what cannot be read."""
        return {name: value for name, value in self.members.get(dimension, {}).items() if name and value > 0}

    @property
    def total(self) -> float:
        """Value of the year."""
        return sum(self.members.get("all", {}).values())

    @property
    def small_chapters(self) -> float:
        """Share of chapters 01 to 09."""
        chapters = self.of("chapter")
        return sum(chapters.get(name, 0.0) for name in SMALL_CHAPTERS) / max(sum(chapters.values()), 1.0)


def explain(
    figures: Sequence[Figure], sums: pd.DataFrame, names: Mapping[str, str], bounds: Plausible
) -> list[Figure]:
    """Give every figure that is off its likely reason.

    Parameters
    ----------
    figures : sequence of Figure
        Judged.
    sums : DataFrame
        As :func:`jobs.transforms.trade_sums.trade_sums` gives them.
    names : dict
        SHA-256 to the name of a delivered file.
    """
    years = {key: _year_sums(sums, *key, names) for key in {(item.year, item.flow) for item in figures}}
    totals = {(item.year, item.flow): item for item in figures if item.is_total}
    unit = _unit_of_all(list(totals.values()))
    explained = []
    for item in figures:
        year, total = years[item.year, item.flow], totals.get((item.year, item.flow))
        if unit:
            item = replace(item, verdict=OFF, reason=unit)
        elif item.verdict == EXTRACT:
            item = replace(item, reason="the lake holds an extract; national totals cannot judge it, totals of your own can")
        elif item.verdict == OFF:
            reason = _of_total(item, year) if item.is_total else _of_part(item, year, total, bounds)
            item = replace(item, reason=reason)
        explained.append(item)
    return explained


def lost_chapters(sums: pd.DataFrame) -> dict[int, str]:
    """Years whose exports of chapters 01 to 09 are gone although the other years have them, with the sentence to print.

    Needs no published figure: lost leading zeros or a spoilt file show against the lake's own other years.
    """
    found = {}
    for year in sorted(set(sums.loc[sums["flow"] == "export", "year"])):
        one = _year_sums(sums, year, "export", {})
        usual = one.small_chapters_elsewhere
        if usual > 0.002 and one.small_chapters < 0.1 * usual and len(one.of("chapter")) > 1:
            found[int(year)] = (
                f"chapters 01-09 hold {one.small_chapters:.2%} of the value, {usual:.2%} in the other years: codes lost"
                " their leading zeros, or their records are missing"
            )
    return found


def _year_sums(sums: pd.DataFrame, year: int, flow: str, names: Mapping[str, str]) -> YearSums:
    here = sums[(sums["year"] == year) & (sums["flow"] == flow)]
    members = {
        str(name): dict(zip(part["member"], part["value_usd"].astype(float), strict=True))
        for name, part in here.groupby("dimension")
    }
    wholes = sums[(sums["year"] == year) & (sums["dimension"] == "all") & (sums["flow"] != flow)]
    others = dict(zip(wholes["flow"], wholes["value_usd"].astype(float), strict=True))
    unreadable = int(here.loc[here["dimension"] == "all", "n_unreadable"].sum())
    return YearSums(members, unreadable, names, _usual_small_chapters(sums, year, flow), others)


def _usual_small_chapters(sums: pd.DataFrame, year: int, flow: str) -> float:
    rest = sums[(sums["dimension"] == "chapter") & (sums["flow"] == flow) & (sums["year"] != year) & (sums["member"] != "")]
    if rest.empty:
        return 0.0
    small = rest[rest["member"].isin(SMALL_CHAPTERS)].groupby("year")["value_usd"].sum().astype(float)
    shares = small.reindex(sorted(set(rest["year"])), fill_value=0.0) / rest.groupby("year")["value_usd"].sum().astype(float)
    return float(shares.median())


def _unit_of_all(totals: Sequence[Figure]) -> str:
    """The unit all totals are in, when every one of them is off by the same power of ten."""
    for factor, unit in UNITS.items():
        if totals and all(abs(item.ratio / factor - 1) < NEAR for item in totals):
            return f"values are in {unit}: set the unit in the layout, and load again"
    return ""


def _of_total(item: Figure, year: YearSums) -> str:
    reasons = _too_little(item, year) if item.ratio < 1 else _too_much(item, year)
    return "; ".join(reasons) or (
        "no single cause fits: compare the months and files with `customs-lake compare` and `customs-lake reconcile`"
    )


def _too_little(item: Figure, year: YearSums) -> list[str]:
    reasons = []
    months = year.of("month")
    if len(months) >= ENOUGH_MONTHS:
        missing = [number for number in range(1, 13) if f"{number:02d}" not in months]
        median = pd.Series(months).median()
        thin = [int(name) for name, value in sorted(months.items()) if value < THIN_MONTH * median]
        if missing:
            reasons.append(f"{_months(missing)} missing: no record of {item.year}-{missing[0]:02d}")
            if len(missing) > 1:
                reasons[-1] = f"{_months(missing)} missing"
        if thin:
            reasons.append(f"{_months(thin)} {'is' if len(thin) == 1 else 'are'} there in part only")
    elif months:
        reasons.append(f"only {_months(sorted(map(int, months)))} is there")
    if _has_lost_chapters(year):
        reasons.append("chapters 01-09 are near zero: codes lost their leading zeros, or their records are missing")
    unknown = year.other_flows.get("unknown", 0.0)
    if abs(year.total + unknown - item.published) < NEAR * item.published and unknown > 0:
        reasons.append(f"{unknown:,.0f} US dollars carry no mark of export or import")
    if not reasons and year.unreadable:
        reasons.append(f"{year.unreadable:,} records have no readable value")
    return reasons


def _too_much(item: Figure, year: YearSums) -> list[str]:
    surplus, reasons = year.total - item.published, []
    twice = _twin_files(year, surplus, NEAR * surplus)
    months = year.of("month")
    if twice:
        reasons.append(f"loaded twice: {twice}")
    elif abs(item.ratio - 2) < 2 * NEAR:
        reasons.append("loaded twice: the year holds every dollar two times, such as yearly and monthly files side by side")
    elif len(months) >= ENOUGH_MONTHS:
        median = pd.Series(months).median()
        thick = [int(name) for name, value in sorted(months.items()) if value > THICK_MONTH * median]
        if thick:
            reasons.append(f"{_months(thick)} {'holds' if len(thick) == 1 else 'hold'} twice the usual: loaded twice")
    if not reasons and not year.other_flows.get("import") and 1.4 < item.ratio < 2:
        reasons.append("imports are counted as exports: the lake has no imports, see the column of the direction")
    if not reasons and YUAN[0] < item.ratio < YUAN[1]:
        reasons.append("values are in yuan, not US dollars")
    return reasons


def _twin_files(year: YearSums, surplus: float, margin: float) -> str:
    """Files that hold the same dollars as another, else the one file that accounts for the surplus."""
    files = sorted(year.of("file").items(), key=lambda item: year.names.get(item[0], item[0]))
    twins = [
        f"{year.names.get(one, one)} and {year.names.get(other, other)} hold the same {value:,.0f} US dollars"
        for k, (one, value) in enumerate(files) for other, again in files[k + 1:]
        if abs(value - again) <= 1e-9 * value
    ]
    if twins:
        return "; ".join(twins[:3])
    # rows twice in one file, or a corrected file beside the former one: the file whose value comes nearest
    off = {name: min(abs(value / 2 - surplus), abs(value - surplus)) for name, value in files}
    best = min(off, key=lambda name: off[name], default="")
    return f"the surplus is what {year.names.get(best, best)} holds once" if best and off[best] < margin else ""


def _of_part(item: Figure, year: YearSums, total: Figure | None, bounds: Plausible) -> str:
    if total is not None and total.verdict == OFF and abs(item.ratio / total.ratio - 1) <= 2 * bounds.tolerance_part:
        return "as the total of the year"
    if item.dimension in ("chapter", "section") and item.ratio <= bounds.near_zero:
        small = item.member in (*SMALL_CHAPTERS, "I", "II")
        return "near zero: " + (
            "codes lost their leading zeros, or their records are missing" if small else "its records are missing"
        )
    unknown = year.members.get(item.dimension, {}).get("", 0.0)
    if item.dimension == "partner":
        more = f"; {unknown:,.0f} US dollars of the year carry a partner that is not known" if unknown > 0 else ""
        return f"the code list of another vintage, or a spelling that is not known{more}"
    if unknown > 0.001 * year.total:
        return f"{unknown:,.0f} US dollars of the year have no readable {item.dimension}"
    if item.measure not in ("value", "share"):
        return "firms, products or partners are written in another way: see firm_code and hs repairs in silver"
    return "the groups are drawn in another way, or records of one of them are missing"


def _has_lost_chapters(year: YearSums) -> bool:
    return year.small_chapters_elsewhere > 0.002 and year.small_chapters < 0.1 * year.small_chapters_elsewhere


def _months(numbers: Sequence[int]) -> str:
    """Names of months with their numbers: ``March (03)``."""
    return ", ".join(f"{calendar.month_name[number]} ({number:02d})" for number in numbers)
