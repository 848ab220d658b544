"""Commands of Stata for dynamic panels, read into specifications and written back.

    from estimation.stata import parse

    command = parse("xtabond2 n L.n w k, gmm(L.n, lag(1 .)) iv(w k) twostep robust")
    results = command.fit(data, entity="id", time="year")
    print(command.python())                # the same model in Python
    print(command.line("xtdpdgmm"))        # in the other program's words, where it has them

xtabond2 (Roodman) and xtdpdgmm (Kripfganz) are read, abbreviations and ``///`` included. What has no counterpart here is
refused with the reason; what leaves the numbers alone is listed in ``command.notes``.
"""

from __future__ import annotations

from estimation.dynamic_panel.spec import FitOptions, PanelSpec
from estimation.errors import SpecificationError
from estimation.stata import xtabond2, xtdpdgmm
from estimation.stata.command import WRITERS, Program, StataCommand
from estimation.stata.command_line import read_command_line
from estimation.stata.conditions import check_condition, rows_kept

_PROGRAMS = {"xtabond2": xtabond2, "xtdpdgmm": xtdpdgmm}
WRITERS.update({"xtabond2": xtabond2.write, "xtdpdgmm": xtdpdgmm.write})

__all__ = ["StataCommand", "parse", "rows_kept", "write"]


def parse(text: str) -> StataCommand:
    """Read a command line of xtabond2 or xtdpdgmm.

    Raises
    ------
    SpecificationError
        For a grammar or an option that is not known, or known and without a counterpart.
    """
    line = read_command_line(text)
    if line.program not in _PROGRAMS:
        raise SpecificationError(f"expected xtabond2 or xtdpdgmm, found {line.program!r}.")
    check_condition(line.condition, line.rows)
    return _PROGRAMS[line.program].read(line)


def write(command: StataCommand, *, time: str | None = None) -> str:
    """Write a command line; see :meth:`StataCommand.line`.

    Raises
    ------
    SpecificationError
        For what the program has no words for.
    """
    return _PROGRAMS[command.program].write(command, time=time)


def command_of(spec: PanelSpec, options: FitOptions, program: Program = "xtabond2") -> StataCommand:
    """Return a specification of ours as a command, to be written with `str` or `line`."""
    return StataCommand(program, spec, options)
