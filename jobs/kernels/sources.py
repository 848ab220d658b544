"""Delivered files to batches: recognise what is in a file, look at it piece by piece, and read the very same pieces again.

Three steps, so that the pieces of a large file can be looked at side by side, on a driver or on executors:
:func:`recognise` (opens the file, finds tables and layouts), :func:`look_at_piece` (reads one piece, sums it up) and
:func:`completed` (counts, and refuses what must not be loaded). :func:`look_at` does all three. :func:`read_batches` reads
for loading what these have found, by the same code.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from conf.layouts import Layout
from jobs.core.errors import InputRefusedError
from jobs.kernels import limits, stata_tables
from jobs.kernels.canonical import canonical_batch, is_heading_again, is_total_line, looked_at_batch
from jobs.kernels.codes import REPAIRED, with_exact_codes
from jobs.kernels.containers import Member, members_of
from jobs.kernels.content import Content, summarise_batch
from jobs.kernels.delimited import Grammar
from jobs.kernels.headings import Headings, find_headings, find_text_form, goes_on, looks_like_records, no_layout
from jobs.kernels.parts import Kind, Part, Piece, add_counts, number_through, path_of
from jobs.kernels.reasons import not_now, reason_of
from jobs.kernels.rows import Rows
from jobs.kernels.samples import encodings_to_try, take_sample
from jobs.kernels.sheets import Table, open_tables
from jobs.kernels.suitability import UnsuitableError, suitable
from jobs.kernels.suspicions import Suspicions, refuse_suspicious
from jobs.kernels.text_stream import cut_points, parsed_chunks
from schemas.fields import RAW_COLUMNS

#: Columns by which records are summed up.
SUMMARISED = ["period", "flow", "hs_code", "firm_id", "value", "quantity", "postcode", "production_place", "partner"]
#: Columns that a look needs: those, and codes that are mended.
LOOKED_AT = (*SUMMARISED, *REPAIRED)
GOES_ON = "sheets without headings that go on where another ends"
HEADINGS_AGAIN = "headings repeated among the records"
TOTAL_LINES = "lines of totals, left out"


@dataclass(frozen=True, slots=True)
class RawFile:
    """A delivered file, wherever it lies.

    Attributes
    ----------
    source_file : str
        Path below the raw folder.
    n_bytes : int
    open : callable
        Opens a binary stream that can be sought.
    """

    source_file: str
    n_bytes: int
    open: Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Recognised:
    """What is in a file, before its rows are read.

    Attributes
    ----------
    parts : tuple of Part
        Not yet counted.
    left_out : tuple of (str, str)
        Members, sheets and tables without records, and why.
    """

    parts: tuple[Part, ...]
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PieceLook:
    """What reading one piece found.

    Attributes
    ----------
    n_rows : int
    noticed : dict
    suspicions : Suspicions
    content : Content
        The records summed up.
    """

    n_rows: int = 0
    noticed: Mapping[str, int] = field(default_factory=dict)
    suspicions: Suspicions = field(default_factory=Suspicions)
    content: Content = field(default_factory=Content)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a whole file found.

    Attributes
    ----------
    parts : tuple of Part
        Counted and numbered through.
    left_out : tuple of (str, str)
    contents : tuple of Content
        Of each part.
    """

    parts: tuple[Part, ...]
    left_out: tuple[tuple[str, str], ...]
    contents: tuple[Content, ...]

    @property
    def content(self) -> Content:
        """All records."""
        return sum(self.contents, Content())

    @property
    def n_rows(self) -> int:
        """Data rows of all parts."""
        return sum(part.n_rows for part in self.parts)


def local_file(path: Path, root: Path) -> RawFile:
    """A file of this machine, named by its path below a folder."""
    return RawFile(path.relative_to(root).as_posix(), path.stat().st_size, lambda: open(path, "rb"))


def look_at(
    raw: RawFile, layouts: Sequence[Layout], *, strict: bool = False, flow_in_name: Callable[[str], str] = lambda name: ""
) -> Look:
    """Look at a whole file: every table in it, every row once.

    Parameters
    ----------
    raw : RawFile
    layouts : sequence of Layout
    strict : bool
        Refuse a file with a damaged byte.
    flow_in_name : callable
        Name of a file to ``export``, ``import`` or nothing, for vintages without a column that says it.

    Raises
    ------
    InputRefusedError
        When no table of it can be used; the sentence names all that was found.
    """
    with opened_file(raw) as opened:
        recognised = _recognise(opened, layouts, flow_in_name)
        looks = [[_look(opened, part, piece, layouts) for piece in part.pieces] for part in recognised.parts]
    return completed(raw, recognised, looks, layouts, strict=strict)


def recognise(
    raw: RawFile, layouts: Sequence[Layout], flow_in_name: Callable[[str], str] = lambda name: ""
) -> Recognised:
    """Find the tables of a file and their layouts; reads no more than their first rows."""
    with opened_file(raw) as opened:
        return _recognise(opened, layouts, flow_in_name)


def look_at_piece(raw: RawFile, part: Part, piece: Piece, layouts: Sequence[Layout]) -> PieceLook:
    """Read one piece and sum it up."""
    with opened_file(raw) as opened:
        return _look(opened, part, piece, layouts)


def completed(
    raw: RawFile, recognised: Recognised, looks: Sequence[Sequence[PieceLook]], layouts: Sequence[Layout], *, strict: bool
) -> Look:
    """Put the looks at all pieces together, in the order of parts and pieces, and refuse what must not be loaded.

    Raises
    ------
    InputRefusedError
        Codes that their type cannot hold, labels that were lost, damage under ``strict``, no data rows.
    """
    parts, contents = [], []
    for part, of_part in zip(recognised.parts, looks, strict=True):
        counted = _counted(part, of_part)
        suspicions = sum((look.suspicions for look in of_part), Suspicions())
        refuse_suspicious(path_of(part, raw.source_file), counted, suspicions, _layout(part, layouts), strict=strict)
        if counted.n_rows:
            parts.append(counted)
            contents.append(sum((look.content for look in of_part), Content()))
    if not parts:
        raise InputRefusedError(f"{raw.source_file}: headings but no data lines. Deliver it again, or move it away.")
    return Look(number_through(parts), recognised.left_out, tuple(contents))


def read_batches(
    raw: RawFile, parts: Sequence[Part], layouts: Sequence[Layout], *, pieces: Sequence[tuple[int, int]] | None = None
) -> Iterator[tuple[Part, pa.RecordBatch]]:
    """Yield the batches of a file for loading, each with its part.

    Parameters
    ----------
    raw : RawFile
    parts : sequence of Part
        As :func:`look_at` left them.
    layouts : sequence of Layout
    pieces : sequence of (int, int), optional
        Number of the part and of its piece; all of them when not given.
    """
    wanted = pieces or [(k, index) for k, part in enumerate(parts) for index in range(len(part.pieces))]
    with opened_file(raw) as opened:
        for k, index in wanted:
            part = parts[k]
            for batch in _batches(opened, part, part.pieces[index], _layout(part, layouts)):
                yield part, batch


class OpenFile:
    """A delivered file while it is open: its members, and the tables of those that are parsed as a whole."""

    def __init__(self, raw: RawFile, members: Sequence[Member], stack: contextlib.ExitStack) -> None:
        self.raw, self.members, self._stack = raw, members, stack
        self._tables: dict[str, list[Table]] = {}

    def member(self, name: str) -> Member:
        found = next((member for member in self.members if member.name == name), None)
        if found is None:
            raise InputRefusedError(
                f"{self.raw.source_file}: {name} is not in it any more: the file changed. Land the delivery again."
            )
        return found

    def where(self, member: Member) -> str:
        return f"{self.raw.source_file}/{member.name}" if member.name else self.raw.source_file

    def tables(self, member: Member) -> list[Table]:
        if member.name not in self._tables:
            stream = self._stack.enter_context(member.open())
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="customs-lake-")))
            self._tables[member.name] = open_tables(member.kind, stream, self.where(member), folder)
        return self._tables[member.name]


@contextlib.contextmanager
def opened_file(raw: RawFile) -> Iterator[OpenFile]:
    """Open a delivered file for as long as its tables are read."""
    if raw.n_bytes == 0:
        raise InputRefusedError(f"{raw.source_file}: the file is empty (0 bytes). Deliver it again, or move it away.")
    try:
        with contextlib.ExitStack() as stack:
            members = stack.enter_context(members_of(raw.open, raw.source_file, raw.n_bytes))
            yield OpenFile(raw, members, stack)
    except PermissionError as error:
        raise InputRefusedError(
            f"{raw.source_file}: no permission to read it. Give the user who runs this the right to."
        ) from error
    except (OSError, EOFError, MemoryError) as error:
        if ailing := not_now(error):
            raise InputRefusedError(f"{raw.source_file}: {ailing}") from error
        raise InputRefusedError(
            f"{raw.source_file}: cannot be read ({reason_of(error)}). Is the file complete and readable? Deliver it again."
        ) from error


def _layout(part: Part, layouts: Sequence[Layout]) -> Layout:
    found = next((layout for layout in layouts if layout.name == part.layout), None)
    if found is None:
        raise InputRefusedError(
            f"layout {part.layout}, by which a file was received, is not known any more. Put its file back into conf/layouts"
            " or the folder of your layouts, or withdraw the file and deliver it again."
        )
    return found


def _recognise(opened: OpenFile, layouts: Sequence[Layout], flow_in_name: Callable[[str], str]) -> Recognised:
    parts: list[Part] = []
    left_out: list[tuple[str, str]] = []
    errors: list[InputRefusedError] = []
    for member in opened.members:
        if not member.kind:
            left_out.append((member.name, f"{opened.where(member)}: of a kind that holds no records; left out."))
            continue
        try:
            for part in _parts_of(opened, member, layouts, left_out):
                try:
                    parts.append(suitable(part, opened.raw.source_file, _layout(part, layouts), flow_in_name))
                except UnsuitableError as error:
                    errors.append(error)
                    left_out.append((part.member or part.table, str(error)))
        except InputRefusedError as error:
            errors.append(error)
            left_out.append((member.name, str(error)))
    if parts:
        return Recognised(tuple(parts), tuple(left_out))
    if len(errors) == 1:
        raise errors[0]
    why = "; ".join(reason for _, reason in left_out[:5]) or "it is empty"
    kind = UnsuitableError if errors and all(isinstance(error, UnsuitableError) for error in errors) else InputRefusedError
    raise kind(f"{opened.raw.source_file}: nothing in it can be loaded: {why}")


def _parts_of(
    opened: OpenFile, member: Member, layouts: Sequence[Layout], left_out: list[tuple[str, str]]
) -> list[Part]:
    path = opened.where(member)
    if member.kind == "text":
        return [_text_part(opened, member, layouts, path)]
    if member.kind == "stata":
        return [_stata_part(member, layouts, path)]
    found, refused = [], []
    for table in opened.tables(member):
        rows = table.first_rows or ([list(table.headings)] if table.headings else [])
        of_table = [item for item in layouts if item.form.sheet in ("", table.name)]
        here = find_headings(rows, of_table, f"{path}/{table.name}")
        if here is None:
            refused.append((table.name, rows))
            continue
        skipped = 0 if table.headings else here.n_skipped
        kind = cast(Kind, member.kind)
        found.append(Part(member.name, kind, table.name, "", "", here.headings, here.layout.name, skipped))
    if not found:
        tried = [("", "", rows) for _, rows in refused if rows]
        raise InputRefusedError(no_layout(path, tried, layouts) if tried else f"{path}: no table with rows in it.")
    for name, rows in refused:
        if rows and goes_on(rows, found[-1].headings, _layout(found[-1], layouts)):
            found.append(replace(found[-1], table=name, n_skipped=0, noticed={GOES_ON: 1}))
        elif rows:
            sentence = f"{path}/{name}: of a kind that holds no records; left out."
            if looks_like_records(rows):
                sentence = no_layout(f"{path}/{name}", [("", "", rows)], layouts)
            left_out.append(("/".join(filter(None, (member.name, name))), sentence))
    return found


def _text_part(opened: OpenFile, member: Member, layouts: Sequence[Layout], path: str) -> Part:
    with member.open() as stream:
        sample, is_whole = take_sample(stream, path)
    encodings, length = encodings_to_try(sample, layouts, path)
    form = find_text_form(sample[length:], encodings, layouts, path, is_whole=is_whole)
    found: Headings = form.found
    pieces: tuple[Piece, ...] = (Piece(),)
    if not member.is_packed and member.n_bytes > limits.PIECE_BYTES:
        grammar = Grammar(len(found.headings), form.delimiter, form.encoding)
        with member.open() as stream:
            pieces = cut_points(stream, member.n_bytes, form.encoding, grammar)
    return Part(
        member.name, "text", "", form.encoding, form.delimiter, found.headings, found.layout.name, found.n_skipped,
        pieces=pieces, noticed=dict.fromkeys(found.notes, 1),
    )


def _stata_part(member: Member, layouts: Sequence[Layout], path: str) -> Part:
    with member.open() as stream:
        tried = []
        for encoding in ("", "utf-8", "big5hkscs"):
            head = stata_tables.read_head(stream, path, encoding)
            found = find_headings([list(head.headings)], layouts, path)
            if found is not None:
                break
            tried.append((encoding, "", [list(head.headings)]))
        else:
            raise InputRefusedError(no_layout(path, tried[:1], layouts))
    step = max(limits.PIECE_BYTES // max(head.row.itemsize, 1), 1)
    cuts = [*range(0, head.n_rows, step), head.n_rows] if head.n_rows else [0, 0]
    pieces = tuple(Piece(start, stop) for start, stop in zip(cuts, cuts[1:], strict=False))
    return Part(member.name, "stata", "", head.encoding, "", head.headings, found.layout.name, pieces=pieces)


def _reader(
    opened: OpenFile, part: Part, piece: Piece, layout: Layout, wanted: frozenset[int] | None
) -> Iterator[Rows]:
    member = opened.member(part.member)
    where = opened.where(member)
    if part.kind == "text":
        grammar = Grammar(len(part.headings), part.delimiter, part.encoding, wanted)
        with member.open() as stream:
            yield from parsed_chunks(stream, grammar, where, piece, part.n_skipped)
    elif part.kind == "stata":
        with member.open() as stream:
            head = stata_tables.read_head(stream, where, part.encoding)
            yield from stata_tables.read_rows(stream, head, where, piece.start, piece.stop)
    else:
        table = next((table for table in opened.tables(member) if table.name == part.table), None)
        if table is None:
            raise InputRefusedError(f"{where}: {part.table} is not in it any more: the file changed. Land it again.")
        yield from table.read(part.n_skipped, len(part.headings))


def _batches(opened: OpenFile, part: Part, piece: Piece, layout: Layout) -> Iterator[pa.RecordBatch]:
    first = part.n_rows_before + piece.rows_before + 1
    for rows in _records(opened, part, piece, layout):
        yield canonical_batch(rows, part.headings, layout, first_row=first, constants=_given(part))
        first += len(rows)


def _given(part: Part) -> dict[str, str]:
    """What the file's name says of every row."""
    return {"flow": part.flow} if part.flow else {}


def _records(
    opened: OpenFile, part: Part, piece: Piece, layout: Layout, wanted: frozenset[int] | None = None
) -> Iterator[Rows]:
    """The rows of a piece without repeated headings and totals, codes mended; of texts perhaps some columns only."""
    n, looked_at = 0, sorted(_looked_at(part, layout))
    for rows in _reader(opened, part, piece, layout, wanted):
        again = is_heading_again(rows, part.headings, layout)
        if again is not None:
            rows = rows.keep(~again, {HEADINGS_AGAIN: int(again.sum())})
        totals = is_total_line(rows, part.headings, layout, looked_at)
        if totals is not None:
            rows = rows.keep(~totals, {TOTAL_LINES: int(totals.sum())})
        n += len(rows)
        yield with_exact_codes(rows, part.headings, layout)
    if 0 <= piece.n_rows != n:
        raise InputRefusedError(
            f"{path_of(part, opened.raw.source_file)}: {piece.n_rows:,} rows were counted, {n:,} were read: the file changed"
            " while it was read. Run again when it is complete."
        )


def _look(opened: OpenFile, part: Part, piece: Piece, layouts: Sequence[Layout]) -> PieceLook:
    look = PieceLook()
    layout = _layout(part, layouts)
    for rows in _records(opened, part, piece, layout, _looked_at(part, layout)):
        names = RAW_COLUMNS if rows.is_damaged else SUMMARISED
        batch = looked_at_batch(rows, part.headings, layout, names=names, constants=_given(part))
        content = summarise_batch(batch, may_be_damaged=rows.is_damaged)
        look = PieceLook(
            look.n_rows + len(rows), add_counts(look.noticed, rows.noticed),
            look.suspicions + Suspicions.of(batch, rows.is_damaged), look.content + content,
        )
    return look


def _looked_at(part: Part, layout: Layout) -> frozenset[int]:
    """Columns that a look reads: those it sums up, and the first, where a line that is no record says so."""
    assigned = layout.assign(part.headings)
    return frozenset({0, *(index for name in LOOKED_AT for index in assigned.get(name, ()))})


def _counted(part: Part, looks: Sequence[PieceLook]) -> Part:
    pieces, before = [], 0
    for piece, look in zip(part.pieces, looks, strict=True):
        pieces.append(replace(piece, rows_before=before, n_rows=look.n_rows, cents=look.content.total.cents))
        before += look.n_rows
    damage = add_counts(*(look.suspicions.damage() for look in looks))
    noticed = add_counts(part.noticed, *(look.noticed for look in looks), damage)
    return replace(part, pieces=tuple(pieces), n_rows=before, noticed=noticed)
