"""The rules of a file of conf/rules asked of a frame; batches of declarations are asked by jobs/kernels/judging.py."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.rules import Rule


def apply_rules(parsed: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """Add ``reasons``: the names of all rules a record fails, in the rules' order; empty for a record to keep.

    A condition that is null does not refuse. A final rule ends the list for the records it refuses.
    """
    failed = []
    closed = F.lit(False)
    for rule in rules:
        condition = F.coalesce(F.expr(rule.when), F.lit(False))
        failed.append(F.when(condition & ~closed, F.lit(rule.name)))
        if rule.final:
            closed = closed | condition
    return parsed.withColumn("reasons", F.array_compact(F.array(*failed)))
