"""A file that loses its records is noticed although its year keeps its bounds; no JVM."""

from __future__ import annotations

import pytest

from jobs.cleaning.file_quality import Count, alarm_sentences, judge_files

BOUNDS = {"max_share_reason": 0.9, "min_kept_to_neighbours": 0.5}


def _month(month, *, kept=900, year=2005, name="data{}{:02d}.csv", **refused):
    file = name.format(year, month)
    reasons = {None: kept, "import": 400, "county": 80} | refused
    return [Count(year, file, month, reason, n) for reason, n in reasons.items() if n]


def _alarms(counts, **bounds):
    return {item.source_file: item.alarm for item in judge_files(counts, **BOUNDS | bounds) if item.alarm}


def _year(months=range(1, 12)):
    return [count for month in months for count in _month(month)]


def test_months_alike_raise_no_alarm_and_are_all_measured():
    counts = _year()
    judged = judge_files(counts, **BOUNDS)
    assert _alarms(counts) == {} and len(judged) == 11
    first = judged[0]
    assert (first.covered_period, first.n_exports, first.n_imports, first.n_rows_kept) == ("2005-01", 980, 400, 900)
    assert first.share_kept == first.share_kept_neighbours == 900 / 980
    assert (first.main_reason, first.share_main_reason) == ("county", 80 / 980)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        ({"postcode_missing": 2651, "county": 0}, "refused 100% of its 2,651 exports, the files beside it keep 92%"),
        ({"hs_malformed": 950}, "hs_malformed refused 92% of its 1,030 exports"),
        ({"hs_malformed": 500, "destination_unknown": 500, "county": 80}, "0 of 1,080 exports of 2005-12 kept"),
    ],
)
def test_month_that_loses_its_records_is_named_among_eleven_good_ones(refused, words):
    (alarm,) = _alarms([*_year(), *_month(12, kept=0, **refused)]).items()
    assert alarm[0] == "data200512.csv" and words in alarm[1]


def test_half_of_what_the_neighbours_keep_is_the_bound():
    assert _alarms([*_year(), *_month(12, kept=500, hs_malformed=400)]) == {}
    assert "data200512.csv" in _alarms([*_year(), *_month(12, kept=400, hs_malformed=500)])


def test_file_of_imports_only_is_an_alarm_unless_its_name_says_so():
    only = [Count(2005, "data200512.csv", 12, "import", 1_300)]
    alarm = _alarms([*_year(), *only])["data200512.csv"]
    assert "all 1,300 records are imports, but the files beside it hold exports" in alarm
    named = [Count(2005, "Raw_import_200512.dta", 12, "import", 1_300)]
    assert _alarms([*_year(), *named]) == {}
    alone = [Count(2005, "export1_2005.dta", None, "import", 1_300)]
    assert "its name says exports" in _alarms(alone)["export1_2005.dta"]


def test_year_of_one_file_is_held_against_the_years_beside_it():
    years = [
        count for year, kept, bad in ((2007, 9_000, 500), (2008, 0, 9_000), (2009, 9_000, 500))
        for count in (Count(year, f"{year}.dta", None, None, kept), Count(year, f"{year}.dta", None, "hs_malformed", bad))
        if count.n
    ]
    assert list(_alarms(years, max_share_reason=1.0)) == ["2008.dta"]


def test_months_of_one_yearly_file_are_told_apart():
    counts = [count for month in range(1, 13) for count in _month(month, name="{}.dta")]
    counts = [Count(c.year, c.source_file, c.month, "hs_malformed" if c.month == 3 and c.reason is None else c.reason, c.n)
              for c in counts]
    (alarm,) = [item for item in judge_files(counts, **BOUNDS) if item.alarm]
    assert alarm.covered_period == "2005-03"


def test_a_record_or_two_are_chance_and_many_alarms_are_counted():
    assert _alarms([*_year(), Count(2005, "rest.csv", None, "hs_malformed", 2)]) == {}
    bad = [Count(2005, f"f{k}.csv", None, "hs_malformed", 50) for k in range(8)]
    sentences = alarm_sentences(judge_files([*_year(), *bad], **BOUNDS))
    assert len(sentences) == 6 and sentences[-1] == "and 3 more files, see ops.file_quality"


def test_records_without_a_date_are_no_file_of_their_own():
    """They are put together by the fault itself: all refused, which says nothing of the file."""
    assert _alarms([*_year(), Count(2005, "several_years.csv", None, "year_unknown", 50)]) == {}
    assert _alarms([*_year(), Count(2005, "several_years.csv", None, "hs_malformed", 50)]) != {}
