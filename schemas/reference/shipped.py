"""Reading of the shipped reference tables, from a clone, a wheel or a zip alike."""

from __future__ import annotations

from importlib import resources

import pandas as pd

from schemas.places import TABLES

#: Tables of the lake's layer ``ref``; each is declared once, in schemas/places.py.
TABLE_NAMES = tuple(sorted(table.name.partition(".")[2] for table in TABLES))
#: The paper's printed numbers, which a study is compared with and no table of the lake holds.
PAPER_TABLES = ("paper_table_stats", "paper_tables")
#: Published figures of trade, which a lake is held against.
PUBLISHED_TABLES = ("trade_totals",)


def read_shipped(name: str) -> pd.DataFrame:
    """Return a shipped table; every column is text, empty cells are empty strings.

    Raises
    ------
    KeyError
        If no table of that name is shipped.
    """
    known = (*TABLE_NAMES, *PAPER_TABLES, *PUBLISHED_TABLES)
    if name not in known:
        raise KeyError(f"reference table {name!r}: expected one of {', '.join(known)}.")
    with (resources.files("schemas") / "reference" / f"{name}.csv").open("r", encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=str, keep_default_na=False)
