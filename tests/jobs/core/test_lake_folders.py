"""Which folders can be a lake: how long their paths may be, and what may lie in one that is new."""

from __future__ import annotations

import pytest

from jobs.core.damage import MARKER, refuse_path
from jobs.core.errors import LakeError
from jobs.core.reading import LakeReader
from schemas import silver


@pytest.mark.parametrize(("n_bytes", "words"), [(3_700, None), (3_701, "a path of 3,701 bytes")])
def test_a_path_has_room_for_what_delta_adds_to_it(n_bytes, words):
    path = "/".join(["", *["a" * 199] * 18, ""]).ljust(n_bytes, "b")
    assert len(path) == n_bytes
    if words is None:
        refuse_path(path)
        return
    with pytest.raises(LakeError, match=words):
        refuse_path(path)


def test_what_a_run_that_was_killed_at_its_first_write_leaves_is_no_foreign_folder(tmp_path):
    for name in ("_locks", f".{MARKER}.tmp", f"{MARKER}.tmp"):
        (tmp_path / name).mkdir()
    assert not LakeReader.look(str(tmp_path), may_be_new=True).exists(silver.DECLARATION)
    (tmp_path / "data.csv").touch()
    with pytest.raises(LakeError, match=r"is not a lake: .* it holds data\.csv\."):
        LakeReader.look(str(tmp_path), may_be_new=True)
