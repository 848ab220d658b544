"""Looks at many files side by side, a large one in pieces: what a worker does, and how the driver puts it together.

Two rounds. In the first every file is recognised and hashed, and looked at in the same task unless it is large. In the
second the pieces of large files are looked at, one task each. Who runs the tasks (threads, executors) is the caller's
affair; tasks and results are text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels.loading import TASK_BYTES
from jobs.kernels.parts import parts_from_json, parts_to_json
from jobs.kernels.raw_folder import RawFolder
from jobs.kernels.reasons import not_now, reason_of
from jobs.kernels.sources import Look, PieceLook, RawFile, Recognised, completed, look_at, look_at_piece, recognise

_HASH_BLOCK = 1 << 20
#: What a small file counts for when files are put together: opening it takes as long as reading so many bytes.
MIN_FILE_BYTES = 64 << 10

Run = Callable[[Sequence[str], str, tuple], Iterable[str]]


@dataclass(frozen=True, slots=True)
class FileLook:
    """What is known of one file after all tasks: a look and the hash of its bytes, or why it is refused."""

    source_file: str
    look: Look | None = None
    sha256: str = ""
    refused: InputRefusedError | None = None


def look_side_by_side(
    folder: RawFolder, files: Sequence[tuple[str, int]], layouts: Sequence[Layout], run: Run, *, strict: bool,
    flow_in_name: Callable[[str], str],
) -> Iterator[FileLook]:
    """Look at files side by side.

    Parameters
    ----------
    folder : RawFolder
    files : sequence of (str, int)
        Path below the folder and size in bytes.
    layouts : sequence of Layout
    run : callable
        Given tasks, the dotted name of the function of this module to run on each, and its further arguments: what they
        yield, in any order.
    strict : bool
    flow_in_name : callable
        A function of a module, so that it travels.

    Yields
    ------
    FileLook
        In the order given.
    """
    if not files:
        return
    arguments = (folder.address, tuple(layouts), strict, flow_in_name)
    first = [json.dumps(group) for group in in_groups(files, TASK_BYTES)]
    found: dict[str, FileLook | tuple[Recognised, str]] = {}
    for text in run(first, f"{__name__}.first_round", arguments):
        name, result = _unpacked(text)
        found[name] = result
    large = {name: item for name, item in found.items() if isinstance(item, tuple)}
    sizes = dict(files)
    second = [
        json.dumps([name, sizes[name], parts_to_json(recognised.parts), k, index])
        for name, (recognised, _) in large.items()
        for k, part in enumerate(recognised.parts)
        for index in range(len(part.pieces))
    ]
    pieces: dict[str, dict[tuple[int, int], PieceLook | InputRefusedError]] = {}
    for text in run(second, f"{__name__}.second_round", arguments) if second else ():
        name, (k, index, look) = _unpacked(text)
        pieces.setdefault(name, {})[k, index] = look
    for name, n_bytes in files:
        item = found[name]
        if isinstance(item, FileLook):
            yield item
        else:
            yield _together(folder.file(name, n_bytes), *item, pieces[name], layouts, strict)


def first_round(
    task: str, address: str, layouts: Sequence[Layout], strict: bool, flow_in_name: Callable[[str], str]
) -> Iterator[pa.RecordBatch]:
    """Recognise and hash some files; look at each that is not large."""
    for name, n_bytes in json.loads(task):
        yield _packed(name, _first_look(RawFolder(address), name, n_bytes, layouts, strict, flow_in_name))


def second_round(
    task: str, address: str, layouts: Sequence[Layout], strict: bool, flow_in_name: Callable[[str], str]
) -> Iterator[pa.RecordBatch]:
    """Look at one piece of a large file."""
    name, n_bytes, parts, k, index = json.loads(task)
    part = parts_from_json(parts)[k]
    look: PieceLook | InputRefusedError
    try:
        look = look_at_piece(RawFolder(address).file(name, n_bytes), part, part.pieces[index], layouts)
    except InputRefusedError as error:
        look = error
    yield _packed(name, (k, index, look))


def _first_look(
    folder: RawFolder, name: str, n_bytes: int, layouts: Sequence[Layout], strict: bool, flow_in_name: Callable[[str], str]
) -> FileLook | tuple[Recognised, str]:
    try:
        raw = folder.file(name, n_bytes)
        recognised = recognise(raw, layouts, flow_in_name)
        is_large = any(len(part.pieces) > 1 for part in recognised.parts)
        look = None if is_large else look_at(raw, layouts, strict=strict, flow_in_name=flow_in_name)
        sha256, n_hashed = _hash(raw)
        if n_hashed != n_bytes or folder.size_of(name) != n_bytes:
            raise InputRefusedError(f"{name}: it changed while it was read: it is still being written. Run again later.")
    except InputRefusedError as error:
        return FileLook(name, refused=error)
    except OSError as error:
        ailing = not_now(error) or f"cannot be read ({reason_of(error)}). Is the file complete and readable?"
        return FileLook(name, refused=InputRefusedError(f"{name}: {ailing}"))
    return (recognised, sha256) if look is None else FileLook(name, look, sha256)


def _together(
    raw: RawFile, recognised: Recognised, sha256: str, pieces: dict[tuple[int, int], PieceLook | InputRefusedError],
    layouts: Sequence[Layout], strict: bool,
) -> FileLook:
    refused = next((look for _, look in sorted(pieces.items()) if isinstance(look, InputRefusedError)), None)
    if refused is not None:
        return FileLook(raw.source_file, refused=refused)
    looks = [
        [look for index in range(len(part.pieces)) if isinstance(look := pieces[k, index], PieceLook)]
        for k, part in enumerate(recognised.parts)
    ]
    try:
        return FileLook(raw.source_file, completed(raw, recognised, looks, layouts, strict=strict), sha256)
    except InputRefusedError as error:
        return FileLook(raw.source_file, refused=error)


def in_groups(files: Sequence[tuple[str, int]], max_bytes: int) -> list[list[tuple[str, int]]]:
    """Files in order, as many together as have so many bytes; a larger one by itself."""
    groups: list[list[tuple[str, int]]] = []
    n_open = max_bytes
    for name, n_bytes in files:
        # an empty file costs opening it
        n_bytes_counted = max(n_bytes, MIN_FILE_BYTES)
        if n_open + n_bytes_counted > max_bytes:
            groups.append([])
            n_open = 0
        groups[-1].append((name, n_bytes))
        n_open += n_bytes_counted
    return groups


def _hash(raw: RawFile) -> tuple[str, int]:
    digest, n_bytes = hashlib.sha256(), 0
    with raw.open() as stream:
        while block := stream.read(_HASH_BLOCK):
            digest.update(block)
            n_bytes += len(block)
    return digest.hexdigest(), n_bytes


def _packed(name: str, result: object) -> pa.RecordBatch:
    text = base64.b64encode(pickle.dumps((name, result))).decode("ascii")
    return pa.RecordBatch.from_pydict({"result": pa.array([text], pa.string())})


def _unpacked(text: str) -> tuple[str, Any]:
    # what our own workers made of our own values
    return pickle.loads(base64.b64decode(text))
