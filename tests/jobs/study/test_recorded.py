"""Evidence as rows of cells and back: what a report shows is what was recorded, digit for digit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jobs.study.recorded import cells_of, frames_of


def _again(frames):
    columns = ["evidence", "row_number", "evidence_column", "number", "text"]
    return frames_of(pd.DataFrame(list(cells_of(frames)), columns=columns))


def test_frames_come_back_with_their_columns_rows_and_digits():
    frames = {
        "tests": pd.DataFrame({
            "table": [1, 10], "word": ["lnvalue", "没有"], "estimate": [0.1 + 0.2, -np.inf], "gap": [np.nan, 2.5],
            "inside": [True, False],
        }),
        "claims": pd.DataFrame({"name": ["a", "b", "c"], "evidence": ["x", "", "0.5"]}),
    }
    back = _again(frames)
    assert list(back) == ["claims", "tests"]
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(back[name], frame, check_dtype=False, check_exact=True)
    assert back["tests"]["inside"].dtype == bool


def test_rows_beyond_nine_stay_in_order_and_a_first_row_without_a_value_loses_no_column():
    frame = pd.DataFrame({"n": range(12), "late": [None] * 11 + ["here"]})
    back = _again({"one": frame})["one"]
    assert list(back["n"]) == list(range(12))
    assert back["late"].iloc[11] == "here" and back["late"].iloc[:11].isna().all()


def test_all_evidence_of_a_study_comes_back(study_evidence):
    back = _again(study_evidence)
    assert set(back) == {name for name, frame in study_evidence.items() if len(frame)}
    for name, frame in back.items():
        was = study_evidence[name]
        assert len(frame) == len(was) and list(frame) == list(was), name
        numbers = was.select_dtypes("number").columns
        for column in numbers:
            expected = was[column].astype(float).to_numpy()
            assert frame[column].astype(float).to_numpy() == pytest.approx(expected, nan_ok=True, rel=0), (name, column)
