"""``tables.do``: every column of a study as commands of xtabond2 and xtdpdgmm, which say how far their numbers are from ours.

The script is read back with this package's own reader of both commands (:func:`check_script`) and estimated on the data it
names, so that it is known to be right before anybody has opened Stata.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.spec import Equation, IVStyle, PanelSpec
from estimation.errors import EstimationError, EstimationWarning, SpecificationError
from estimation.replication.blocks import ENTITY, Block, StudyData
from estimation.stata import StataCommand, parse

YEAR = "year"
WIDTH = 110
_BLOCK = re.compile(r"^\* ==== (\S+)$")
_COMMAND = re.compile(r"^(?:capture noisily )(xtabond2|xtdpdgmm) ")

_HEAD = """\
* tables.do: every column of the study {name}, estimated again from {name}.dta, beside our numbers
{banner}* Needs Stata 14 or later and, once,
*     ssc install xtabond2
*     ssc install xtdpdgmm
* Run it in this folder: do tables.do. It writes tables_stata.log and changes no file.
* Each line printed: term, coefficient here, ours, difference; standard error here, ours, difference.
* xtabond2 estimates what we estimate. xtdpdgmm has no words for a variable that is ONE moment over both equations: it takes
* two there, and asks both periods of a difference to be in the sample. Its numbers are compared with what our own reader of
* the command gives for it, so that a difference is one of the programs, not of the model.
version 14
clear all
set more off
set linesize 120
capture log close
log using "tables_stata.log", replace text
foreach program in xtabond2 xtdpdgmm {{
    capture which `program'
    if _rc display as error "`program' is not installed: ssc install `program'"
}}
use "{name}.dta", clear
xtset {entity} {year}
scalar worst_xtabond2 = 0
scalar worst_xtdpdgmm = 0

capture program drop beside
program define beside
    args program term b se
    capture scalar here = _b[`term']
    if _rc {{
        display as error "    `term' was not estimated"
        exit
    }}
    scalar gap = abs(_b[`term'] - (`b'))
    scalar gap_se = abs(_se[`term'] - (`se'))
    scalar worst_`program' = max(worst_`program', gap, gap_se)
    display as text "    " %-30s abbrev("`term'", 30) as result %12.7f _b[`term'] %12.7f (`b') %10.1e gap ///
        %12.7f _se[`term'] %12.7f (`se') %10.1e gap_se
end
"""
_TAIL = """
display _newline as text "largest difference from our numbers: xtabond2 " as result %8.1e worst_xtabond2 ///
    as text ", xtdpdgmm " as result %8.1e worst_xtdpdgmm
log close
"""


@dataclass(frozen=True, slots=True)
class Check:
    """A command of the script, estimated by our own reader.

    Attributes
    ----------
    block : str
        ``table1.col1.defensible``.
    program : str
    coefficients, std_errors : float
        Largest difference from the numbers that stand in the script.
    n_terms : int
    is_singular : bool
        More moments than clusters: the numbers hang on the generalised inverse, of which each program has its own.
    """

    block: str
    program: str
    coefficients: float
    std_errors: float
    n_terms: int
    is_singular: bool = False

    @property
    def worst(self) -> float:
        """Larger of the two differences."""
        return max(self.coefficients, self.std_errors)


def stata_script(name: str, data: StudyData, *, banner: str = "") -> str:
    """Return the do-file of a study.

    Parameters
    ----------
    name : str
        Of the study, ``NAME.dta`` beside the script.
    data : StudyData
    banner : str
        A sentence on top, such as that the data are generated.
    """
    head = _HEAD.format(name=name, entity=ENTITY, year=YEAR, banner=f"* {banner}\n" if banner else "")
    return head + "".join(_block_text(block, data) for block in data.blocks) + _TAIL


def check_script(text: str, frame: pd.DataFrame) -> list[Check]:
    """Estimate every command of a script on its data, and hold the estimates against the numbers in the script.

    Raises
    ------
    EstimationError
        For a command that cannot be read or estimated.
    """
    return [_checked(command, frame) for command in written_commands(text)]


@dataclass(frozen=True, slots=True)
class WrittenCommand:
    """A command as it stands in a script: its block, the rows kept for it, its text, and (term, b, se) after it."""

    block: str
    program: str
    kept: str
    text: str
    numbers: tuple[tuple[str, float, float], ...]


def written_commands(text: str) -> Iterator[WrittenCommand]:
    """Yield the commands of a script in order."""
    block = kept = program = command = ""
    numbers: list[tuple[str, float, float]] = []
    # a command goes on over lines that end in ///
    for line in re.sub(r" ///\n\s*", " ", text).splitlines():
        line = line.strip()
        if found := _BLOCK.match(line):
            block, kept = found.group(1), ""
        elif line.startswith("keep if "):
            kept = line.removeprefix("keep if ").partition(" ")[0]
        elif found := _COMMAND.match(line):
            program, command, numbers = found.group(1), line, []
        elif line.startswith("beside ") and command:
            _, _, term, b, se = line.split()
            numbers.append((term, float(b), float(se)))
        elif line == "}" and command:
            yield WrittenCommand(block, program, kept, command, tuple(numbers))
            command = ""


def in_words_of_xtdpdgmm(spec: PanelSpec) -> PanelSpec:
    """Return a specification that xtdpdgmm has words for: a moment over both equations becomes one in each."""
    groups: list = []
    for group in spec.instruments:
        if isinstance(group, IVStyle):
            equations: tuple[Equation, ...] = ("difference", "level") if group.equation == "both" else (group.equation,)
            groups += [replace(group, equation=equation, missing="zero") for equation in equations]
        else:
            groups.append(group)
    return replace(spec, instruments=tuple(groups), sample_rule="both_periods")


def _block_text(block: Block, data: StudyData) -> str:
    heading = _harmless(block.heading.en)
    lines = ["", f"* ==== {_key(block)}", f"* {heading} · {_harmless(block.heading.zh)}"]
    if block.command is None:
        reason = _harmless(block.failure)
        notice = f'display _newline as text "{_key(block)}: not estimated"'
        return "\n".join([*lines, f"* not estimated: {reason}", notice, ""])
    lines.append(f'display _newline as text "{_key(block)}: {heading}"')
    if block.kept:
        lines += ["preserve", f"keep if {block.kept} == 1"]
    try:
        lines += _command_lines("xtabond2", block.command.line(time=YEAR), _ours(block))
    except SpecificationError as error:
        lines.append(f"* xtabond2: {_harmless(str(error))}")
    lines += _xtdpdgmm_lines(block, data)
    return "\n".join([*lines, *(["restore"] if block.kept else []), ""])


def _harmless(text: str) -> str:
    """A text in one line that opens no comment, macro or string of Stata."""
    plain = " ".join(text.split()).replace("/*", "/ *").replace("*/", "* /").replace("///", "/ / /").replace("//", "/ /")
    return plain.replace('"', "'").replace("`", "'").replace("$", "S")


def _key(block: Block) -> str:
    return f"{block.table}.col{block.position}.{block.profile}"


def _ours(block: Block) -> list[tuple[str, float, float]]:
    return [(block.names[term], number.coefficient, number.std_error) for term, number in block.numbers.items()]


def _command_lines(program: str, command: str, numbers: Sequence[tuple[str, float, float]]) -> list[str]:
    return [
        _wrapped(f"capture noisily {command}"),
        "if _rc == 0 {",
        *(f"    beside {program} {term} {b!r} {se!r}" for term, b, se in numbers),
        "}",
    ]


def _xtdpdgmm_lines(block: Block, data: StudyData) -> list[str]:
    assert block.command is not None
    try:
        twin = replace(block.command, spec=in_words_of_xtdpdgmm(block.command.spec))
        line = twin.line("xtdpdgmm")
        results = _estimated(parse(line), _rows(data.frame, block.kept))
    except EstimationError as error:
        return [f"* xtdpdgmm: {_harmless(str(error))}"]
    numbers = [
        (name, float(results.params[name]), float(results.std_errors[name]))
        for name in block.names.values() if name in results.params.index
    ]
    return _command_lines("xtdpdgmm", line, numbers)


def _wrapped(command: str) -> str:
    """Break a command before its groups of instruments and where a line would be long."""
    pieces = re.split(r" (?=(?:gmm|iv|gmmiv)\()", command)
    lines: list[str] = []
    for piece in pieces:
        words, line = piece.split(" "), ""
        for word in words:
            if line and len(line) + len(word) + 1 > WIDTH:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return " ///\n    ".join(lines)


def _checked(written: WrittenCommand, frame: pd.DataFrame) -> Check:
    results = _estimated(parse(written.text), _rows(frame, written.kept))
    gaps, errors = [0.0], [0.0]
    for term, b, se in written.numbers:
        if term not in results.params.index:
            raise SpecificationError(f"{written.block}: {written.program} read back does not estimate {term}.")
        gaps.append(abs(float(results.params[term]) - b))
        errors.append(abs(float(results.std_errors[term]) - se))
    is_singular = results.n_instruments > results.n_clusters
    return Check(written.block, written.program, max(gaps), max(errors), len(written.numbers), is_singular)


def _rows(frame: pd.DataFrame, kept: str) -> pd.DataFrame:
    return frame[np.asarray(frame[kept] == 1)].reset_index(drop=True) if kept else frame


def _estimated(command: StataCommand, frame: pd.DataFrame) -> GMMResults:
    with warnings.catch_warnings():
        # what the table's own fit warned of is said beside the table
        warnings.simplefilter("ignore", EstimationWarning)
        return command.fit(frame, entity=ENTITY, time=YEAR)
