"""Columns of the user's own, joined to the panel by city and year.

In: a file (CSV in any encoding, .dta, .xlsx, .parquet) with a column of city codes or names, one of years unless the values
hold for every year, and further columns. Out: the panel with these columns, and sentences on what did not match. The decision
worth knowing: a row that is there twice stops, because either value could be meant; a row that matches no city-year and a
city-year without a row are said and go on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from estimation.data_files import read_table
from estimation.errors import SpecificationError
from estimation.tables.spec import PANEL_WORDS
from estimation.tables.study import StudyPanel

#: Headings of the keys, in any case.
CODES = ("city_id", "city_code", "citycode", "code", "城市代码", "行政区划代码")
NAMES = ("city_name", "city", "cityname", "城市", "城市名称", "地级市")
YEARS = ("year", "年份", "年")
_NAME_ENDINGS = ("地区", "市", "盟")
SHOWN = 5
ID, NAME, YEAR = "_city_id", "_city_name", "_year"


def read_extra(path: str | Path, *, taken: Collection[str] = ()) -> pd.DataFrame:
    """Read a file of the user's own columns.

    Parameters
    ----------
    path : str or Path
    taken : collection of str
        Columns of the panel, which no column of the file may be called.

    Returns
    -------
    DataFrame
        ``_city_id`` or ``_city_name``, ``_year`` where the file has years, and its further columns.

    Raises
    ------
    SpecificationError
        With every fault of the file, one a line.
    """
    table = read_table(path)
    heads = {str(name).strip().lower(): name for name in table.columns}
    code, name, year = (next((heads[one] for one in known if one in heads), None) for known in (CODES, NAMES, YEARS))
    key = code if code is not None else name
    if key is None:
        raise SpecificationError(
            f"{path}: expected a column of city codes ({', '.join(CODES[:2])}) or names ({', '.join(NAMES[:2])}); found "
            f"{', '.join(map(str, table.columns))}."
        )
    faults = []
    keys = pd.DataFrame({ID: _codes(table[key])} if code is not None else {NAME: _plain_names(table[key])})
    if year is not None:
        keys[YEAR] = pd.to_numeric(table[year], errors="coerce")
        faults += _listed(path, "the year is no whole number", table[keys[YEAR].isna() | (keys[YEAR] % 1 != 0)])
    own = table.drop(columns=[one for one in (code, name, year) if one is not None])
    own.columns = [str(column).strip() for column in own.columns]
    if own.columns.empty:
        faults.append(f"{path}: expected columns beside city and year, found nothing further.")
    known = sorted(set(own.columns) & ({*taken} | set(PANEL_WORDS)))
    if known:
        faults.append(f"{path}: the panel has {', '.join(known)} already; give yours another name.")
    odd = [column for column in own.columns if not column.isidentifier()]
    if odd:
        faults.append(f"{path}: expected names of letters, digits and _, found {', '.join(map(repr, odd))}.")
    faults += _listed(path, "there twice", keys[keys.duplicated(keep=False)])
    if faults:
        raise SpecificationError("\n".join(faults))
    return pd.concat([keys, own], axis=1)


def with_extra(panel: StudyPanel, extra: pd.DataFrame, *, source: str = "extra") -> tuple[StudyPanel, tuple[str, ...]]:
    """Return the panel with the columns of `read_extra`, and what did not match.

    Raises
    ------
    SpecificationError
        When no row matches, or two cities of the panel share a name the file joins by.
    """
    natural = panel.natural
    keys = pd.DataFrame({ID: natural[panel.entity].astype(str)}) if ID in extra else pd.DataFrame(
        {NAME: _plain_names(natural["city_name"])}
    )
    if YEAR in extra:
        keys[YEAR] = natural[panel.time].astype(float)
    on = list(keys.columns)
    if NAME in keys:
        _unique_names(natural[panel.entity], keys[NAME], extra, source)
    found = keys.merge(extra, on=on, how="left", validate="m:1", indicator=True)
    matched = (found["_merge"] == "both").to_numpy()
    if not matched.any():
        raise SpecificationError(
            f"{source}: no row matches a city-year of the panel; its keys are such as {_rows(extra[on])}, the panel's such as"
            f" {_rows(keys)}."
        )
    own = [name for name in extra.columns if name not in on]
    unmatched = extra[on].merge(keys.drop_duplicates(), on=on, how="left", indicator=True).query("_merge == 'left_only'")
    notes = _listed(source, "matching no city-year of the panel", unmatched[on])
    missing = natural.loc[~matched, [panel.entity, panel.time]]
    notes += _listed(source, f"of the panel without a row of the file (of {len(natural)} city-years)", missing)
    for name in own:
        holes = found[name].isna().to_numpy() & matched
        notes += _listed(source, f"with no value of {name}", natural.loc[holes, [panel.entity, panel.time]])
    joined = natural.assign(**{name: found[name].to_numpy() for name in own})
    return replace(panel, natural=joined), tuple(notes)


def _codes(values: pd.Series) -> pd.Series:
    """Return city codes as six digits of text: 110000, 110000.0 and 1100 are the same city."""
    text = values.astype(str).str.strip().str.removesuffix(".0")
    return text.where(text.str.len() != 4, text + "00")


def _plain_names(values: pd.Series) -> pd.Series:
    """Return city names without spaces and without 市, 地区, 盟 at their end."""
    text = values.astype(str).str.replace(r"\s", "", regex=True)
    for ending in _NAME_ENDINGS:
        text = text.where(text.str.len() <= len(ending) + 1, text.str.removesuffix(ending))
    return text


def _unique_names(ids: pd.Series, names: pd.Series, extra: pd.DataFrame, source: str) -> None:
    cities = pd.DataFrame({ID: ids.astype(str), NAME: names}).drop_duplicates()
    shared = sorted(set(cities.loc[cities[NAME].duplicated(), NAME]) & set(extra[NAME]))
    if shared:
        raise SpecificationError(f"{source}: several cities are called {', '.join(shared[:SHOWN])}; join by city code.")


def _listed(source: str | Path, what: str, rows: pd.DataFrame) -> list[str]:
    """Return a sentence with the number of some rows and the first of them; nothing for no rows."""
    if rows.empty:
        return []
    return [f"{source}: {len(rows)} row{'s' if len(rows) > 1 else ''} {what}: {_rows(rows)}."]


def _rows(rows: pd.DataFrame) -> str:
    shown = [" ".join(_written(value) for value in row) for row in rows.head(SHOWN).itertuples(index=False)]
    return "; ".join(shown) + (" ..." if len(rows) > SHOWN else "")


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def table_panel(panel: StudyPanel, extra: str) -> tuple[StudyPanel, Sequence[str]]:
    """Return the panel a table is estimated on: with its own columns, if it names a file of such."""
    if not extra:
        return panel, ()
    return with_extra(panel, read_extra(extra, taken=panel.natural.columns), source=Path(extra).name)
