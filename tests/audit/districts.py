"""How many entries of customs' list of districts, and spellings of them, find the right city and side of the district line.

    python -m tests.audit.districts

Expected: the source table's prefecture and side for 2000, 2005 and 2011. Found: what the shipped look-ups give, by the name,
by the code, and by the spellings seen in files.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache

from jobs.reference.place_book import load_place_book
from jobs.reference.place_lookups import build_lookups
from jobs.reference.place_texts import find_text
from schemas.places import INSIDE_TYPES
from schemas.reference.builders.common import read_source

YEARS = (2000, 2005, 2011)



@dataclass(frozen=True)
class Answer:
    """City (prefecture) and side of an entry: inside, outside, mixed where the postcode decides, or not in a city."""

    prefecture: str
    side: str


@cache
def lookups():
    """Look-ups of the shipped tables: rows by alias, and rows by code."""
    found = build_lookups(load_place_book())
    texts, codes = {}, {}
    for row in found.texts:
        texts.setdefault(row["alias"], []).append(row)
    for row in found.districts:
        codes.setdefault(row["code"], []).append(row)
    return texts, codes


def expected(entry: dict, year: int) -> Answer | None:
    """What the source says; None where it does not."""
    side = entry[f"side_{year}"]
    if side in ("", "unknown"):
        return None
    return Answer(entry[f"prefecture_{year}"], side)


def answer(row: dict | None) -> Answer | None:
    """What a look-up row says; None for nothing or a province."""
    if row is None or row["place"] is None:
        return None
    place = row["place"]
    if place["city_id"] is None:
        return Answer(place["prefecture_code"], "no_city")
    unit_type = place["unit_type"]
    side = "mixed" if unit_type is None else "inside" if unit_type in INSIDE_TYPES else "outside"
    return Answer(place["prefecture_code"], side)


def by_code(code: str, year: int) -> Answer | None:
    """What the code stands for at the end of a year."""
    month = year * 12 + 11
    rows = (row for row in lookups()[1].get(code, ()) if row["from_month"] <= month < row["to_month"])
    return answer(next(rows, None))


def by_text(text: str, year: int) -> Answer | None:
    """What a text stands for at the end of a year."""
    return answer(find_text(lookups()[0], text, year * 12 + 11))


def agrees(found: Answer | None, wanted: Answer, scope: str) -> bool:
    """Right city and side; outside the prefecture-level cities the prefecture may be another one of the province."""
    if found is None:
        return False
    if wanted.side in ("no_city", "outside") and found.side == "no_city":
        return found.prefecture[:2] == wanted.prefecture[:2] or not wanted.prefecture
    # a prefecture that has districts only needs no postcode
    sides = ("mixed", "inside") if (wanted.side, scope) == ("mixed", "prefecture") else (wanted.side,)
    return found.prefecture == wanted.prefecture and found.side in sides


def judge() -> tuple[Counter, list[tuple]]:
    """Counts of questions and right answers by kind, and the wrong ones."""
    counts: Counter = Counter()
    wrong = []
    entries = {entry["code"]: entry for entry in read_source("customs_districts").to_dict("records")}
    questions = [("code", code, code, by_code) for code in entries]
    questions += [("official name", entry["name"], code, by_text) for code, entry in entries.items()]
    questions += [
        ("spelling seen or common", row.alias, row.code, by_text) for row in read_source("district_spellings").itertuples()
    ]
    for kind, text, code, ask in questions:
        for year in YEARS:
            wanted = expected(entries[code], year)
            if wanted is not None:
                counts[kind, "asked"] += 1
                found = ask(text, year)
                is_right = agrees(found, wanted, entries[code]["scope"])
                counts[kind, "right"] += is_right
                if not is_right:
                    wrong.append((kind, year, text, code, found, wanted))
    return counts, wrong


def main() -> None:
    """Print the shares and what was missed."""
    counts, wrong = judge()
    lines = []
    for kind in dict.fromkeys(kind for kind, _ in counts):
        asked, right = counts[kind, "asked"], counts[kind, "right"]
        lines.append(f"{kind}: {right:,} of {asked:,} questions right ({right / asked:.1%})")
    for line in wrong:
        lines.append("  wrong: " + " ".join(map(str, line)))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
