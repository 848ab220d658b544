"""The place book cut to some questions: shipped tables line by line, without pandas, where no file of the user is named."""

from __future__ import annotations

import csv
from collections import namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from conf.settings import Places
from schemas.places import OPEN_END
from schemas.reference.place_keys import place_key, without_ending

LEFT_OUT_FIRST = "中国经保出高科新（("
"""Characters that a key may leave out at its beginning."""


class Rows(list):
    """Rows of a table where a data frame is iterated over."""

    def itertuples(self) -> Iterable[Any]:
        """The rows, as :meth:`pandas.DataFrame.itertuples` gives them."""
        return self


@dataclass(frozen=True, slots=True)
class Book:
    """The tables of a place book, cut to some questions."""

    units: Any
    prefectures: Any
    prefixes: Any
    names: Any
    ambiguous: Any
    districts: Any
    district_names: Any


def narrow_book(places: Places, *, postcodes: Iterable[str], texts: Iterable[str] = ()) -> Book:
    """The place book as far as some postcodes and texts need it.

    Parameters
    ----------
    places : Places
        The user's files are laid over the shipped tables.
    postcodes, texts : iterable of str
        Postcodes, and production places as delivered.
    """
    heads = {postcode[:4] for postcode in postcodes}
    whole = {place_key(text) for text in texts}
    keys = tuple(whole | {without_ending(key) for key in whole})
    ends = {key[start:] for key in keys for start in range(len(key))}
    if places.user_postcodes or places.user_units or places.user_cities:
        from jobs.reference.place_book import configured_place_book

        book = configured_place_book(places)
        return Book(
            book.units, book.prefectures, book.prefixes[book.prefixes["prefix"].str[:4].isin(heads)],
            book.names[[place_key(alias) in ends for alias in book.names["alias"]]], book.ambiguous, book.districts,
            book.district_names[book.district_names["alias"].isin(ends)],
        )
    # keys may begin with a province; what begins with none of their characters has nothing to do with them
    firsts = {character for key in keys for character in key} | set(LEFT_OUT_FIRST)
    return Book(
        units=shipped_rows("county_units"), prefectures=shipped_rows("prefectures"),
        prefixes=shipped_rows("postcode_prefixes", lambda row: row["prefix"][:4] in heads, is_user=False),
        names=shipped_rows("place_names", lambda row: row["alias"][:1].upper() in firsts and place_key(row["alias"]) in ends),
        ambiguous=shipped_rows("ambiguous_cities"), districts=shipped_rows("customs_districts"),
        district_names=shipped_rows("customs_district_names", lambda row: row["alias"] in ends),
    )


def shipped_rows(
    name: str, is_wanted: Callable[[dict], bool] = lambda _: True, **more: Any
) -> Rows:
    """Rows of a table of ``schemas/reference`` with their years and counts as numbers."""
    with (resources.files("schemas") / "reference" / f"{name}.csv").open("r", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        header = next(reader)
        row_type = namedtuple("Row", [*header, *more])  # type: ignore[misc]  # the columns are the file's
        rows = Rows()
        for values in reader:
            row = dict(zip(header, values, strict=True))
            if is_wanted(row):
                rows.append(row_type(**{key: _typed(key, value) for key, value in row.items()}, **more))
    return rows


def _typed(name: str, value: str) -> Any:
    if name == "valid_to":
        return int(value or OPEN_END)
    if name == "valid_from" or name.startswith("n_"):
        return int(value or 0)
    return value
