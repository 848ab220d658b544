"""xtabond2 3.7 (Roodman 2009): what its options mean here, and how a specification is written with them.

Its conventions are this estimator's own, so that every option with an effect on the numbers is either read or refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from estimation.dynamic_panel.spec import (
    CovType,
    Equation,
    FitOptions,
    GMMStyle,
    HMatrix,
    InstrumentGroup,
    IVStyle,
    PanelSpec,
    WeightKind,
)
from estimation.errors import SpecificationError
from estimation.stata.command import StataCommand
from estimation.stata.command_line import CommandLine, at_comma, read_options, resolve_option, whole_numbers, written
from estimation.stata.varlists import read_varlist, write_term, write_varlist

OPTIONS = {
    "gmmstyle": "gmm", "ivstyle": "iv", "twostep": "two", "robust": "r", "cluster": "cl", "noconstant": "noc", "small": "sm",
    "noleveleq": "nol", "orthogonal": "or", "artests": "ar", "h": "h", "level": "l", "nodiffsargan": "nod", "nomata": "nom",
    "svmat": "svm", "svvar": "svv", "pca": "pca", "components": "comp", "arlevels": "arl",
}  # fmt: skip
GMM_OPTIONS = {
    "laglimits": "lag", "collapse": "c", "orthogonal": "o", "equation": "e", "passthru": "p", "split": "sp",
}  # fmt: skip
IV_OPTIONS = {"equation": "e", "passthru": "p", "mz": "mz"}
_EQUATIONS: dict[str, Equation] = {"diff": "difference", "level": "level", "both": "both"}
_WRITTEN = {"difference": "diff", "level": "level"}
_UNREAD = frozenset({"level", "nodiffsargan", "nomata", "svmat", "svvar"})
_REFUSED = {
    "pca": "principal components of instruments are not built; collapse or limit the lags",
    "components": "principal components of instruments are not built; collapse or limit the lags",
    "arlevels": "autocorrelation is tested in the differenced residuals only",
}
_WEIGHTS: dict[str, WeightKind] = {"pweight": "probability", "aweight": "probability", "fweight": "frequency"}


@dataclass(slots=True)
class _Reading:
    """Options as they are met."""

    groups: list[InstrumentGroup] = field(default_factory=list)
    switches: set[str] = field(default_factory=set)
    cluster: str | None = None
    h: HMatrix = 3
    ar_tests: int = 2
    notes: list[str] = field(default_factory=list)


def read(line: CommandLine) -> StataCommand:
    """Return what a command of xtabond2 says.

    Raises
    ------
    SpecificationError
    """
    dependent, *regressors = read_varlist(line.variables) or ("",)
    reading = _Reading()
    names = [(resolve_option(name, OPTIONS, "xtabond2"), argument) for name, argument in line.options]
    system = "noleveleq" not in {name for name, _ in names}
    for name, argument in names:
        _option(reading, name, argument, system)
    weights, kind = _weights(line)
    spec = PanelSpec(
        dependent,
        tuple(regressors),
        tuple(reading.groups),
        system=system,
        transform="fod" if "orthogonal" in reading.switches else "fd",
        constant="noconstant" not in reading.switches,
        h=reading.h,
        cluster=reading.cluster,
        weights=weights,
        weight_kind=kind,
        collinear="drop",
    )
    return StataCommand(
        "xtabond2", spec, _fit_options(reading), line.condition, line.rows, reading.ar_tests, notes=tuple(reading.notes)
    )


def _option(reading: _Reading, name: str, argument: str | None, system: bool) -> None:
    """Take in one option."""
    if name in _REFUSED:
        raise SpecificationError(f"xtabond2: {name}: {_REFUSED[name]}.")
    if name == "gmmstyle":
        reading.groups += _gmm(argument or "", system, reading.notes)
    elif name == "ivstyle":
        reading.groups += _iv(argument or "", system, reading.notes)
    elif name == "cluster":
        clusters = (argument or "").split()
        if len(clusters) != 1:
            raise SpecificationError(f"xtabond2: cluster({argument}): expected one variable, found {len(clusters)}.")
        reading.cluster = clusters[0]
    elif name == "h":
        number = whole_numbers(argument, "xtabond2: h()")
        if number not in ([1], [2], [3]):
            raise SpecificationError(f"xtabond2: h({argument}): expected 1, 2 or 3.")
        reading.h = number[0]  # type: ignore[assignment]  # one of the three
    elif name == "artests":
        number = whole_numbers(argument, "xtabond2: artests()")
        if len(number) != 1 or number[0] is None or number[0] < 1:
            raise SpecificationError(f"xtabond2: artests({argument}): expected a whole number from 1 on.")
        reading.ar_tests = number[0]
    elif name in _UNREAD:
        reading.notes.append(f"{name} leaves the numbers alone and is not read")
    else:
        reading.switches.add(name)


def _weights(line: CommandLine) -> tuple[str | None, WeightKind]:
    if line.weight is None:
        return None, "probability"
    given, column = line.weight
    kinds = [kind for full, kind in _WEIGHTS.items() if full.startswith(given.lower()) or given.lower() == full[0] + "w"]
    if not kinds:
        raise SpecificationError(f"xtabond2: [{given}={column}]: expected pweight, aweight or fweight.")
    return column, kinds[0]


def _fit_options(reading: _Reading) -> FitOptions:
    two = "twostep" in reading.switches
    robust = "robust" in reading.switches or reading.cluster is not None
    kind: CovType = ("windmeijer" if two else "robust") if robust else "unadjusted"
    # the generalised inverse of a singular weight is Stata's own
    return FitOptions(2 if two else 1, kind, "small" in reading.switches, "sweep")


def _gmm(argument: str, system: bool, notes: list[str]) -> list[GMMStyle]:
    """Return the group of one gmm(), two if it is split, none if it is for a level equation that is not there."""
    variables, options = _group_options(argument, GMM_OPTIONS, "gmmstyle")
    first, last = _lag_limits(options.get("laglimits"), "laglimits" in options)
    equation = _equation(options.get("equation"), "gmmstyle")
    collapse, passthru = "collapse" in options, "passthru" in options
    if equation == "level" and not system:
        notes.append(f"gmm({argument}) is for the level equation and left out, as noleveleq is given")
        return []
    if passthru and system and equation == "both":
        raise SpecificationError("xtabond2: gmm(): passthru is not for both equations; add equation(level).")
    if "split" in options and system and equation == "both":
        level = (max(first, 1) - 1,) * 2
        return [
            GMMStyle(variables, (first, last), collapse, "difference", orthogonal="orthogonal" in options),
            GMMStyle(variables, level, collapse, "level"),
        ]
    orthogonal = "orthogonal" in options and equation != "level"
    return [
        GMMStyle(
            variables, (first, last), collapse, equation, passthrough=passthru and equation == "level", orthogonal=orthogonal
        )
    ]


def _iv(argument: str, system: bool, notes: list[str]) -> list[IVStyle]:
    """Return the group of one iv(), none if it is for a level equation that is not there."""
    variables, options = _group_options(argument, IV_OPTIONS, "ivstyle")
    equation, passthru = _equation(options.get("equation"), "ivstyle"), "passthru" in options
    if equation == "level" and not system:
        notes.append(f"iv({argument}) is for the level equation and left out, as noleveleq is given")
        return []
    if passthru and system and equation == "both":
        raise SpecificationError("xtabond2: iv(): passthru is not for both equations; add equation(diff).")
    passed = passthru and equation != "level"
    return [IVStyle(variables, "difference" if passed else equation, "zero" if "mz" in options else "drop", passed)]


def _group_options(
    argument: str, known: dict[str, str], where: str
) -> tuple[tuple[str, ...], dict[str, str | None]]:
    names, rest = at_comma(argument)
    variables = read_varlist(names)
    if not variables:
        raise SpecificationError(f"xtabond2: {where}({argument}) names no variable.")
    return variables, {resolve_option(name, known, f"xtabond2: {where}()"): value for name, value in read_options(rest)}


def _lag_limits(text: str | None, given: bool) -> tuple[int, int | None]:
    if not given:
        return 1, None
    limits = whole_numbers(text, "xtabond2: laglimits()")
    if len(limits) != 2:
        raise SpecificationError(f"xtabond2: laglimits({text}): expected two numbers or full stops, such as (2 .).")
    first, last = (1 if limits[0] is None else limits[0]), limits[1]
    if last is not None and first > last:
        first, last = last, first
    if first < 0:
        raise SpecificationError(f"xtabond2: laglimits({text}): leads are not taken as instruments here; use F.x in iv().")
    return first, last


def _equation(text: str | None, where: str) -> Equation:
    if text is None:
        return "both"
    for word, equation in _EQUATIONS.items():
        if text and word.startswith(text.lower()):
            return equation
    raise SpecificationError(f"xtabond2: {where}(): equation({text}): expected diff, level or both.")


def write(command: StataCommand, *, time: str | None = None) -> str:
    """Return the command line.

    Raises
    ------
    SpecificationError
        For what xtabond2 has no words for.
    """
    spec, options = command.spec, command.options
    if options.steps not in (1, 2):
        raise SpecificationError(f"xtabond2 has no {options.steps} estimator; xtdpdgmm has (igmm, cugmm).")
    if options.covariance == "doubly_corrected":
        raise SpecificationError("xtabond2 has no doubly corrected errors; xtdpdgmm has: vce(robust, dc).")
    if command.nonlinear:
        raise SpecificationError("xtabond2 has no nonlinear moments; xtdpdgmm has: nl().")
    if spec.sample_rule != "row" and (command.condition or command.rows):
        raise SpecificationError("xtabond2's if asks the row itself to be inside; sample_rule='both_periods' is xtdpdgmm's.")
    dummies = _period_dummies(spec, time)
    head = " ".join(filter(None, ["xtabond2", write_varlist([spec.dependent, *spec.regressors]), dummies]))
    head += f" if {command.condition}" if command.condition else ""
    head += f" in {command.rows}" if command.rows else ""
    head += "" if spec.weights is None else f" [{'fw' if spec.weight_kind == 'frequency' else 'pw'}={spec.weights}]"
    words = [_written_group(group) for group in spec.instruments]
    if dummies:
        words.append(written("iv", [dummies, _eq(spec.time_effects or "both")]))
    words += _written_switches(command)
    return f"{head}, {' '.join(words)}".removesuffix(", ")


def _period_dummies(spec: PanelSpec, time: str | None) -> str:
    if spec.time_effects is None:
        return ""
    if time is None:
        raise SpecificationError("xtabond2 writes period dummies as i.year: name the time column, time='year'.")
    return write_term(f"C({time})")


def _written_group(group: InstrumentGroup) -> str:
    if isinstance(group, IVStyle):
        suboptions = [_eq(group.equation), "passthru" if group.passthrough else "", "mz" if group.missing == "zero" else ""]
        return written("iv", [write_varlist(group.variables), *suboptions])
    last = "." if group.lags[1] is None else group.lags[1]
    return written(
        "gmm",
        [
            write_varlist(group.variables),
            f"lag({group.lags[0]} {last})",
            "collapse" if group.collapse else "",
            _eq(group.equation),
            "passthru" if group.passthrough else "",
            "orthogonal" if group.orthogonal else "",
        ],
    )


def _eq(equation: str) -> str:
    return "" if equation == "both" else f"eq({_WRITTEN[equation]})"


def _written_switches(command: StataCommand) -> list[str]:
    spec, options = command.spec, command.options
    # cluster() implies robust, so that classical errors cannot be asked for beside it
    if spec.cluster is not None and options.covariance == "unadjusted":
        raise SpecificationError("xtabond2: cluster() brings robust errors; unadjusted ones cannot be written beside it.")
    words = {
        "noleveleq": not spec.system,
        "noconstant": not spec.constant,
        "orthogonal": spec.transform == "fod",
        "twostep": options.steps == 2,
        "robust": options.covariance != "unadjusted" and spec.cluster is None,
        f"cluster({spec.cluster})": spec.cluster is not None,
        "small": options.small,
        f"h({spec.h})": spec.h != 3,
        f"artests({command.ar_tests})": command.ar_tests != 2,
    }
    return [word for word, wanted in words.items() if wanted]
