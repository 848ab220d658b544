"""Result tables as data: what a file may say, and what is refused with which sentence."""

from __future__ import annotations

import pytest

from conf.tables import TableFileError, read_table_files
from estimation.tables import TableSpecError, parse_tables, select_tables


def _parsed(shipped, content, profile="defensible"):
    return parse_tables(shipped[0], {"mine": {"number": 9, "column": [{"dependent": "lnvalue"}]} | content}, profile=profile)


def test_the_shipped_files_are_the_papers_eight_tables_and_thirty_columns(shipped, paper):
    for profile in ("defensible", "paper"):
        tables = parse_tables(*shipped, profile=profile)
        assert [table.number for table in tables] == list(range(1, 9))
        places = {(table.number, column.position) for table in tables for column in table.columns}
        assert places == set(paper)
        for table in tables:
            for column in table.columns:
                printed = set(paper[table.number, column.position].cells)
                assert set(column.regressors) | {"L.y", "Constant"} == printed


def test_each_shipped_column_has_the_papers_sample_and_outcome(shipped, world_reference):
    statistics = world_reference.table("paper_table_stats")
    columns = {
        (table.number, column.position): column for table in parse_tables(*shipped) for column in table.columns
    }
    for row in statistics.itertuples():
        column = columns[int(row.table), int(row.column)]
        assert (column.sample.name, column.dependent) == (row.sample, row.dependent)


def test_a_user_adds_a_table_by_writing_one_file(tmp_path, shipped):
    (tmp_path / "mine.toml").write_text(
        'number = 9\ntitle = "Rich cities"\n[samples.rich]\nrule = "where"\nby = "lnfdi"\nat_least = 10.0\n'
        '[options]\nlags = [2, 3]\n[[column]]\nsample = "rich"\ndependent = "lnnum"\nresilience = "lnGrowth"\n',
        encoding="utf-8",
    )
    tables = parse_tables(*read_table_files(tmp_path))
    column = tables[-1].columns[0]
    assert [table.number for table in tables] == [*range(1, 9), 9]
    assert column.endogenous == ("lnAgg", "lnGrowth", "lnPro", "lnAgg*lnGrowth", "lnAgg*lnPro")
    assert column.options.lags == (2, 3) and column.sample.at_least == 10.0


def test_options_of_a_file_may_differ_by_profile(shipped):
    content = {"options": {"steps": 1, "paper": {"time_effects": "level"}}}
    assert _parsed(shipped, content)[0].columns[0].options.steps == 1
    assert _parsed(shipped, content, "paper")[0].columns[0].options.time_effects == "level"
    assert _parsed(shipped, {}, "paper")[0].columns[0].options.time_effects == "none"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"colour": "red"}, "unknown colour; expected number, title"),
        ({"model": {"regressors": ["lnAgg"]}}, r"mine \[model\]: unknown regressors"),
        ({"options": {"trim": "half"}}, "options.trim: expected one of"),
        ({"options": {"lags": [2]}}, r"options.lags: expected \[first, last\]"),
        ({"column": [{"sample": "full"}]}, "column 1: expected `dependent"),
        ({"column": [{"dependent": "lnvalue", "sample": "north"}]}, "sample 'north' is not defined"),
        ({"samples": {"odd": {"rule": "trim"}}}, "needs `by`"),
        ({"samples": {"odd": {"rule": "size"}}}, "needs `classes`"),
        ({"samples": {"odd": {"rule": "trim", "by": "lnvalue", "below_percentile": 95, "above_percentile": 90}}},
         "below_percentile < above_percentile"),
        ({"number": "nine"}, "expected `number = N`"),
        ({"column": [{"dependent": "lnvalue", "dependent_lags": -1}]}, "dependent_lags must be a whole number"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_allowed(shipped, content, message):
    with pytest.raises(TableSpecError, match=message):
        _parsed(shipped, content)


def test_two_tables_with_one_number_and_unknown_selections_are_refused(shipped, tmp_path):
    table = {"number": 1, "column": [{"dependent": "lnvalue"}]}
    with pytest.raises(TableSpecError, match=r"the numbers \[1\] are used twice"):
        parse_tables(shipped[0], {"a": table, "b": table})
    with pytest.raises(TableSpecError, match="expected one of defensible, paper"):
        parse_tables(*shipped, profile="mine")
    with pytest.raises(TableSpecError, match=r"found 11; expected all, or some of 1 \(table1\)"):
        select_tables(parse_tables(*shipped), "1,11")
    assert [table.number for table in select_tables(parse_tables(*shipped), "4, table1")] == [4, 1]
    with pytest.raises(TableFileError, match="found none"):
        read_table_files(tmp_path)
    (tmp_path / "broken.toml").write_text("number = = 3", encoding="utf-8")
    with pytest.raises(TableFileError, match="broken.toml: not valid TOML"):
        read_table_files(tmp_path)
