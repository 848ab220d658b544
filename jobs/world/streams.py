"""Random streams: one per purpose and place, so bytes do not depend on the order or the machine that draws them."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str, *keys: int | str) -> np.random.Generator:
    """Open the stream of one purpose and key, for example ``generator(7, "records", "320400", 2005)``.

    Parameters
    ----------
    seed : int
        Root seed of the world.
    purpose : str
        What the stream is for; two purposes never share a stream.
    keys : int or str
        City, year and the like; digits in text count as their number.
    """
    words = [int(key) if str(key).isdigit() else zlib.crc32(str(key).encode()) for key in keys]
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()), *words))
    return np.random.Generator(np.random.Philox(sequence))
