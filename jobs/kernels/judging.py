"""Judge parsed records: the rules of a file of conf/rules asked of a batch, in their order."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from conf.rules import Rule
from jobs.kernels.parsing import spelt_out


def judge_records(records: pl.DataFrame, rules: Sequence[Rule]) -> pl.Series:
    """The names of all rules each record fails, in the rules' order; empty for a record to keep.

    A condition that is null does not refuse. A final rule ends the list for the records it refuses.

    Parameters
    ----------
    records : DataFrame
        With all columns that the rules' conditions name.
    rules : sequence of Rule
        Conditions in the SQL that Spark and Polars have in common; at most 64.

    Returns
    -------
    Series of lists of str, named ``reasons``
    """
    failed = records.select(
        pl.sql_expr(rule.when).fill_null(False).cast(pl.Boolean).alias(rule.name) for rule in rules
    )
    bits, is_closed = pl.repeat(0, len(records), dtype=pl.UInt64, eager=True), pl.repeat(False, len(records), eager=True)
    for place, rule in enumerate(rules):
        fails = failed.get_column(rule.name)
        bits += (fails & ~is_closed).cast(pl.UInt64) * (1 << place)
        if rule.final:
            is_closed = is_closed | fails
    return spelt_out(bits, [rule.name for rule in rules]).alias("reasons")
