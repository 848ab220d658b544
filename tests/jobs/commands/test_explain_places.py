"""``places explain``: the look-ups of one question decide as the whole reference does, also for a file of questions."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import polars as pl
import pytest

from conf.settings import Places
from jobs.commands.explain_places import DECISION, PlaceQuestionError, ask, decide_places, read_questions
from jobs.commands.main import run_command
from jobs.kernels.placing import PLACE_INPUTS, PlacePolicy, place_records
from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import place_tables

N_QUESTIONS = 400
ENDINGS = ("其他", "其它", "经济技术开发区", "高新技术产业开发区", "出口加工区", "综合保税区")


@pytest.fixture(scope="module")
def book():
    return load_place_book()


def random_questions(book, seed):
    """Real prefixes, names, endings and codes put together at random, many of them contradicting each other."""
    rng = random.Random(seed)
    prefixes = list(book.prefixes["prefix"])
    names = [*book.names["alias"], *book.districts["name"], *book.district_names["alias"]]
    questions = []
    for _ in range(N_QUESTIONS):
        postcode = (rng.choice(prefixes) + f"{rng.randrange(100):02d}0")[:6] if rng.random() < 0.9 else "-"
        text = rng.choice(names) + rng.choice(("", "", rng.choice(ENDINGS))) if rng.random() < 0.8 else "某地"
        code = rng.choice(list(book.districts["code"])) if rng.random() < 0.5 else ""
        questions.append(ask(postcode, rng.randrange(2000, 2014), text, code, rng.randrange(1, 13)))
    return questions


@pytest.mark.parametrize(
    "settings", [Places(), Places(ambiguous="out", unknown_postcode="refuse", convention="approval")]
)
def test_look_ups_of_a_question_decide_as_the_whole_reference(book, settings):
    questions = random_questions(book, seed=21)
    rows = pl.DataFrame(
        [(q.year, q.month, q.postcode, q.text, q.code) for q in questions], orient="row",
        schema={name: PLACE_INPUTS[name] for name in ("year", "month", "postcode", "production_place", "district_code")},
    )
    expected = place_records(rows, place_tables(book, convention=settings.convention), PlacePolicy.of(settings))
    found = [{name: answer[name] for name in DECISION} for answer in decide_places(questions, settings)]
    assert found == expected.select(DECISION).to_dicts()
    # the questions are worth asking: every kind of outcome but one city's occurs
    assert len({row["place_reason"] for row in found}) >= 5


def test_own_postcodes_decide_here_as_well(tmp_path):
    (tmp_path / "own.csv").write_text("prefix,unit_code,valid_from,valid_to\n3120,330621,2003,2013\n", encoding="utf-8")
    (answer,) = decide_places([ask("312000", 2007, "绍兴")], Places(user_postcodes=str(tmp_path / "own.csv")))
    assert (answer["unit_code"], answer["place_reason"]) == ("330621", "COUNTY")


def test_a_record_is_explained_as_json_with_exactly_these_keys(capsys):
    assert run_command(["places", "explain", "200131", "2005", "--text", "上海浦东新区", "--code", "31222", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert tuple(answer) == (*DECISION, "evidence")
    assert (answer["city_id"], answer["unit_code"], answer["unit_type"]) == ("310000", "310115", "district")
    assert answer["place_reason"] is None and answer["place_conflict"] is None
    assert [one["unit_code"] for one in answer["evidence"]["postcode"]] == ["310115"]
    assert set(answer["evidence"]) == {"postcode", "place_text", "district_code"}


def test_no_postcode_is_a_dash_and_text_and_code_may_decide_alone(capsys):
    assert run_command(["places", "explain", "-", "2005", "--text", " 昆 山 ", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["unit_code"], answer["place_method"], answer["place_reason"]) == ("320583", "place_text", "COUNTY_CITY")
    assert answer["evidence"]["postcode"] == [] and answer["evidence"]["district_code"] is None


def test_many_are_asked_from_a_file_and_a_wrong_line_is_named(tmp_path, capsys):
    path = tmp_path / "spellings.csv"
    path.write_text("postcode,year,text\n524000,2005,湛江\n-,2005,某地\n100101,2005,北京市\n", encoding="utf-8")
    assert run_command(["places", "explain", "--file", str(path)]) == 0
    found = pl.read_csv(capsys.readouterr().out.encode(), infer_schema=False)
    assert found["city_id"].to_list() == ["440800", None, "110000"]
    assert found["place_reason"].to_list() == [None, "PLACE_UNKNOWN", None]
    path.write_text("postcode,year,text\n524000,2005,湛江\n5240,2005,湛江\n", encoding="utf-8")
    with pytest.raises(PlaceQuestionError, match=r"spellings\.csv line 3: postcode: expected six digits.*'5240'"):
        read_questions(path)
    path.write_text("postcode,jahr\n", encoding="utf-8")
    with pytest.raises(PlaceQuestionError, match="expected columns postcode, year"):
        read_questions(path)


def test_a_question_needs_neither_a_jvm_nor_pandas():
    program = (
        "import sys; from jobs.commands.explain_places import ask, decide_places; from conf.settings import Places;"
        "decide_places([ask('200131', 2005, '上海')], Places());"
        "print(sorted({'pandas', 'pyspark', 'py4j'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("postcode", "city", "unit", "kind"),
    [
        # single votes of one list in another province's block, and lists against the directory
        ("524000", "440800", "440803", "district"), ("430400", "420100", "420117", "district"),
        ("558200", None, "522726", "county"), ("154100", "230400", None, "district"),
        ("745200", "621000", "621026", "county"), ("616250", None, "513430", "county"),
        ("624300", None, "513230", "county"), ("245000", "341000", "341002", "district"),
        # no longer in the directory, and right: 新洲 before its codes changed
        ("431400", "420100", "420117", "district"),
        # core cities the lists of seats do not reach
        ("100101", "110000", None, "district"), ("100176", "110000", None, "district"),
        ("200336", "310000", None, "district"), ("510660", "440100", "440106", "district"),
        ("116600", "210200", "210213", "district"), ("163300", "230600", None, "district"),
        ("257100", "370500", None, "district"),
        # seats that were unknown
        ("061700", "130900", "130921", "county"), ("438800", "421100", "421121", "county"),
        ("200333", "310000", "310107", "district"),
    ],
)
def test_postcode_names_the_right_unit(postcode, city, unit, kind):
    (answer,) = decide_places([ask(postcode, 2005)], Places())
    assert (answer["city_id"], answer["unit_type"]) == (city, kind)
    # a prefix of several districts names none; where it names one, it is this one
    assert answer["unit_code"] in (unit, None)
    assert unit is None or kind == "district" or answer["unit_code"] == unit


def test_a_postcode_is_explained_within_a_second_and_without_pandas_or_spark():
    code = (
        "import sys, time; from jobs.commands.main import run_command;"
        "code = run_command(['places', 'explain', '312000', '2007']);"
        "print(time.process_time(), code, [name for name in ('pandas', 'pyspark') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    seconds, _, rest = done.stdout.splitlines()[-1].partition(" ")
    assert rest == "0 []"
    # processor seconds, which a busy machine does not lengthen; measured .46 (with pandas and every look-up: .99)
    assert float(seconds) < 1.0
