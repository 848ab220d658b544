"""Receive a delivery: list the raw folder, look at its files, date their records, and judge them against the receipts.

No Spark and no lake: ``sniff`` uses it before there is either, ``plan`` and ``run`` before a session is started.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from conf.file_names import Period, period_of
from conf.layouts import Layout, load_layouts, match_layout, with_aliases
from conf.settings import Settings
from jobs.core.errors import InputRefusedError
from jobs.core.progress import advance, expect
from jobs.kernels.parts import parts_from_json
from jobs.kernels.raw_folder import raw_folder
from jobs.kernels.side_by_side import Run
from jobs.readers.customs_files import Inspection
from jobs.readers.dating import date_records
from jobs.readers.delivery import (
    NOTABLE,
    Bounds,
    DeliveredFile,
    Delivery,
    FileYear,
    Kind,
    LeftOut,
    Receipt,
    grouped,
    judge,
    stored_content,
)
from jobs.readers.looks import HOLDS_NOTHING, LookCache, Problem, Progress, kind_of, look_at_files, without_name
from jobs.readers.raw_listing import Beside, list_delivery

SHOWN_NAMES = 12
KIND_WORDS: dict[Kind, str] = {
    "refused": "refused", "correction": "set aside", "overlap": "set aside", "link": "left out", "unsuitable": "set aside",
    "duplicate": "set aside", "empty": "left out", "other_year": "left out", "useless": "left out",
}


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in a raw folder, whatever the lake holds.

    Attributes
    ----------
    files : tuple of DeliveredFile
        Files that can be loaded, of any year.
    left_out : tuple of LeftOut
        Everything else.
    """

    files: tuple[DeliveredFile, ...]
    left_out: tuple[LeftOut, ...]


def look_at_folder(
    raw: str | Path, settings: Settings, *, receipts: Sequence[Receipt] = (),
    progress: Progress = lambda name, n_bytes, is_known: None, run: Run | None = None,
) -> Looked:
    """Look at everything in a raw folder.

    Parameters
    ----------
    raw : path or str
        A folder, or an address that pyarrow knows.
    settings : Settings
    receipts : sequence of mapping
        Latest receipts: a file with the hash of its receipt is not read again.
    progress : callable
        See :func:`jobs.readers.looks.look_at_files`.
    run : callable, optional
        Who looks, see there too.

    Raises
    ------
    InputRefusedError
        If there is no such folder, or nothing in it.
    """
    folder = raw_folder(raw)
    layouts = with_aliases(load_layouts(), settings.aliases.headings)
    listed, beside = list_delivery(folder, settings.privacy.allowed_links)
    if not listed and not beside:
        raise InputRefusedError(f"{folder.address}: no files in it. Expected customs files, found an empty folder.")
    strict = settings.delivery.strict
    cache = LookCache.of(folder, layouts, strict=strict)
    known = _known(receipts, layouts)
    hashes = {name: (item.n_bytes, item.sha256) for name, item in known.items()}
    files: list[DeliveredFile] = []
    aside = [LeftOut(item.source_file, item.kind, item.reason, _blocked(item)) for item in beside]
    expect(len(listed), "files", n_bytes=sum(n_bytes for _, n_bytes in listed))

    def looked_at(name: str, n_bytes: int, is_known: bool) -> None:
        advance(n_bytes=n_bytes, note=name)
        progress(name, n_bytes, is_known)

    looks = look_at_files(folder, listed, layouts, cache, known=hashes, strict=strict, progress=looked_at, run=run)
    for found in looks:
        if isinstance(found, str):
            files.append(known[found])
        elif isinstance(found, Problem):
            aside.append(LeftOut(found.source_file, found.kind, found.reason, _blocked(found)))
        else:
            aside += _members_left_out(found)
            try:
                files.append(date_records(found, layouts, max_share=settings.delivery.max_share_dates))
            except InputRefusedError as error:
                reason = without_name(str(error), found.source_file)
                blocked = _years_of(found.layout.period_of(found.source_file))
                aside.append(LeftOut(found.source_file, "refused", reason, blocked))
    return Looked(tuple(files), tuple(aside))


def receive(
    looked: Looked, receipts: Sequence[Receipt], settings: Settings, *, years: Collection[int] | None = None,
    accepted: Sequence[str] = (), former: Sequence[Receipt] = (), all_or_nothing: bool = False, where: str = "",
) -> Delivery:
    """Judge what was found for the years asked for.

    Parameters
    ----------
    looked : Looked
    receipts : sequence of mapping
        Latest receipts of the lake.
    settings : Settings
    years : collection of int, optional
        Years asked for; those of the study when not given.
    accepted : sequence of str
        Names or patterns of files to take, or to go without, although the product advises against it.
    former : sequence of mapping
        Rows of ``ops.left_out`` in force: a file that was accepted as missing stays so while its fault is the same.
    all_or_nothing : bool
        Refuse the delivery if any file is not taken, useless ones aside.
    where : str
        The folder, for messages.

    Raises
    ------
    InputRefusedError
        When nothing can be taken because of refused files, or not everything under ``all_or_nothing``.
    """
    delivery = judge_for_years(looked, receipts, settings, years=years, accepted=accepted, former=former)
    problems = [item for item in delivery.left_out if item.kind not in ("useless", "link", "other_year")]
    taken = (*delivery.arrived, *delivery.unchanged, *delivery.renamed, *delivery.withdrawn)
    if (all_or_nothing and problems) or (not taken and any(item.kind == "refused" for item in problems)):
        n_files = len(looked.files) + len(looked.left_out)
        raise InputRefusedError(
            f"{where}: {len(problems)} of {n_files} files cannot be taken; nothing was loaded.\n"
            + "\n".join(left_out_lines(delivery.left_out))
        )
    return delivery


def judge_for_years(
    looked: Looked, receipts: Sequence[Receipt], settings: Settings, *, years: Collection[int] | None = None,
    accepted: Sequence[str] = (), former: Sequence[Receipt] = (),
) -> Delivery:
    """Judge what was found for the years asked for, whatever it comes to; parameters as of :func:`receive`."""
    wanted = set(settings.study.years if years is None else years)
    bounds = Bounds(settings.delivery.max_share_overlap, settings.delivery.max_share_lost, tuple(accepted))
    files = [item for item in looked.files if wanted & {year.year for year in item.years}]
    others = [
        _of_other_years(item, settings, years) for item in looked.files if not wanted & {year.year for year in item.years}
    ]
    aside = [_asked_for(item, wanted, settings, years) for item in looked.left_out]
    delivery = judge(files, [*aside, *others], receipts, bounds)
    accepted_before = {(row["source_file"], row["left_out_reason"]) for row in former if row["is_accepted"]}
    return replace(
        delivery,
        left_out=tuple(
            replace(item, is_accepted=True) if (item.source_file, item.reason) in accepted_before else item
            for item in delivery.left_out
        ),
    )


def look_first(
    raw: str | Path, settings: Settings, *, years: Collection[int] | None = None, accepted: Sequence[str] = (),
    all_or_nothing: bool = False,
) -> None:
    """Refuse a delivery of which nothing can be loaded, before a session is started; what is learned is kept.

    Raises
    ------
    InputRefusedError
        As :func:`receive` for a lake that holds nothing.
    """
    looked = look_at_folder(raw, settings)
    if all_or_nothing or not looked.files:
        receive(
            looked, (), settings, years=years, accepted=accepted, all_or_nothing=all_or_nothing, where=str(raw)
        )


def left_out_lines(left_out: Sequence[LeftOut], *, only_notable: bool = False) -> list[str]:
    """Files left out in words, equal faults together, every name up to a dozen of a kind."""
    lines = []
    for kind, reason, names in grouped(left_out):
        if only_notable and kind not in NOTABLE:
            continue
        shown = ", ".join(names[:SHOWN_NAMES])
        more = f" and {len(names) - SHOWN_NAMES:,} more (all of them: ops.left_out, `customs-lake sniff --out`)"
        count = f"{len(names):,} files " if len(names) > 1 else ""
        lines.append(f"  - {KIND_WORDS[kind]}: {count}{shown}{more if len(names) > SHOWN_NAMES else ''}: {reason}")
    return lines


def unfinished_text(delivery: Delivery) -> str:
    """What waits for a file that cannot be taken, and what to do; empty when nothing does."""
    waiting = [item for item in delivery.left_out if item.kind == "refused" and not item.is_accepted]
    if not waiting:
        return ""
    blocked = sorted({year for item in waiting for year in item.blocked_years})
    waits = f"the counts of {', '.join(map(str, blocked))} wait, all else goes on" if blocked else "all else goes on"
    return (
        f"{len(waiting)} delivered file{'' if len(waiting) == 1 else 's'} cannot be read as records; {waits}. Repair or move"
        " away, or say --accept NAME to go on without:\n" + "\n".join(left_out_lines(waiting))
    )


def carry_over(
    left_out: Sequence[LeftOut], former: Sequence[Receipt], years: Collection[int] | None
) -> tuple[LeftOut, ...]:
    """Files left out, those of years that were not asked for as they were found when they were."""
    if years is None:
        return tuple(left_out)
    before = {
        row["source_file"]: LeftOut(
            row["source_file"], row["left_out_kind"], row["left_out_reason"], tuple(row["blocked_years"]),
            bool(row["is_accepted"]),
        )
        for row in former
        if row["blocked_years"] and not set(row["blocked_years"]) & set(years)
    }
    return tuple(before.get(item.source_file, item) if item.kind == "other_year" else item for item in left_out)


def _known(receipts: Sequence[Receipt], layouts: Sequence[Layout]) -> dict[str, DeliveredFile]:
    """Files by their receipts, where these say all that a look would."""
    by_name = {layout.name: layout for layout in layouts}
    rows: dict[str, list[Receipt]] = {}
    for row in receipts:
        rows.setdefault(row["source_file"], []).append(row)
    known = {}
    for name, of_file in rows.items():
        contents = [stored_content(row) for row in of_file]
        first = of_file[0]
        # what was left out of an archive or a workbook stands in no receipt: these are looked at again
        is_one_table = first["parts"] and not any(part.member or part.table for part in parts_from_json(first["parts"]))
        former = by_name.get(first["layout"])
        if is_one_table and all(contents) and former is not None and _is_read_alike(first, former, layouts):
            years = tuple(
                FileYear(row["source_year"], row["source_month"], row["n_lines"], content)
                for row, content in zip(of_file, contents, strict=True)
                if content is not None
            )
            known[name] = DeliveredFile(
                name, first["file_sha256"], first["bytes"], first["layout"], first["encoding"], first["delimiter"],
                tuple(first["headings"]), years, first["parts"], bool(first["has_postcodes"]),
            )
    return known


def _is_read_alike(receipt: Receipt, former: Layout, layouts: Sequence[Layout]) -> bool:
    """Tell whether a file of one table would be read today as its receipt says; one of an older product does not say it."""
    (part, *_) = parts_from_json(receipt["parts"])
    now = match_layout(part.headings, layouts, receipt["source_file"]) or former
    return part.reading in ("", now.reading_of(part.headings))


def _members_left_out(found: Inspection) -> list[LeftOut]:
    """Members, sheets and tables that are not taken of a file that is; an unreadable one blocks its year as a file does."""
    left_out = []
    for name, sentence in found.left_out:
        source = f"{found.source_file}/{name}"
        kind = kind_of(sentence)
        reason = HOLDS_NOTHING if kind == "useless" else without_name(sentence, source)
        years = _years_of(period_of(source)) if kind == "refused" else ()
        left_out.append(LeftOut(source, kind, reason, years))
    return left_out


def _blocked(item: Beside | Problem) -> tuple[int, ...]:
    """Years whose counts wait for a file that is refused: those its name speaks of."""
    return _years_of(period_of(item.source_file)) if item.kind == "refused" else ()


def _years_of(period: Period) -> tuple[int, ...]:
    """All years of a name."""
    return tuple(range(period.years[0], period.years[-1] + 1)) if period.years else ()


def _of_other_years(item: DeliveredFile, settings: Settings, years: Collection[int] | None) -> LeftOut:
    return LeftOut(item.source_file, "other_year", _other_year([year.year for year in item.years], settings, years))


def _asked_for(item: LeftOut, wanted: set[int], settings: Settings, years: Collection[int] | None) -> LeftOut:
    if item.blocked_years and not wanted.intersection(item.blocked_years):
        return LeftOut(item.source_file, "other_year", _other_year(item.blocked_years, settings, years))
    return item


def _other_year(of_file: Sequence[int], settings: Settings, years: Collection[int] | None) -> str:
    years_of_file = str(of_file[0]) if len(of_file) == 1 else f"{of_file[0]}-{of_file[-1]}"
    if years is not None:
        return f"of {years_of_file}, a year that was not asked for"
    study = settings.study
    return (
        f"of {years_of_file}, outside the study's years {study.first_year}-{study.last_year}; say --years, or widen them with"
        " --set study.first_year=... or --set study.last_year=..."
    )
