"""The comparison with published totals as text: a line per year and direction, then the parts that are off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobs.cleaning.plausibility import OFF, Figure

MAX_PARTS = 20


def table_text(figures: Sequence[Figure], notes: Mapping[int, str]) -> str:
    """Totals in a table, then parts that are off and what shows without a published figure."""
    totals = [item for item in figures if item.is_total]
    parts = [item for item in figures if not item.is_total]
    lines = [
        f"{'year':<6}{'flow':<8}{'lake, US$ m':>16}{'published':>16}{'ratio':>9}{'parts':>7}{'off':>5}  verdict"
    ]
    for item in totals:
        mine = [part for part in parts if (part.year, part.flow) == (item.year, item.flow)]
        off = sum(part.verdict == OFF for part in mine)
        lines.append(
            f"{item.year:<6}{item.flow:<8}{item.found / 1e6:>16,.1f}{item.published / 1e6:>16,.1f}{item.ratio:>9.4f}"
            f"{len(mine):>7}{off:>5}  {item.verdict}{': ' + item.reason if item.reason else ''}"
        )
    bad = sorted((part for part in parts if part.verdict == OFF), key=lambda part: -abs(part.ratio - 1) * part.published)
    lines += [_part_line(part) for part in bad[:MAX_PARTS]]
    if len(bad) > MAX_PARTS:
        lines.append(f"... and {len(bad) - MAX_PARTS} more parts that are off; all are in ops.quality")
    lines += [f"{year}: {note}" for year, note in sorted(notes.items())]
    # the whole reference, with where it was read, stands in the shipped table
    sources = sorted({item.source.split("; ")[0].split(", file ")[0] for item in figures})
    if sources:
        lines.append("Published: " + "; ".join(sources))
    return "\n".join(lines) if figures or notes else "Nothing is published for the years of this lake."


def _part_line(item: Figure) -> str:
    return (
        f"  {item.year} {item.name}: {item.found:,.2f} found, {item.published:,.2f} published,"
        f" ratio {item.ratio:.4f}: {item.reason}"
    )
