"""What a lake is held against: the shipped figures, the totals of a generated world, or a user's own file.

A user's file is a CSV of four columns and more (docs/methodology/plausibility.md), an extract of BACI or one of UN
Comtrade, as they come; which of them it is shows in its headings.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from jobs.cleaning.plausibility import REFERENCE_COLUMNS
from jobs.core.errors import InputRefusedError
from jobs.core.stored_files import files_beside
from jobs.kernels.trade_codes import ROMAN
from schemas.reference.shipped import read_shipped

DIMENSIONS = (
    "all", "partner", "section", "chapter", "province", "regime", "ownership", "regime_ownership", "month",
)
FLOWS = {
    "export": "export", "exports": "export", "x": "export", "出口": "export",
    "import": "import", "imports": "import", "m": "import", "进口": "import",
}
MEASURES = (
    "value", "share", "exporters", "entrants", "exiters", "continuing", "surviving_entrants", "hs8",
    "value_per_exporter_mean", "hs8_per_exporter_mean", "hs8_per_exporter_median", "destinations_per_exporter_mean",
    "destinations_per_exporter_median",
)
CHINA = "156"
#: BACI reconciles what both partners report, free on board; China's own records differ from it by several percent.
BACI_TOLERANCE = 0.15
#: Comtrade carries China's own report in a later edition.
COMTRADE_TOLERANCE = 0.02
#: Other Asia, not elsewhere specified: Taiwan in the UN's statistics.
OTHER_ASIA = ("S19", "490")
WORLD_TOTALS = "trade_totals.csv"


class TotalsFileError(InputRefusedError):
    """Raised when a file of totals cannot be used."""


def shipped_totals() -> pd.DataFrame:
    """The figures that are shipped, with their source."""
    table = read_shipped("trade_totals").astype({"year": int, "value": float, "precision": float})
    return table[list(REFERENCE_COLUMNS)]


def world_totals(raw: object) -> pd.DataFrame | None:
    """Totals that the generator wrote beside its raw files, none for a world of an older version; None for real files."""
    truth = None if raw is None else files_beside(str(raw), "truth")
    if truth is None or not truth.exists("world.json"):
        return None
    content = truth.read(WORLD_TOTALS)
    if content is None:
        return pd.DataFrame(columns=list(REFERENCE_COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / WORLD_TOTALS
        path.write_bytes(content)
        return read_totals(path).assign(source="generated world")


def read_totals(path: str | Path) -> pd.DataFrame:
    """Read a user's file of totals.

    Raises
    ------
    TotalsFileError
        With the line, what was found and what is expected.
    """
    path = Path(path)
    if not path.is_file():
        raise TotalsFileError(f"{path}: no such file. Name your file of totals with --totals or plausible.totals.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TotalsFileError(f"{path}: expected a CSV file in UTF-8 with a heading; {error}.") from error
    table.columns = [str(name).strip() for name in table.columns]
    headings = {name.lower() for name in table.columns}
    if {"t", "i", "j", "k", "v"} <= headings:
        read = _from_baci(table.rename(columns=str.lower), path)
    elif headings & {"refyear", "primaryvalue", "trade value (us$)"}:
        read = _from_comtrade(table, path)
    else:
        read = _from_own(table.rename(columns=str.lower), path)
    if read.empty:
        raise TotalsFileError(f"{path}: no total of China's trade in it that can be compared. See plausibility.md.")
    return read.assign(source=path.name)


def _from_own(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """``year, value`` and, if you like, ``flow, measure, dimension, member, precision, tolerance``."""
    if missing := [name for name in ("year", "value") if name not in table]:
        raise TotalsFileError(
            f"{path}: missing {', '.join(missing)}. Expected year, value (US dollars) and, if you like, flow, dimension,"
            " member, measure, precision, tolerance; or BACI's columns t, i, j, k, v; or Comtrade's."
        )
    defaults = {"flow": "export", "measure": "value", "dimension": "all", "member": "", "precision": "0", "tolerance": ""}
    table = table.assign(**{name: value for name, value in defaults.items() if name not in table})
    table["flow"] = table["flow"].str.strip().str.lower().map(lambda word: FLOWS.get(word or "export", word))
    for name, allowed in {"flow": ("export", "import"), "measure": MEASURES, "dimension": DIMENSIONS}.items():
        _refuse_unknown(table, path, name, allowed)
    table["member"] = [_member(*pair) for pair in zip(table["dimension"], table["member"].str.strip(), strict=True)]
    for name in ("year", "value", "precision", "tolerance"):
        table[name] = _numbers(table, path, name)
    key = ["year", "flow", "measure", "dimension", "member"]
    if (repeated := table.duplicated(key)).any():
        raise TotalsFileError(f"{path}, line {int(repeated.idxmax()) + 2}: a second total for the same figure.")
    table = table.astype({"year": int}).assign(edition="own")
    return table[[*REFERENCE_COLUMNS[:-1], "tolerance"]]


def _refuse_unknown(table: pd.DataFrame, path: Path, name: str, allowed: tuple[str, ...]) -> None:
    unknown = ~table[name].isin(allowed)
    if unknown.any():
        line = int(unknown.idxmax())
        raise TotalsFileError(
            f"{path}, line {line + 2}: {name} {table.at[line, name]!r} is not known; expected one of {', '.join(allowed)}."
        )


def _numbers(table: pd.DataFrame, path: Path, name: str) -> pd.Series:
    texts = table[name].str.strip()
    numbers = pd.to_numeric(texts, errors="coerce")
    bad = numbers.isna() & ((texts != "") | (name in ("year", "value")))
    bad |= (numbers <= 0) if name == "value" else (numbers < 0)
    if bad.any():
        line = int(bad.idxmax())
        raise TotalsFileError(f"{path}, line {line + 2}: {name} {table.at[line, name]!r}; expected a positive number.")
    return numbers.fillna(0.0) if name == "precision" else numbers


def _member(dimension: str, member: str) -> str:
    """A member as the lake writes it: ISO codes in capitals, chapters and months in two digits, sections in Roman."""
    if dimension in ("chapter", "month", "province") and member.isdigit():
        return member.zfill(2)[:2]
    if dimension == "section" and member.isdigit() and 1 <= int(member) <= len(ROMAN):
        return ROMAN[int(member) - 1]
    return member.upper() if dimension in ("partner", "section") else member


def _from_baci(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """BACI: year t, exporter i, importer j, HS6 code k, value v in thousands of US dollars."""
    table = table[(table["i"] == CHINA) | (table["j"] == CHINA)].copy()
    table["flow"] = (table["i"] == CHINA).map({True: "export", False: "import"})
    codes = _baci_countries(path)
    table["partner"] = table["j"].where(table["i"] == CHINA, table["i"]).map(codes)
    table["value"] = pd.to_numeric(table["v"].str.strip(), errors="coerce") * 1000
    table["year"] = pd.to_numeric(table["t"], errors="coerce").astype("Int64")
    table["chapter"] = table["k"].str.zfill(6).str[:2]
    parts = [_summed(table, "all", pd.Series("", table.index))]
    parts += [_summed(table, name, table[name]) for name in ("partner", "chapter")]
    return pd.concat(parts, ignore_index=True).assign(edition="BACI", tolerance=BACI_TOLERANCE)


def _baci_countries(path: Path) -> dict[str, str]:
    """BACI's own list of countries, which is delivered beside its data."""
    lists = sorted(path.parent.glob("country_codes*.csv"))
    if not lists:
        return {}
    table = pd.read_csv(lists[-1], dtype=str, keep_default_na=False, encoding="utf-8-sig")
    named = dict(zip(table["country_code"], table["country_iso3"], strict=True))
    return {code: "TWN" if name in OTHER_ASIA else name for code, name in named.items()}


def _summed(table: pd.DataFrame, dimension: str, member: pd.Series) -> pd.DataFrame:
    known = table.assign(dimension=dimension, member=member).dropna(subset=["member", "value", "year"])
    sums = known.groupby(["year", "flow", "dimension", "member"], as_index=False)["value"].sum()
    return sums[sums["value"] > 0].assign(measure="value", precision=0.0).astype({"year": int})


_COMTRADE = {
    "year": ("refYear", "period", "Year", "Period"), "flow": ("flowCode", "flowDesc", "Trade Flow"),
    "reporter": ("reporterISO", "reporterCode", "Reporter ISO", "Reporter Code"),
    "partner": ("partnerISO", "Partner ISO"), "code": ("cmdCode", "Commodity Code"),
    "value": ("primaryValue", "Trade Value (US$)"),
}
#: Rows that split a total further: by second partner, customs procedure or mode of transport.
_COMTRADE_WHOLE = {"partner2Code": ("0", ""), "customsCode": ("C00", ""), "motCode": ("0", "")}


def _from_comtrade(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """UN Comtrade, of today's service or the former: China as reporter; totals, partners and chapters."""
    chosen = {}
    for name, spellings in _COMTRADE.items():
        found = [heading for heading in spellings if heading in table]
        if not found:
            raise TotalsFileError(f"{path}: a Comtrade extract without {' or '.join(spellings)}. Ask for all columns.")
        chosen[name] = table[found[0]].str.strip()
    whole = pd.Series(True, table.index)
    for name, values in _COMTRADE_WHOLE.items():
        if name in table:
            whole &= table[name].str.strip().isin(values)
    rows = pd.DataFrame(chosen)
    rows["flow"] = rows["flow"].str.lower().map(FLOWS)
    rows = rows[whole & rows["reporter"].isin(["CHN", CHINA]) & rows["flow"].notna()].copy()
    rows["year"] = pd.to_numeric(rows["year"].str[:4], errors="coerce")
    rows["value"] = pd.to_numeric(rows["value"], errors="coerce")
    rows["partner"] = rows["partner"].replace(dict.fromkeys(OTHER_ASIA, "TWN"))
    is_world, is_total = rows["partner"].isin(["W00", "WLD", "0"]), rows["code"].str.upper() == "TOTAL"
    parts = [
        _summed(rows[is_world & is_total], "all", pd.Series("", rows.index)),
        _summed(rows[~is_world & is_total], "partner", rows["partner"]),
        _summed(rows[is_world & rows["code"].str.fullmatch(r"\d{2}")], "chapter", rows["code"]),
    ]
    return pd.concat(parts, ignore_index=True).assign(edition="Comtrade", tolerance=COMTRADE_TOLERANCE)
