"""What the resolver decides for a record of which one knows postcode, place text and district code: ``places explain``.

The rules are those of the cleaning job (:mod:`jobs.kernels.placing`), fed with the look-ups of the question alone, so an
answer needs neither a JVM nor the whole reference. Where no file of the user is configured, the shipped tables are read
line by line and without pandas.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from conf.settings import Places
from jobs.commands.narrow_book import Book, narrow_book
from jobs.core.errors import InputRefusedError
from jobs.kernels.placing import MONTH_OF_YEARLY_FILES, PLACE_INPUTS, PlacePolicy, place_records
from jobs.reference.place_lookups import place_tables
from schemas.reference.place_keys import place_key, without_ending

DECISION = (
    "city_id", "unit_code", "unit_type", "place_method", "place_confidence", "place_conflict", "place_reason",
)
"""What is told of a decision; ``place_reason`` is null for a record to keep."""
FILE_COLUMNS = ("postcode", "year", "text", "code", "month")
NO_POSTCODE = "-"
FIRST_YEAR, LAST_YEAR = 2000, 2030


class PlaceQuestionError(InputRefusedError):
    """Raised when a question is not a postcode and a year, or a file of questions lacks a column; names the line."""


@dataclass(frozen=True, slots=True)
class Question:
    """A record as far as its place goes.

    Attributes
    ----------
    postcode : str or None
        Six digits; five where a leading zero was lost.
    year : int
        Calendar year.
    text : str or None
        Production place as delivered.
    code : str or None
        Customs' district code.
    month : int or None
        Matters under the convention ``approval`` only.
    """

    postcode: str | None
    year: int
    text: str | None = None
    code: str | None = None
    month: int | None = None


def ask(postcode: str, year: str | int, text: str = "", code: str = "", month: str | int = "") -> Question:
    """Make a question of what a user typed.

    Raises
    ------
    PlaceQuestionError
        If the postcode is not six digits or ``-``, or the year is outside the reference.
    """
    postcode, year, month = str(postcode).strip(), str(year).strip(), str(month).strip()
    if postcode not in ("", NO_POSTCODE) and not (postcode.isascii() and postcode.isdigit() and len(postcode) in (5, 6)):
        raise PlaceQuestionError(f"postcode: expected six digits, such as 312000, or - for none; found {postcode!r}.")
    if not (year.isascii() and year.isdigit() and FIRST_YEAR <= int(year) < LAST_YEAR):
        raise PlaceQuestionError(f"year: expected {FIRST_YEAR} to {LAST_YEAR - 1}; found {year!r}.")
    if month and not (month.isascii() and month.isdigit() and 1 <= int(month) <= 12):
        raise PlaceQuestionError(f"month: expected 1 to 12 or nothing; found {month!r}.")
    return Question(
        postcode.zfill(6) if postcode.strip(NO_POSTCODE) else None, int(year), "".join(str(text).split()) or None,
        str(code).strip() or None, int(month) if month else None,
    )


def read_questions(path: Path) -> list[Question]:
    """Read questions from a CSV file (UTF-8): ``postcode, year`` and, if there, ``text, code, month``.

    Raises
    ------
    PlaceQuestionError
        If there is no such file, a column is missing or unknown, or a line cannot be asked; all with the line.
    """
    if not path.is_file():
        raise PlaceQuestionError(f"{path}: no such file.")
    with path.open("r", encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        found = [name.strip() for name in reader.fieldnames or ()]
        if not {"postcode", "year"} <= set(found) <= set(FILE_COLUMNS):
            raise PlaceQuestionError(
                f"{path}: expected columns postcode, year and, if you like, text, code, month; found {', '.join(found)}."
            )
        reader.fieldnames = found
        questions = []
        for line, row in enumerate(reader, start=2):
            try:
                questions.append(ask(**{name: row[name] or "" for name in found}))
            except PlaceQuestionError as error:
                raise PlaceQuestionError(f"{path} line {line}: {error}") from error
    return questions


def decide_places(questions: Sequence[Question], places: Places) -> list[dict[str, Any]]:
    """Return for each question the resolver's decision (:data:`DECISION`) and its ``evidence``.

    Parameters
    ----------
    questions : sequence of Question
    places : Places
        The settings: order of evidence, treatments, files of the user.
    """
    book = narrow_book(
        places, postcodes=[q.postcode for q in questions if q.postcode], texts=[q.text for q in questions if q.text]
    )
    tables = place_tables(book, convention=places.convention)
    rows = pl.DataFrame(
        {
            "year": [q.year for q in questions], "month": [q.month for q in questions],
            "postcode": [q.postcode for q in questions], "production_place": [q.text for q in questions],
            "district_code": [q.code for q in questions],
        },
        schema={name: PLACE_INPUTS[name] for name in ("year", "month", "postcode", "production_place", "district_code")},
    )
    decided = place_records(rows, tables, PlacePolicy.of(places)).select(DECISION).to_dicts()
    evidence = _Evidence(book, tables, places.convention)
    return [row | {"evidence": evidence.of(question)} for row, question in zip(decided, questions, strict=True)]


class _Evidence:
    """What each witness says, in words of the tables."""

    def __init__(self, book: Book, tables: Any, convention: str) -> None:
        self._book, self._tables, self._by_approval = book, tables, convention == "approval"
        self._places = {row["place"]: row for row in tables.places.to_dicts()}
        self._names: dict[str, list] = {}
        for row in book.units.itertuples():
            self._names.setdefault(row.unit_code, []).append(row)

    def of(self, question: Question) -> dict[str, Any]:
        """Candidates of the postcode's longest prefix, the place the text names, the place of the district code."""
        month = question.year * 12 + ((question.month or MONTH_OF_YEARLY_FILES) if self._by_approval else 12) - 1
        return {
            "postcode": self._candidates(question, month),
            "place_text": self._text(question.text, month),
            "district_code": self._named(self._tables.districts, question.code and question.code[:5].ljust(5, "9"), month),
        }

    def _candidates(self, question: Question, month: int) -> list[dict[str, Any]]:
        code = question.postcode or ""
        prefixes = self._tables.postcodes.filter((pl.col("from_month") <= month) & (pl.col("to_month") > month))["prefix"]
        longest = max((prefix for prefix in prefixes if code.startswith(prefix)), key=len, default=None)
        if longest is None:
            return []
        rows = [row for row in self._book.prefixes.itertuples() if row.prefix == longest]
        found = []
        for row in rows:
            unit = self._unit(row.unit_code, question.year)
            if unit is not None and row.valid_from <= question.year < row.valid_to:
                found.append({
                    "prefix": longest, "unit_code": row.unit_code, "unit_name": unit.unit_name,
                    "unit_type": unit.unit_type, "prefecture_code": unit.prefecture_code, "n_sources": int(row.n_sources),
                    "n_agree": int(row.n_agree), "n_codes": int(row.n_codes),
                })
        return sorted(found, key=lambda one: (-one["n_codes"] - one["n_agree"], one["unit_code"]))

    def _text(self, text: str | None, month: int) -> dict[str, Any] | None:
        key = place_key(text) if text else None
        stem = without_ending(key) if key else None
        return self._named(self._tables.texts, key, month) or self._named(self._tables.texts, stem, month)

    def _named(self, table: pl.DataFrame, key: str | None, month: int) -> dict[str, Any] | None:
        if key is None:
            return None
        name = table.columns[0]
        rows = table.filter((pl.col(name) == key) & (pl.col("from_month") <= month) & (pl.col("to_month") > month))
        if not rows.height:
            return None
        row = rows.row(0, named=True)
        if row["place"] is None:
            return {"province_code": f"{row['province']}0000", "prefecture_code": None, "unit_code": None, "unit_type": None}
        place = self._places[row["place"]]
        province = place["prefecture_code"][:2] + "0000"
        return {"province_code": province} | {name: place[name] for name in ("prefecture_code", "unit_code", "unit_type")}

    def _unit(self, code: str, year: int) -> Any:
        return next((row for row in self._names.get(code, ()) if row.valid_from <= year < row.valid_to), None)


def render_json(answers: Sequence[dict[str, Any]]) -> str:
    """One answer as an object, several as one line each."""
    if len(answers) == 1:
        return json.dumps(answers[0], ensure_ascii=False, indent=2)
    return "\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)


def render_csv(questions: Sequence[Question], answers: Sequence[dict[str, Any]]) -> str:
    """Questions and decisions side by side, comma separated; an empty ``place_reason`` is a record to keep."""
    rows = [
        {
            "postcode": question.postcode, "year": question.year, "text": question.text, "code": question.code,
            "month": question.month,
        } | {name: answer[name] for name in DECISION}
        for question, answer in zip(questions, answers, strict=True)
    ]
    return pl.DataFrame(rows, infer_schema_length=None).write_csv().rstrip("\n")


def render_decision(question: Question, answer: dict[str, Any]) -> str:
    """A decision as lines of text."""
    asked = ", ".join(filter(None, (question.postcode, question.text, question.code)))
    lines = [f"{asked} in {question.year}: {'kept' if answer['place_reason'] is None else answer['place_reason']}"]
    lines += [f"  {name}: {answer[name]}" for name in DECISION[:-1] if answer[name] is not None]
    for name, witness in answer["evidence"].items():
        for one in witness if isinstance(witness, list) else [witness] if witness else []:
            lines.append(f"  {name} says " + ", ".join(f"{key} {value}" for key, value in one.items() if value is not None))
    return "\n".join(lines)
