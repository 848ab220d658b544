"""The estimate job on tables of one's own, without an engine: failures end it, other forms have folders of their own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jobs import estimate
from jobs.core.errors import InputRefusedError
from jobs.study.handoff import HandOff, result_tables, spec_hash

TABLE = """number = 9
where = "year >= 2004"
[panel]
extra = "mine.csv"
[[column]]
dependent = "lnvalue"
exogenous = ["lnrd", "mine"]
[[column]]
dependent = "lnvalue"
where = "year > 2090"
"""


@pytest.fixture
def folder(tmp_path, study):
    place = tmp_path / "mine"
    place.mkdir()
    keys = study[0].natural[["city_id", "year"]]
    keys.assign(mine=range(len(keys)), spare=1).iloc[1:].to_csv(place / "mine.csv", index=False)
    (place / "mine.toml").write_text(TABLE, encoding="utf-8")
    return place


def test_a_column_without_estimates_ends_the_command_and_not_the_run(folder, tmp_path, study, settings, monkeypatch):
    lake = SimpleNamespace(root=str(tmp_path), origin=lambda: "delivered")
    context = SimpleNamespace(lake=lake, out=tmp_path / "out", raw=None, rebuild=True, settings=settings)
    monkeypatch.setattr(estimate, "collect_panel", lambda given, at: HandOff(study[0], 1, 1, {}, "hash"))
    monkeypatch.setattr(estimate, "_store", lambda *given: True)
    asked = {"tables": "9", "profiles": ("defensible",), "table_files": folder}
    ended = estimate.run(context, **asked, failures_stop=True, layout="plain", language="zh")
    assert "mine (defensible) (2) lnvalue: sample full: no city-year" in ended.unfinished
    assert "1 row of the panel without a row of the file" in ended.detail and "truth" not in ended.detail
    assert (tmp_path / "out" / "defensible-plain-zh" / "mine.tex").is_file()
    assert not estimate.run(context, **asked).unfinished
    assert (tmp_path / "out" / "defensible" / "mine.tex").is_file()


def test_other_values_of_ones_own_column_are_another_specification(folder):
    before = spec_hash(result_tables("9", "defensible", folder)[0])
    text = (folder / "mine.csv").read_text("utf-8")
    (folder / "mine.csv").write_text(text.replace(",5,1\n", ",5.5,1\n"), encoding="utf-8")
    assert spec_hash(result_tables("9", "defensible", folder)[0]) != before


def test_names_and_files_that_are_not_there_are_refused_together(folder):
    (folder / "other.toml").write_text('number = 10\n[[column]]\ndependent = "lnmoon"\ncluster = "land"\n', encoding="utf-8")
    (folder / "mine.csv").unlink()
    with pytest.raises(InputRefusedError, match=r"(?s)mine \[panel\].*mine.csv.*'lnmoon'.*cluster: 'land'"):
        result_tables("all", "defensible", folder)
