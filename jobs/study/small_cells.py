"""Cells of few firms, left empty in what leaves the lake: with one or two firms a cell tells what one of them sells.

The rule is a number of firms (``privacy.fewest_firms``, three by default). Keys and numbers of firms stay, so that a reader
sees which cells are empty and why. In trade mix a second member of the same city and year is emptied where only one is
small, since the members sum to the city. Where nobody can tell how many firms a cell has (an older product did not count
them, or the table that knows is gone), it counts as one of few. The lake itself keeps every cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas import gold, silver
from schemas.indicators import (
    CITY_DIVERSITY,
    CITY_DYNAMICS,
    CITY_FIRM,
    CITY_MARGINS,
    FIRM_MEASURES,
    TRADE_MIX,
    VARIETY_MEASURES,
)
from schemas.panel import CITY_PANEL, OUTCOMES, scaled_name
from schemas.table import Table

#: Tables of which every row is one firm's: they leave the lake only where the rule is off.
OF_ONE_FIRM = (CITY_FIRM,)
_STATE_COUNTS = {
    "entrant": "n_entrants", "exiter": "n_exiters", "surviving_entrant": "n_surviving_entrants", "incumbent": "n_incumbents",
}
#: Columns of the panel that are exports of the city and nothing else.
PANEL_OUTCOMES = (
    *(outcome.source for outcome in OUTCOMES), *(outcome.name for outcome in OUTCOMES),
    *(scaled_name(outcome.name) for outcome in OUTCOMES),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """How the small cells of a table are told.

    Attributes
    ----------
    emptied : tuple of (str, tuple of str)
        Condition in SQL, ``{k}`` for the least number of firms, and the columns that are emptied where it holds.
    firms : str
        Subquery with the number of firms ``_n_firms`` by ``on``, for a table that has none itself; empty otherwise.
    on : tuple of str
        Columns that it is joined by.
    """

    emptied: tuple[tuple[str, tuple[str, ...]], ...]
    firms: str = ""
    on: tuple[str, ...] = ()


def _others(table: Table, *kept: str) -> tuple[str, ...]:
    return tuple(name for name in table.columns if name not in (*table.key, *kept))


def _dynamics() -> tuple[tuple[str, tuple[str, ...]], ...]:
    counts = ("n_firms", "n_entrants_new", "n_entrants_moved_in", "n_entrants_annexed", *_STATE_COUNTS.values())
    rates = tuple(
        name for name in FIRM_MEASURES if name.startswith(("entry_rate", "exit_rate", "survival"))
    )
    measures = (*FIRM_MEASURES, *VARIETY_MEASURES)
    emptied = [("n_firms < {k}", tuple(name for name in measures if name not in (*counts, *rates)))]
    for state, count in _STATE_COUNTS.items():
        columns = [name for name in measures if f"_{state}_" in name]
        emptied.append((f"{count} > 0 AND {count} < {{k}}", tuple(columns)))
    few = [f"({count} > 0 AND {count} < {{k}})" for count in ("n_entrants", "n_incumbents")]
    # the mean of all, and of one part, tell the other part; so does its share
    emptied.append((" OR ".join(few), ("share_value_entrants", "value_entrant_mean_usd", "value_incumbent_mean_usd")))
    return tuple(emptied)


_FEW = "coalesce(n_firms, 0) < {k}"
_TERMS = tuple(name for name in CITY_MARGINS.columns if name.startswith("change_"))
_FEW_MOVE = " OR ".join(
    f"({count} > 0 AND {count} < {{k}})" for count in ("n_entrants", "n_exiters", "(n_firms - n_entrants)")
)
RULES: Mapping[str, Rule] = {
    gold.CITY_EXPORTS.name: Rule(((_FEW, _others(gold.CITY_EXPORTS, "n_firms", "city_name", "province_code")),)),
    gold.CITY_PRODUCT_DESTINATION.name: Rule(
        (("coalesce(_n_firms, 0) < {k}", ("value_usd", "n_records")),),
        "SELECT year, city_id, hs6_code, partner_code, count(DISTINCT firm_id) AS _n_firms FROM {declarations} GROUP BY ALL",
        gold.CITY_PRODUCT_DESTINATION.key,
    ),
    TRADE_MIX.name: Rule((
        (
            f"{_FEW} OR (sum(CAST({_FEW} AS INT)) OVER _part = 1 AND row_number() OVER _ordered = 2)",
            ("value_usd", "share_value"),
        ),
    )),
    CITY_MARGINS.name: Rule((
        (_FEW, _others(CITY_MARGINS, "n_firms", "series_break", "n_entrants", "n_exiters")),
        ("n_firms - n_entrants + n_exiters < {k}", ("value_before_usd", "value_change_usd", *_TERMS)), (_FEW_MOVE, _TERMS),
    )),
    CITY_DIVERSITY.name: Rule(((_FEW, _others(CITY_DIVERSITY, "n_firms", "n_possible", "series_break")),)),
    CITY_DYNAMICS.name: Rule(_dynamics()),
    CITY_PANEL.name: Rule(
        (("coalesce(_n_firms, {k}) < {k}", PANEL_OUTCOMES),),
        "SELECT year, city_id, coalesce(n_firms, 0) AS _n_firms FROM {exports}", ("year", "city_id"),
    ),
}
_WINDOWS = (
    " WINDOW _part AS (PARTITION BY year, city_id, dimension),"
    f" _ordered AS (PARTITION BY year, city_id, dimension ORDER BY {_FEW} DESC, value_usd, member)"
)
#: Tables that the number of firms is looked up in, by their place in a rule.
LOOKED_UP = {"declarations": silver.DECLARATION, "exports": gold.CITY_EXPORTS}


def lookups_of(name: str) -> list[str]:
    """Places of the tables that a rule looks up."""
    return [place for place in LOOKED_UP if f"{{{place}}}" in RULES[name].firms]


def suppressed_sql(
    table: Table, source: str, smallest: int, lookups: Mapping[str, str], *, columns: Sequence[str] = ()
) -> str:
    """A query for the rows of a table without its small cells; ``_small_cell`` marks the rows that lost something.

    Parameters
    ----------
    source : str
        Name of the relation with the rows.
    smallest : int
        Least number of firms.
    lookups : mapping
        Place in a rule (:data:`LOOKED_UP`) to the relation with that table's rows; without one that it needs, every cell is
        empty.
    columns : sequence of str
        Those that the relation has; all of the table when not given.
    """
    rule = RULES[table.name]
    is_known = all(place in lookups for place in lookups_of(table.name))
    conditions = [
        (f"coalesce({condition.format(k=smallest)}, false)" if is_known else "true", set(names))
        for condition, names in rule.emptied
    ]
    selected = []
    for name in columns or table.columns:
        where = [condition for condition, names in conditions if name in names]
        empty = " OR ".join(where)
        selected.append(f"CASE WHEN {empty} THEN NULL ELSE {name} END AS {name}" if where else name)
    mark = " OR ".join(condition for condition, _ in conditions)
    joined = f" LEFT JOIN ({rule.firms.format(**lookups)}) USING ({', '.join(rule.on)})" if rule.firms and is_known else ""
    windows = _WINDOWS.format(k=smallest) if table is TRADE_MIX else ""
    return f"SELECT {', '.join(selected)}, ({mark}) AS _small_cell FROM {source}{joined}{windows}"
