"""What a planted fault is: one place of a module changed, and nothing that only words or types would show."""

from __future__ import annotations

import pytest

from tests.tools.plant_faults import changed, places

SOURCE = '''
def share(n: int = 3, total: int | None = None) -> float:
    if total is None or total <= 0:
        raise ValueError(f"total: {n + 1}")
    return -n / total if n else 0.5
'''


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("total <= 0", "total < 0"), ("total is None", "total is not None"),
        ("total is None or total <= 0", "total is None and total <= 0"), ("-n / total", "-n * total"), ("-n", "+n"),
        ("0.5", "1.5"), ("3", "4"), ("n", "not n"),
    ],
)
def test_each_kind_of_fault_is_planted_where_it_stands(before, after):
    made = [changed(SOURCE, number) for number, _ in places(SOURCE)]
    (text,) = [text for text, *pair in made if pair == [before, after]]
    compile(text, "planted", "exec")
    assert text != SOURCE


def test_nothing_is_planted_in_messages_and_types():
    planted = {changed(SOURCE, number)[1] for number, _ in places(SOURCE)}
    assert planted == {
        "total is None or total <= 0", "total is None", "total <= 0", "0", "3", "-n", "-n / total", "n", "0.5",
    }
