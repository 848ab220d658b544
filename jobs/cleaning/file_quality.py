"""Shares kept and refused file by file and month by month, held against the files beside them. Pure.

A whole year keeps its bounds while one month of it loses everything: a file whose flow was encoded, whose postcodes are
another column, whose dates are another year's. So each file and month is compared with the others of its year.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from conf.file_names import period_of
from jobs.kernels.rows import YEAR_UNKNOWN

#: Fewer exports than this and a single reason for all of them, or no export at all, may be chance.
MIN_RECORDS = 3
#: A share is compared with the neighbours' from this many exports on: its standard error is then at most 0.11.
MIN_RECORDS_COMPARED = 20
IMPORT = "import"
#: What is not an export that could have been kept.
NOT_EXPORTS = (IMPORT, "erased")


@dataclass(frozen=True, slots=True)
class Count:
    """Records of one file and month that were kept, or refused for one primary reason.

    Attributes
    ----------
    year : int
    source_file : str
    month : int or None
    reason : str or None
        None for kept records.
    n : int
    """

    year: int
    source_file: str
    month: int | None
    reason: str | None
    n: int


@dataclass(frozen=True, slots=True)
class FileQuality:
    """What became of the records of one file and month; the columns of ``ops.file_quality``."""

    year: int
    source_file: str
    covered_period: str
    n_exports: int
    n_imports: int
    n_rows_kept: int
    share_kept: float | None
    share_kept_neighbours: float | None
    main_reason: str | None
    share_main_reason: float | None
    alarm: str | None = None


def judge_files(counts: Sequence[Count], *, max_share_reason: float, min_kept_to_neighbours: float) -> list[FileQuality]:
    """Judge every file and month against the others of its year, or those of the years beside it if it is alone.

    Parameters
    ----------
    counts : sequence of Count
    max_share_reason : float
        A single reason that takes more of a file's exports is an alarm.
    min_kept_to_neighbours : float
        Less kept than this part of what the neighbours keep (their median) is an alarm.
    """
    units: dict[tuple[int, str, str], dict[str | None, int]] = {}
    for item in counts:
        period = f"{item.year}-{item.month:02d}" if item.month else str(item.year)
        reasons = units.setdefault((item.year, item.source_file, period), {})
        reasons[item.reason] = reasons.get(item.reason, 0) + item.n
    shares: dict[int, dict[tuple, float]] = {}
    for unit, reasons in units.items():
        exports = _exports(reasons)
        if exports:
            shares.setdefault(unit[0], {})[unit] = reasons.get(None, 0) / exports
    judged = []
    for unit, reasons in sorted(units.items()):
        neighbours = _neighbours(unit, shares)
        quality = _measure(unit, reasons, neighbours)
        alarm = _alarm(quality, max_share_reason, min_kept_to_neighbours)
        judged.append(FileQuality(**{name: getattr(quality, name) for name in _NAMES}, alarm=alarm))
    return judged


def alarm_sentences(judged: Sequence[FileQuality], *, shown: int = 5) -> list[str]:
    """The alarms, at most a few in full."""
    alarms = [f"{item.source_file}: {item.alarm}" for item in judged if item.alarm]
    return alarms[:shown] + ([f"and {len(alarms) - shown} more files, see ops.file_quality"] if len(alarms) > shown else [])


_NAMES = tuple(name for name in FileQuality.__slots__ if name != "alarm")


def _exports(reasons: Mapping[str | None, int]) -> int:
    return sum(n for reason, n in reasons.items() if reason not in NOT_EXPORTS)


def _neighbours(unit: tuple[int, str, str], shares: Mapping[int, Mapping[tuple, float]]) -> list[float]:
    own = [share for other, share in shares.get(unit[0], {}).items() if other != unit]
    return own or [share for year in (unit[0] - 1, unit[0] + 1) for share in shares.get(year, {}).values()]


def _measure(unit: tuple[int, str, str], reasons: Mapping[str | None, int], neighbours: Sequence[float]) -> FileQuality:
    exports, kept = _exports(reasons), reasons.get(None, 0)
    refused = {reason: n for reason, n in reasons.items() if reason not in (None, *NOT_EXPORTS)}
    main = max(refused, key=lambda reason: (refused[reason], reason), default=None)
    return FileQuality(
        *unit, exports, reasons.get(IMPORT, 0), kept, kept / exports if exports else None,
        median(neighbours) if neighbours else None, main, refused[main] / exports if main else None,
    )


def _alarm(item: FileQuality, max_share_reason: float, min_kept_to_neighbours: float) -> str | None:
    n = item.n_exports
    if n == 0:
        flow_in_name = period_of(item.source_file).flow
        expected = flow_in_name == "export" or (not flow_in_name and item.share_kept_neighbours is not None)
        if item.n_imports < MIN_RECORDS or not expected:
            return None
        why = "its name says exports" if flow_in_name else "the files beside it hold exports"
        return f"all {item.n_imports:,} records are imports, but {why}; is its flow column right?"
    if item.main_reason == YEAR_UNKNOWN:
        # records are put together here by having no date, so all of them are refused; the year's share has its own bound
        return None
    beside = item.share_kept_neighbours
    if n >= MIN_RECORDS and (item.share_main_reason or 0) > max_share_reason:
        return f"{item.main_reason} refused {item.share_main_reason:.0%} of its {n:,} exports{_of_neighbours(beside)}"
    if n >= MIN_RECORDS_COMPARED and beside is not None and (item.share_kept or 0) < min_kept_to_neighbours * beside:
        main = f"; most were refused as {item.main_reason}" if item.main_reason else ""
        return f"{item.n_rows_kept:,} of {n:,} exports of {item.covered_period} kept{_of_neighbours(beside)}{main}"
    return None


def _of_neighbours(share: float | None) -> str:
    return "" if share is None else f", the files beside it keep {share:.0%}"
