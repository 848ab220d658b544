"""The Monte Carlo study on Spark gives the rows of the study in one process."""

from __future__ import annotations

import pandas as pd
import pytest

from estimation.dynamic_panel.study import run_study as run_here
from estimation.dynamic_panel.study import write_summary
from jobs.core.errors import InputRefusedError
from jobs.montecarlo import cut_into_blocks, run_study

pytestmark = pytest.mark.spark


def test_rows_do_not_depend_on_the_parts(spark, tmp_path):
    spread = run_study(spark, [40], 5, parts=3, lags_only=True, outcomes=["lnnum"]).toPandas()
    here = run_here([40], 5, lags_only=True, outcomes=["lnnum"])
    keys = ["replication", "choice", "parameter"]
    pd.testing.assert_frame_equal(
        spread.sort_values(keys, ignore_index=True), here.sort_values(keys, ignore_index=True), check_dtype=False
    )
    text = write_summary(spread, tmp_path)
    assert len(text.splitlines()) == 5 and len(pd.read_csv(tmp_path / "tests.csv")) == 3


def test_blocks_cover_every_replication_once():
    assert cut_into_blocks(10, 7, 3) == [(10, 13), (13, 16), (16, 17)]
    assert [n for start, stop in cut_into_blocks(0, 64, 64) for n in range(start, stop)] == list(range(64))


def test_nothing_to_run_is_refused(spark):
    with pytest.raises(InputRefusedError, match="at least one size"):
        run_study(spark, [], 5, parts=1)
