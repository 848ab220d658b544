"""What a command line of Stata says, as a specification of ours, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from estimation.dynamic_panel.model import PanelGMM
from estimation.dynamic_panel.nonlinear import fit_nonlinear
from estimation.dynamic_panel.panel import build_grid
from estimation.dynamic_panel.quadratic_moments import NonlinearMoments
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import FitOptions, GMMStyle, IVStyle, PanelSpec
from estimation.stata.conditions import operated_names, rows_kept

# fields of a specification that become arguments of the model class
_SPOKEN = (
    "transform", "constant", "time_effects", "h", "cluster", "weights", "weight_kind", "collinear", "sample_rule",
)  # fmt: skip
Program = Literal["xtabond2", "xtdpdgmm"]


@dataclass(frozen=True, slots=True)
class StataCommand:
    """A command of xtabond2 or xtdpdgmm.

    Attributes
    ----------
    program : {"xtabond2", "xtdpdgmm"}
    spec : PanelSpec
        Categories and lists of columns are spelled out when it meets the data.
    options : FitOptions
    condition, rows : str
        After ``if`` and ``in``.
    ar_tests : int
        Highest order of the autocorrelation tests to report.
    nonlinear : tuple of NonlinearMoments
        Moments of ``nl()``.
    notes : tuple of str
        What was read otherwise than written, and options without a counterpart that leave the numbers alone.
    """

    program: Program
    spec: PanelSpec
    options: FitOptions
    condition: str = ""
    rows: str = ""
    ar_tests: int = 2
    nonlinear: tuple[NonlinearMoments, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        """Return the command line."""
        return self.line()

    def line(self, program: Program | None = None, *, time: str | None = None) -> str:
        """Return the command line, also in the words of the other program.

        Parameters
        ----------
        program : {"xtabond2", "xtdpdgmm"}, optional
        time : str, optional
            Time column, which xtabond2 needs to write period dummies (``time_effects=``) as ``i.year``.

        Raises
        ------
        SpecificationError
            When the other program cannot say it.
        """
        changed = self if program in (None, self.program) else replace(self, program=program)
        return WRITERS[changed.program](changed, time=time)

    def model(
        self, data: pd.DataFrame, *, entity: str | None = None, time: str | None = None, time_step: int = 1
    ) -> PanelGMM:
        """Return the model of the linear moments on data; ``if`` and ``in`` become its sample.

        Raises
        ------
        EstimationError
        """
        frame = data.reset_index() if data.index.nlevels == 2 else data
        made = {name: _lagged(data, name, entity, time, time_step) for name in operated_names(self.condition)}
        sample = rows_kept(frame.assign(**made), self.condition, self.rows)
        return PanelGMM.from_spec(data, self.spec, entity=entity, time=time, time_step=time_step, sample=sample)

    def fit(
        self, data: pd.DataFrame, *, entity: str | None = None, time: str | None = None, time_step: int = 1
    ) -> GMMResults:
        """Estimate on data, with the nonlinear moments where there are any.

        Raises
        ------
        EstimationError
        """
        model = self.model(data, entity=entity, time=time, time_step=time_step)
        if self.nonlinear:
            return fit_nonlinear(model, self.nonlinear, self.options)
        return model.fit_options(self.options)

    def python(self, *, entity: str = "id", time: str = "year") -> str:
        """Return the same model in Python, ready to be pasted."""
        return _python(self, entity, time)


def _lagged(data: pd.DataFrame, name: str, entity: str | None, time: str | None, time_step: int) -> np.ndarray:
    """Return a variable under lag operators, row by row of the data."""
    grid = build_grid(data, [name], entity=entity, time=time, time_step=time_step)
    out = np.full(len(data), np.nan)
    out[grid.row_position[grid.stored]] = grid.series(name)[grid.stored]
    return out


def _python(command: StataCommand, entity: str, time: str) -> str:
    """Write the call of the model class and of `fit`."""
    spec = command.spec
    lags = _own_lags(spec)
    arguments: dict[str, Any] = {"entity": entity, "time": time, "dependent": spec.dependent, "lags": lags}
    arguments["regressors"] = list(spec.regressors[lags:])
    defaults = PanelSpec(spec.dependent, spec.regressors)
    for name in _SPOKEN:
        if getattr(spec, name) != getattr(defaults, name) and not (name == "constant" and not spec.system):
            arguments[name] = getattr(spec, name)
    lines = [f"    {name}={value!r}," for name, value in arguments.items()]
    if spec.instruments:
        lines += ["    instruments=[", *(f"        {_group(group)}," for group in spec.instruments), "    ],"]
    if command.condition or command.rows:
        lines.append(f"    sample=rows_kept(data, {command.condition!r}, {command.rows!r}),")
    name = "SystemGMM" if spec.system else "DifferenceGMM"
    if command.nonlinear:
        name = "NonlinearGMM"
        lines.append(f"    nonlinear={list(command.nonlinear)!r},")
    fit: dict[str, Any] = {"steps": command.options.steps, "cov_type": command.options.covariance}
    fit |= {"small": True} if command.options.small else {}
    fit |= {"inverse": command.options.inverse} if command.options.inverse != FitOptions().inverse else {}
    call = ", ".join(f"{key}={value!r}" for key, value in fit.items())
    return "\n".join([f"{name}(", "    data,", *lines, f").fit({call})"])


def _own_lags(spec: PanelSpec) -> int:
    """Return how many of the first regressors are the first lags of the dependent variable."""
    count = 0
    for lag, name in enumerate(spec.regressors, start=1):
        if name != (f"L.{spec.dependent}" if lag == 1 else f"L{lag}.{spec.dependent}"):
            break
        count = lag
    return count


def _group(group: GMMStyle | IVStyle) -> str:
    """Return the call of a group with what differs from the defaults."""
    names = list(group.variables)
    first = repr(names[0] if len(names) == 1 else names)
    plain = type(group)(group.variables)
    fields = [name for name in group.__dataclass_fields__ if name != "variables"]
    changed = [f"{name}={getattr(group, name)!r}" for name in fields if getattr(group, name) != getattr(plain, name)]
    if isinstance(group, GMMStyle) and isinstance(plain, GMMStyle) and group.lags == plain.lags:
        changed.insert(0, f"lags={group.lags!r}")
    return f"{type(group).__name__}({', '.join([first, *changed])})"


# how each program's lines are written; the package fills it, because its writers know this class
WRITERS: dict[Program, Callable[..., str]] = {}
