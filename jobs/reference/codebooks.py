"""The shipped product and partner tables turned into the tables that records are joined with.

Conversions are shipped between neighbouring revisions, newer to older; here they are chained to every base revision. A
code of an older revision is carried forward only when exactly one newer code comes from it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl

from conf.settings import BASE_REVISIONS
from jobs.core.errors import InputRefusedError
from jobs.core.user_tables import read_user_frame
from schemas.reference.shipped import read_shipped

CORRELATION_COLUMNS = ("from_revision", "to_revision", "from_hs6", "to_hs6")
REVISIONS = ("1996", "2002", "2007", "2012", "2017", "2022")


class BaseRevisionError(ValueError):
    """Raised when the base revision is not one that the conversions reach."""


class ProductFileError(InputRefusedError):
    """Raised when a user's file of correlations cannot be used."""


def product_codes(
    codes: pd.DataFrame | None = None, conversions: pd.DataFrame | None = None, families: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per revision and code with its family and its code in each base revision; None where there is none.

    Parameters
    ----------
    codes, conversions, families : DataFrame, optional
        The reference tables ``hs6_codes``, ``hs6_conversions``, ``hs6_families``; the shipped ones by default.
    """
    codes = read_shipped("hs6_codes") if codes is None else codes
    conversions = read_shipped("hs6_conversions") if conversions is None else conversions
    families = read_shipped("hs6_families") if families is None else families
    family = {(row.revision, row.hs6_code): row.family for row in families.itertuples()}
    steps = _steps(conversions)
    rows = []
    for revision in REVISIONS:
        for code in codes.loc[codes[f"in_hs{revision}"].astype(int) == 1, "hs6_code"]:
            converted = [_convert(code, revision, base, steps) for base in BASE_REVISIONS]
            rows.append((revision, code, family.get((revision, code), code), *converted))
    columns = ["hs_revision", "hs6_code", "hs6_family", *(f"hs6_{base}" for base in BASE_REVISIONS)]
    return pd.DataFrame(rows, columns=columns)


def link_families(families: pd.DataFrame, correlations: pd.DataFrame) -> pd.DataFrame:
    """Families with those joined that a correlation connects; the smallest name stands for all of them.

    Parameters
    ----------
    families : DataFrame
        ``hs6_code, revision, family``.
    correlations : DataFrame
        ``from_revision, to_revision, from_hs6, to_hs6``: pairs of codes that share goods, as in the UN's tables.
    """
    family = {(row.revision, row.hs6_code): row.family for row in families.itertuples()}
    joined = {name: name for name in families["family"]}

    def root(name: str) -> str:
        while joined[name] != name:
            name = joined[name]
        return name

    for row in correlations.itertuples():
        before, after = family.get((row.from_revision, row.from_hs6)), family.get((row.to_revision, row.to_hs6))
        if before is not None and after is not None:
            first, second = sorted((root(before), root(after)))
            joined[second] = first
    return families.assign(family=[root(name) for name in families["family"]])


def read_correlations(path: str | Path) -> pd.DataFrame:
    """Read a user's CSV of correlations: ``from_revision, to_revision, from_hs6, to_hs6``; extra columns are ignored.

    Raises
    ------
    ProductFileError
        If the file is absent, lacks a column, or names a revision or a code that the shipped list of codes has not.
    """
    table = read_user_frame(Path(path), CORRELATION_COLUMNS, error=ProductFileError)
    codes = read_shipped("hs6_codes").set_index("hs6_code")
    for end in ("from", "to"):
        known = [
            f"in_hs{revision}" in codes.columns and code in codes.index and codes.at[code, f"in_hs{revision}"] == "1"
            for revision, code in zip(table[f"{end}_revision"], table[f"{end}_hs6"], strict=True)
        ]
        if not all(known):
            line = table.index[known.index(False)]
            raise ProductFileError(
                f"{path}, line {line}: expected a code of HS {', '.join(REVISIONS)} with six digits; found "
                f"{table.at[line, f'{end}_hs6']!r} of {table.at[line, f'{end}_revision']!r} ({known.count(False)} such rows)."
                " Correct the file, or leave its setting empty."
            )
    return table[list(CORRELATION_COLUMNS)]


def partner_aliases(partners: pd.DataFrame | None = None, aliases: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per spelling: alias, partner_code, country_iso3, partner_kind.

    Parameters
    ----------
    partners, aliases : DataFrame, optional
        The reference tables ``partners`` and ``partner_aliases``; the shipped ones by default.
    """
    partners = read_shipped("partners") if partners is None else partners
    aliases = read_shipped("partner_aliases") if aliases is None else aliases
    joined = aliases.merge(partners, on="code", how="left", validate="many_to_one")
    joined = joined.rename(columns={"code": "partner_code", "iso3": "country_iso3", "kind": "partner_kind"})
    joined["country_iso3"] = [code or None for code in joined["country_iso3"]]
    # a code with its name behind it, 502美国: only together are they a spelling, so a code of another list finds nothing
    names = joined.loc[~joined["alias"].str[0].str.isdigit(), ["alias", "partner_code", "country_iso3"]]
    # of an economy with codes of both vintages either may stand there
    codes = joined.loc[joined["alias"] == joined["partner_code"], ["partner_code", "country_iso3", "partner_kind"]]
    own = names[["alias", "partner_code"]].merge(codes, on="partner_code")
    shared = names.dropna()[["alias", "country_iso3"]].merge(codes.dropna(), on="country_iso3")
    both = pd.concat([own, shared], ignore_index=True)[joined.columns.intersection(own.columns)]
    both = both.assign(alias=both["partner_code"] + both["alias"]).drop_duplicates("alias")
    joined = pd.concat([joined, both[~both["alias"].isin(joined["alias"])]], ignore_index=True)
    return joined[["alias", "partner_code", "country_iso3", "partner_kind"]]


def product_table(
    codes: pd.DataFrame | None = None, *, base_revision: str = "2002", user_correlations: str | Path = ""
) -> pl.DataFrame:
    """Products as :class:`jobs.kernels.parsing.CodeTables` has them, families joined by a user's file of correlations.

    Parameters
    ----------
    codes : DataFrame, optional
        As of :func:`product_codes`, instead of the shipped tables and the user's.
    base_revision : str
        Revision to convert to.

    Raises
    ------
    BaseRevisionError
        If the base revision is not one that the conversions reach.
    """
    if base_revision not in BASE_REVISIONS:
        raise BaseRevisionError(f"base revision: expected one of {', '.join(BASE_REVISIONS)}; found {base_revision!r}.")
    if codes is None and user_correlations:
        codes = product_codes(families=link_families(read_shipped("hs6_families"), read_correlations(user_correlations)))
    table = _texts(product_codes() if codes is None else codes)
    return table.select("hs_revision", "hs6_code", pl.col(f"hs6_{base_revision}").alias("hs6_converted"), "hs6_family")


def partner_table() -> pl.DataFrame:
    """Spellings of partners as :class:`jobs.kernels.parsing.CodeTables` has them."""
    return _texts(partner_aliases())


def _texts(table: pd.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(table[name].tolist(), dtype=pl.String) for name in table.columns})


def _steps(conversions: pd.DataFrame) -> dict[tuple[str, str, str], str | None]:
    """(from, to, code) to code for neighbours both ways; forward None where several newer codes share an older one."""
    steps: dict[tuple[str, str, str], str | None] = {}
    for row in conversions.itertuples():
        steps[(row.from_revision, row.to_revision, row.from_hs6)] = row.to_hs6
        forward = (row.to_revision, row.from_revision, row.to_hs6)
        steps[forward] = None if forward in steps else row.from_hs6
    return steps


def _convert(code: str, revision: str, base: str, steps: dict) -> str | None:
    position, target = REVISIONS.index(revision), REVISIONS.index(base)
    current: str | None = code
    while position != target and current is not None:
        following = position + (1 if target > position else -1)
        current = steps.get((REVISIONS[position], REVISIONS[following], current))
        position = following
    return current
