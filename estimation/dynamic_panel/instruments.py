"""The instrument matrix Z, column by column, with a label for every moment.

Made from the groups of a specification and the panel grid. For the transformed equation a GMM-style group enters levels
lagged a..b, missing ones as zero; in a system the level equation gets the first difference lagged a - 1, because deeper
ones are redundant (Roodman 2009, sec. 3.4). Standard instruments are one column over both equations. Columns that are
zero in every row are not built but stay in the moment table, so that counts and degrees of freedom are honest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from estimation.dynamic_panel.blocks import IN_MEMORY, BlockedZ, entity_blocks
from estimation.dynamic_panel.design import Design, Dummies, averaged_rows
from estimation.dynamic_panel.panel import PanelGrid, shift
from estimation.dynamic_panel.spec import CONSTANT, Equation, GMMStyle, IVStyle, PanelSpec
from estimation.dynamic_panel.transforms import backward_deviation, first_difference, forward_deviation


@dataclass(frozen=True, slots=True)
class Moment:
    """One row of the moment table: where an instrument column comes from and whether it is used."""

    group: str
    style: str
    equation: str
    variable: str
    lag: int | None
    period: int | None
    column: int | None
    reason: str = ""

    @property
    def label(self) -> str:
        """What the moment is, in a few words."""
        lag = "" if self.lag is None else f", lag {self.lag}"
        period = "" if self.period is None else f", {self.period}"
        return f"{self.variable}{lag}{period}, {self.equation}"

    @property
    def kept(self) -> bool:
        """Whether the moment is used."""
        return self.column is not None


@dataclass(frozen=True, slots=True)
class Instruments:
    """Z with its labels.

    Attributes
    ----------
    Z : ndarray or BlockedZ, shape (N, R, j)
        Columns that are not zero everywhere.
    moments : tuple of Moment
        All moments, in the order of the specification; `Moment.column` is the column of Z or None.
    """

    Z: np.ndarray | BlockedZ
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """A candidate column: the rows of R it touches and its values there, shape (N, n_rows) or (N,)."""

    moment: Moment
    where: int | slice
    values: np.ndarray


class Candidates:
    """Makes the candidate columns of any entities; which there are, and their labels, is the same for all."""

    def __init__(self, grid: PanelGrid, spec: PanelSpec, design: Design, dummies: Dummies) -> None:
        self.grid, self.spec, self.design, self.dummies = grid, spec, design, dummies
        self.equations = tuple(self._equation(values) for values in dummies.columns)

    def of(self, entities: slice) -> list[_Column]:
        """Return the candidate columns of some entities."""
        grid, design = _sliced_grid(self.grid, entities), _sliced_design(self.design, entities)
        builder = _Builder(grid, self.spec, design)
        columns = list(builder.constant())
        for group in self.spec.instruments:
            columns += builder.gmm(group) if isinstance(group, GMMStyle) else builder.iv(group)
        for name, values, equation in zip(self.dummies.names, self.dummies.columns, self.equations, strict=True):
            columns += builder.period_dummy(name, values[entities], equation)
        return columns

    def filled(self, entities: slice, used: Sequence[int]) -> np.ndarray:
        """Return Z of some entities with the candidates `used` as its columns, shape (n, R, len(used))."""
        columns = self.of(entities)
        Z = np.zeros((*self.design.rows[entities].shape, len(used)))
        for c, position in enumerate(used):
            Z[:, columns[position].where, c] = columns[position].values
        return Z

    def _equation(self, values: np.ndarray) -> Equation:
        """Return the equation a period dummy instruments.

        The dummy of a period that no level row of a restricted sample lies in is still in the difference of the row after
        it, and instruments that one.
        """
        if not self.spec.system:
            return "difference"
        equation = self.spec.time_effects or "level"
        at = self.design.level_at
        if equation == "level" and not (self.design.level_rows[:, at] & (values[:, at] == 1)).any():
            return "difference"
        return equation


def build_instruments(grid: PanelGrid, spec: PanelSpec, design: Design, dummies: Dummies) -> Instruments:
    """Build Z for the rows of `design`, or what makes it block by block when it would take too much memory."""
    candidates = Candidates(grid, spec, design, dummies)
    n, n_rows = design.rows.shape
    first = candidates.of(slice(0, 1))
    blocks = list(entity_blocks(n, n_rows * len(first)))
    nonzero = np.zeros(len(first), dtype=bool)
    for block in blocks:
        columns = candidates.of(block)
        nonzero |= [column.values.any() for column in columns]
    used = np.flatnonzero(nonzero).tolist()
    if n * n_rows * len(used) * 8 > IN_MEMORY:
        Z: np.ndarray | BlockedZ = BlockedZ(candidates, used)
    elif len(blocks) == 1:
        filled = np.zeros((n, n_rows, len(used)))
        for c, position in enumerate(used):
            filled[:, columns[position].where, c] = columns[position].values
        Z = filled
    else:
        Z = np.concatenate([candidates.filled(block, used) for block in blocks])
    column_of = {position: c for c, position in enumerate(used)}
    moments = tuple(
        replace(candidate.moment, column=column_of[position])
        if position in column_of
        else replace(candidate.moment, reason="zero in every row")
        for position, candidate in enumerate(first)
    )
    return Instruments(Z, moments)


def _sliced_grid(grid: PanelGrid, entities: slice) -> PanelGrid:
    """Return the part of a panel that instruments are made from."""
    if entities == slice(0, len(grid.stored)):
        return grid
    values = {name: series[entities] for name, series in grid.values.items()}
    return replace(grid, stored=grid.stored[entities], values=values)


def _sliced_design(design: Design, entities: slice) -> Design:
    """Return the rows of some entities."""
    if entities == slice(0, len(design.rows)):
        return design
    return replace(
        design,
        rows=design.rows[entities],
        complete=design.complete[entities],
        transformed_rows=design.transformed_rows[entities],
        level_rows=design.level_rows[entities],
    )


def keep_columns(instruments: Instruments, kept: np.ndarray, reason: str) -> Instruments:
    """Return the instruments with only the columns `kept`, the others marked with `reason`."""
    new_position = {int(old): new for new, old in enumerate(kept)}
    moments = []
    for moment in instruments.moments:
        if moment.column is None or moment.column in new_position:
            column = None if moment.column is None else new_position[moment.column]
            moments.append(replace(moment, column=column))
        else:
            moments.append(replace(moment, column=None, reason=reason))
    Z = instruments.Z
    return Instruments(Z.select(kept) if isinstance(Z, BlockedZ) else np.ascontiguousarray(Z[:, :, kept]), tuple(moments))


class _Builder:
    """Makes candidate columns; rows outside the sample are zeroed here."""

    def __init__(self, grid: PanelGrid, spec: PanelSpec, design: Design) -> None:
        self.grid, self.spec, self.design = grid, spec, design
        self.n_transformed = len(design.transformed_at)
        self.transformed = slice(0, self.n_transformed)
        self.level = slice(self.n_transformed, design.rows.shape[1])
        self.in_transformed = design.transformed_rows[:, design.transformed_at]
        self.in_level = design.level_rows[:, design.level_at]
        self.counted = self._complete() if spec.transform == "fod" else None

    def _complete(self) -> np.ndarray:
        """Rows whose model and standard instruments are all present, shape (N, T)."""
        return averaged_rows(self.grid, self.spec, self.design.complete)

    def constant(self) -> Iterator[_Column]:
        """The constant instruments itself in the level equation."""
        if self.spec.has_constant:
            moment = Moment(CONSTANT, "iv", "level", CONSTANT, None, None, None)
            yield _Column(moment, self.level, self.in_level.astype(float))

    def gmm(self, group: GMMStyle) -> Iterator[_Column]:
        """GMM-style columns of one group, transformed equation first."""
        for variable in group.variables:
            series = self.grid.series(variable)
            if group.orthogonal:
                series = backward_deviation(series, self._complete())
            if group.equation != "level":
                yield from self._lagged(group, variable, series, "difference", range(group.lags[0], self._last(group)))
        if not self.spec.system or group.equation == "difference":
            return
        for variable in group.variables:
            # the difference is taken on the calendar, not with the row-wise D. operator: both its ends must be stored
            series = self.grid.series(variable)
            difference = series if group.passthrough else first_difference(series)
            deepest = self._last(group) if group.equation == "level" else max(group.lags[0], 1)
            first = group.lags[0] if group.equation == "level" else deepest - 1
            yield from self._lagged(group, variable, difference, "level", range(first, deepest))

    def iv(self, group: IVStyle) -> Iterator[_Column]:
        """Standard columns of one group."""
        for variable in group.variables:
            yield from self._standard(
                group.label, variable, self.grid.series(variable), group.equation, group.passthrough
            )

    def period_dummy(self, name: str, values: np.ndarray, equation: Equation) -> Iterator[_Column]:
        """A period dummy as its own instrument."""
        yield from self._standard("time effects", name, values, equation, False)

    def _last(self, group: GMMStyle) -> int:
        """One past the deepest lag that can exist."""
        n_periods = len(self.grid.times)
        return n_periods if group.lags[1] is None else min(group.lags[1] + 1, n_periods)

    def _lagged(
        self, group: GMMStyle, variable: str, series: np.ndarray, equation: str, lags: range
    ) -> Iterator[_Column]:
        """Columns of one variable in one equation."""
        at, in_sample, rows = (
            (self.design.transformed_at, self.in_transformed, self.transformed)
            if equation == "difference"
            else (self.design.level_at, self.in_level, self.level)
        )
        for lag in lags:
            lagged = shift(series, lag)[:, at]
            values = np.where(in_sample & ~np.isnan(lagged), lagged, 0.0)
            if group.collapse:
                moment = Moment(group.label, "gmm", equation, variable, lag, None, None)
                yield _Column(moment, rows, values)
                continue
            for r, t in enumerate(at):
                moment = Moment(group.label, "gmm", equation, variable, lag, int(self.grid.times[t]), None)
                yield _Column(moment, rows.start + r, values[:, r])

    def _standard(
        self, label: str, variable: str, level: np.ndarray, equation: Equation, passthrough: bool
    ) -> Iterator[_Column]:
        """One column over the equations asked for."""
        values = np.zeros(self.design.rows.shape)
        if equation != "level":
            moved = level if passthrough else self._transform(level)
            moved = moved[:, self.design.transformed_at]
            values[:, self.transformed] = np.where(self.in_transformed & ~np.isnan(moved), moved, 0.0)
        if equation != "difference" and self.spec.system:
            levels = level[:, self.design.level_at]
            values[:, self.level] = np.where(self.in_level & ~np.isnan(levels), levels, 0.0)
        if equation == "both" and not self.spec.system:
            equation = "difference"
        yield _Column(Moment(label, "iv", equation, variable, None, None, None), slice(None), values)

    def _transform(self, level: np.ndarray) -> np.ndarray:
        """Apply the model's transform to one variable."""
        if self.spec.transform == "fd":
            return first_difference(level)
        assert self.counted is not None  # made for this transform
        return forward_deviation(level[:, :, None], self.counted)[:, :, 0]
