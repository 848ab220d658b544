"""Years as people write them on a command line."""

from __future__ import annotations

import re

from jobs.core.errors import InputRefusedError


def parse_years(text: str | None) -> frozenset[int] | None:
    """Turn ``2003-2005,2007`` into a set of years.

    Raises
    ------
    InputRefusedError
        If the text is not a list of years or ranges.
    """
    if not text:
        return None
    years: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise InputRefusedError(f"--years: expected years or ranges such as 2003-2011 or 2003,2005; found {text!r}.")
        years.update(range(first, last + 1))
    return frozenset(years)
