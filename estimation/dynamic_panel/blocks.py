"""An instrument matrix too large to keep: made anew, entities in blocks, each time it is passed over.

With 100,000 entities, 16 rows and 36 collapsed instruments Z is .46 GB and its products as much again; made by blocks of
64 MB it never exists as a whole. Everything the estimator needs of Z is a sum over entities or a value of each, so that a
pass over the blocks gives it: some eight passes a fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

# bytes of Z that are kept, and of one block
IN_MEMORY = 256e6
BLOCK = 64e6


class Maker(Protocol):
    """What makes the columns of Z."""

    design: Any

    def filled(self, entities: slice, used: Sequence[int]) -> np.ndarray:
        """Return Z of some entities."""


def entity_blocks(n: int, per_entity: int) -> Iterator[slice]:
    """Cut n entities of `per_entity` numbers each into blocks of about 64 MB."""
    size = max(1, int(BLOCK / 8 / max(per_entity, 1)))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


class BlockedZ:
    """Z by blocks of entities; as an array it behaves like Z, made as a whole where some function needs that.

    Parameters
    ----------
    maker : Maker
    used : sequence of int
        Candidates that are its columns.
    """

    def __init__(self, maker: Maker, used: Sequence[int]) -> None:
        self._maker, self._used = maker, list(used)

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, R, j."""
        n, rows = self._maker.design.rows.shape
        return n, rows, len(self._used)

    def select(self, columns: np.ndarray) -> BlockedZ:
        """Return the same with some of the columns."""
        return BlockedZ(self._maker, [self._used[c] for c in columns])

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return entities; any other part is taken from the whole."""
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(self.shape[0])
            return self._maker.filled(slice(start, stop), self._used)
        return np.asarray(self)[key]

    def __matmul__(self, right: np.ndarray) -> np.ndarray:
        """Return Z times a vector or matrix, block by block."""
        n, rows, j = self.shape
        return np.concatenate([self[block] @ right for block in entity_blocks(n, rows * j)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the whole."""
        whole = self[0 : self.shape[0]]
        return whole if dtype is None else whole.astype(dtype)

    def reshape(self, *shape: int) -> np.ndarray:
        """Return the whole in another shape."""
        return np.asarray(self).reshape(*shape)
