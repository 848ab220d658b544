"""xtdpdgmm 2.6 (Kripfganz): what its options mean here, and how a specification is written with them.

Three conventions differ from this estimator's and are translated: lags under forward orthogonal deviations count from one
period earlier; a missing value of a standard instrument counts as zero; ``if`` asks both periods of a difference to be
inside. A constant is always estimated in the level equation, so that even a command with ``model(difference)`` alone is a
system here, with the constant as its only level moment (which leaves the slopes as they are).

Not every transform can be said: instruments for deviations from means are those for forward orthogonal deviations, exactly
so for strictly exogenous variables on balanced panels; a command that mixes differences and deviations is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from estimation.dynamic_panel.operators import prefix
from estimation.dynamic_panel.quadratic_moments import NonlinearMoments
from estimation.dynamic_panel.spec import (
    CovType,
    FitOptions,
    GMMStyle,
    HMatrix,
    InstrumentGroup,
    IVStyle,
    PanelSpec,
    Steps,
    Transform,
)
from estimation.errors import SpecificationError
from estimation.stata.command import StataCommand
from estimation.stata.command_line import CommandLine, at_comma, read_options, resolve_option, whole_numbers, written
from estimation.stata.varlists import read_varlist, write_varlist

OPTIONS = {
    "iv": "iv", "gmmiv": "gmm", "nl": "nl", "collapse": "c", "curtail": "cur", "model": "m", "nolevel": "nolev",
    "norescale": "nores", "wmatrix": "w", "center": "cen", "onestep": "one", "twostep": "two", "igmm": "igmm", "cugmm": "cu",
    "teffects": "te", "noconstant": "nocons", "vce": "vce", "small": "sm", "overid": "over", "auxiliary": "aux",
    "level": "l", "coeflegend": "coefl", "noheader": "nohe", "notable": "notab", "nofooter": "nofo", "noanalytic": "noan",
    "from": "from", "nodots": "nodot", "nolog": "nolo", "noserial": "noser", "iid": "iid",
}  # fmt: skip
GROUP_OPTIONS = {
    "lagrange": "l", "collapse": "c", "nocollapse": "noc", "difference": "d", "bodev": "bod", "model": "m", "rescale": "res",
    "norescale": "nores", "iid": "iid",
}  # fmt: skip
MODELS = {"level": "l", "difference": "d", "fodev": "fod", "mdev": "md", "mean": "m"}
NONLINEAR = {"noserial": "noser", "iid": "iid", "predetermined": "pre"}
NL_OPTIONS = {"collapse": "c", "nocollapse": "noc", "rescale": "res", "norescale": "nores", "lag": "l", "weight": "w"}
VCE = {"conventional": "conventional", "robust": "r", "cluster": "cl"}
WMATRIX: dict[str, HMatrix] = {"unadjusted": 3, "independent": 2, "separate": 1}
_WMATRIX_SHORT = {"unadjusted": "un", "independent": "ind", "separate": "sep", "identity": "identity"}
_UNREAD = frozenset(
    {"overid", "auxiliary", "level", "coeflegend", "noheader", "notable", "nofooter", "noanalytic", "from", "nodots", "nolog"}
)
_STEPS: dict[str, Steps] = {"onestep": 1, "twostep": 2, "igmm": "iterated", "cugmm": "cue"}
_MODEL_OF: dict[Transform, str] = {"fd": "difference", "fod": "fodev"}


@dataclass(frozen=True, slots=True)
class _Globals:
    """Options that set defaults for the groups."""

    model: str = "level"
    collapse: bool = False
    curtail: int | None = None
    nolevel: bool = False
    rescale: bool = True


@dataclass(slots=True)
class _Reading:
    """Groups as they are met; a transform is known once a group names one."""

    groups: list[InstrumentGroup] = field(default_factory=list)
    transforms: set[Transform] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def read(line: CommandLine) -> StataCommand:
    """Return what a command of xtdpdgmm says.

    Raises
    ------
    SpecificationError
    """
    if line.weight is not None:
        raise SpecificationError("xtdpdgmm takes no weights; xtabond2 does.")
    dependent, *regressors = read_varlist(line.variables) or ("",)
    given = [(resolve_option(name, OPTIONS, "xtdpdgmm"), argument) for name, argument in line.options]
    options = dict(given)
    defaults = _defaults(options)
    reading = _Reading()
    for name, argument in given:
        if name in ("iv", "gmmiv"):
            _group(reading, argument or "", name == "gmmiv", defaults)
        elif name in _UNREAD:
            reading.notes.append(f"{name} leaves the numbers alone and is not read")
    if "center" in options:
        raise SpecificationError("xtdpdgmm: center: moments are not centred in the weight here; leave it out.")
    cov, cluster, steps = _errors(options)
    constant = "noconstant" not in options
    level = any(group.equation != "difference" for group in reading.groups)
    spec = PanelSpec(
        dependent,
        tuple(regressors),
        tuple(reading.groups),
        system=constant or level or ("teffects" in options and not defaults.nolevel),
        transform=_transform(reading.transforms),
        constant=constant,
        time_effects=None if "teffects" not in options else "difference" if defaults.nolevel else "level",
        h=_h(options.get("wmatrix", "")),
        cluster=cluster,
        collinear="drop",
        sample_rule="both_periods",
    )
    return StataCommand(
        "xtdpdgmm",
        spec,
        FitOptions(steps, cov, "small" in options, "sweep"),
        line.condition,
        line.rows,
        nonlinear=_nonlinear(options, defaults),
        notes=tuple(dict.fromkeys(reading.notes)),
    )


def _defaults(options: dict[str, str | None]) -> _Globals:
    nolevel = "nolevel" in options
    model = _model(options["model"]) if "model" in options else "difference" if nolevel else "level"
    curtail = whole_numbers(options.get("curtail"), "xtdpdgmm: curtail()")
    return _Globals(model, "collapse" in options, curtail[0] if curtail else None, nolevel, "norescale" not in options)


def _model(text: str | None) -> str:
    return resolve_option((text or "").strip() or "?", MODELS, "xtdpdgmm: model()")


def _transform(found: set[Transform]) -> Transform:
    if len(found) > 1:
        raise SpecificationError(
            "xtdpdgmm: instruments for differences and for deviations in one command; one transform is estimated at a time "
            "here. Use model(difference) or model(fodev) throughout."
        )
    return next(iter(found), "fd")


def _group(reading: _Reading, argument: str, gmm: bool, defaults: _Globals) -> None:
    """Take in one gmm() or iv()."""
    where = "gmm" if gmm else "iv"
    names, rest = at_comma(argument)
    variables = read_varlist(names)
    if not variables:
        raise SpecificationError(f"xtdpdgmm: {where}({argument}) names no variable.")
    options = {resolve_option(n, GROUP_OPTIONS, f"xtdpdgmm: {where}()"): value for n, value in read_options(rest)}
    if "iid" in options:
        raise SpecificationError(f"xtdpdgmm: {where}(, iid): the homoskedastic moments belong to nl(iid); use that.")
    model = _model(options["model"]) if "model" in options else defaults.model
    if defaults.nolevel and model in ("level", "mean"):
        reading.notes.append(f"{where}({argument}) is for the level equation and left out, as nolevel is given")
        return
    if model == "mean":
        raise SpecificationError(f"xtdpdgmm: {where}(, model(mean)): within-group means are not an equation here; use level.")
    if model != "level":
        reading.transforms.add("fd" if model == "difference" else "fod")
    difference = "difference" in options
    if gmm:
        reading.groups.append(_gmm(variables, options, model, difference, defaults, reading))
    else:
        reading.groups.append(_iv(variables, options, model, difference, reading, defaults))


def _gmm(
    variables: tuple[str, ...],
    options: dict[str, str | None],
    model: str,
    difference: bool,
    defaults: _Globals,
    reading: _Reading,
) -> GMMStyle:
    first, last = _lags(options.get("lagrange"), model, defaults.curtail)
    collapse = ("collapse" in options or defaults.collapse) and "nocollapse" not in options
    if model == "level":
        return GMMStyle(variables, (first, last), collapse, "level", passthrough=not difference)
    named = tuple(f"D.{name}" for name in variables) if difference else variables
    if model == "mdev":
        raise SpecificationError("xtdpdgmm: gmm(, model(mdev)): only standard instruments are taken for mean deviations.")
    # the row made from period t is dated t + 1 here, and lags count from there
    late = 0 if model == "difference" else 1
    return GMMStyle(
        named, (first + late, None if last is None else last + late), collapse, "difference", orthogonal="bodev" in options
    )


def _iv(
    variables: tuple[str, ...],
    options: dict[str, str | None],
    model: str,
    difference: bool,
    reading: _Reading,
    defaults: _Globals,
) -> IVStyle:
    numbers = whole_numbers(options.get("lagrange"), "xtdpdgmm: lagrange()") or [0]
    if None in numbers:
        raise SpecificationError("xtdpdgmm: iv(, lagrange()): expected numbers, a full stop is for gmm().")
    lags = range(numbers[0], numbers[-1] + 1)  # type: ignore[arg-type, operator]  # None is refused above
    named = tuple(prefix("L", lag) + name for name in variables for lag in lags)
    if "bodev" in options:
        raise SpecificationError("xtdpdgmm: iv(, bodev): backward deviations are for gmm() here; gmm(, bodev lagrange(0 0)).")
    if model == "level":
        return IVStyle(tuple(f"D.{name}" for name in named) if difference else named, "level", "zero")
    if model == "difference":
        # differenced instruments of the differenced equation are what a standard instrument is there
        return IVStyle(named, "difference", "zero", passthrough=not difference)
    if model == "mdev":
        reading.notes.append("model(mdev): instruments for forward orthogonal deviations, the same on balanced panels")
        # x'M e with M the within projection is the product of the deviations of both
        return IVStyle(tuple(f"D.{name}" for name in named) if difference else named, "difference", "zero")
    return IVStyle(tuple(f"D.{name}" for name in named) if difference else named, "difference", "zero", passthrough=True)


def _lags(text: str | None, model: str, curtail: int | None) -> tuple[int, int | None]:
    start = 1 if model == "difference" else 0
    numbers = whole_numbers(text, "xtdpdgmm: lagrange()") or [start]
    if len(numbers) > 2:
        raise SpecificationError(f"xtdpdgmm: lagrange({text}): expected one or two numbers.")
    first, last = numbers[0], numbers[1] if len(numbers) == 2 else None
    if first is None:
        first = 0 if curtail is not None else -1
    if first < 0:
        raise SpecificationError(f"xtdpdgmm: lagrange({text}): leads are not taken as instruments here; use F.x in iv().")
    return first, curtail if last is None else last


def _h(text: str | None) -> HMatrix:
    kind, rest = at_comma(text or "")
    name = resolve_option(kind.strip() or "unadjusted", _WMATRIX_SHORT, "xtdpdgmm: wmatrix()")
    for option, value in read_options(rest):
        if "ratio".startswith(option.lower()) and whole_numbers(value, "xtdpdgmm: ratio()") != [0]:
            raise SpecificationError(f"xtdpdgmm: wmatrix(, ratio({value})): only the default ratio(0) is there.")
    if name == "identity":
        raise SpecificationError("xtdpdgmm: wmatrix(identity) weighs by units; use unadjusted, independent or separate.")
    return WMATRIX[name]


def _errors(options: dict[str, str | None]) -> tuple[CovType, str | None, Steps]:
    """Return covariance, cluster and steps."""
    default: Steps = 2 if {"nl", "noserial", "iid"} & set(options) else 1
    steps = next((_STEPS[name] for name in _STEPS if name in options), default)
    kind, rest = at_comma(options.get("vce") or "")
    name, _, cluster = kind.strip().partition(" ")
    kind = resolve_option(name or "conventional", VCE, "xtdpdgmm: vce()")
    if kind == "conventional":
        return "unadjusted", None, steps
    if kind == "cluster" and not cluster.strip():
        raise SpecificationError("xtdpdgmm: vce(cluster): expected a variable.")
    doubly = any(option.lower() == "dc" for option, _ in read_options(rest))
    cov: CovType = "doubly_corrected" if doubly else "robust" if steps == 1 else "windmeijer"
    return ("unadjusted" if steps == "cue" else cov), (cluster.strip() or None), steps


def _nonlinear(options: dict[str, str | None], defaults: _Globals) -> tuple[NonlinearMoments, ...]:
    # before version 2 the kinds were options of their own
    old = next((kind for kind in ("noserial", "iid") if kind in options), None)
    if old is not None:
        return (NonlinearMoments(old, defaults.collapse, scaling="unit"),)
    if "nl" not in options:
        return ()
    kind, rest = at_comma(options["nl"] or "")
    found = {resolve_option(name, NL_OPTIONS, "xtdpdgmm: nl()"): value for name, value in read_options(rest)}
    collapse = ("collapse" in found or defaults.collapse) and "nocollapse" not in found
    lag = whole_numbers(found.get("lag", "1"), "xtdpdgmm: nl(, lag())")
    try:
        weight = float(found.get("weight") or 1)
    except ValueError as error:
        raise SpecificationError(f"xtdpdgmm: nl(, weight({found['weight']})): expected a number.") from error
    name = resolve_option(kind.strip() or "?", NONLINEAR, "xtdpdgmm: nl()")
    return (NonlinearMoments(name, collapse, lag[0] if lag else 1, weight, "unit"),)  # type: ignore[arg-type]  # one of the three


def write(command: StataCommand, *, time: str | None = None) -> str:
    """Return the command line.

    Raises
    ------
    SpecificationError
        For what xtdpdgmm has no words for.
    """
    spec = command.spec
    if spec.weights is not None:
        raise SpecificationError("xtdpdgmm takes no weights; xtabond2 does.")
    if spec.sample_rule != "both_periods" and (command.condition or command.rows):
        raise SpecificationError("xtdpdgmm's if asks both periods of a difference to be inside: sample_rule='both_periods'.")
    words: list[str] = []
    for group in spec.instruments:
        words += _written_gmm(group, spec) if isinstance(group, GMMStyle) else _written_iv(group, spec)
    head = f"xtdpdgmm {write_varlist([spec.dependent, *spec.regressors])}"
    head += f" if {command.condition}" if command.condition else ""
    head += f" in {command.rows}" if command.rows else ""
    return f"{head}, {' '.join([*words, *_written_options(command)])}".removesuffix(", ")


def _written_options(command: StataCommand) -> list[str]:
    spec, options = command.spec, command.options
    words = [_written_nl(moments) for moments in command.nonlinear]
    if spec.time_effects == "both":
        raise SpecificationError("xtdpdgmm instruments period dummies in one equation; time_effects='level' or 'difference'.")
    words += ["teffects"] if spec.time_effects else []
    words += ["nolevel", f"model({_MODEL_OF[spec.transform]})"] if spec.time_effects == "difference" else []
    # without a level equation there is no constant to estimate
    words += ["noconstant"] if not spec.has_constant else []
    steps = next(word for word, number in _STEPS.items() if number == options.steps)
    words += [] if steps == "onestep" and not command.nonlinear else [steps]
    names = {number: name for name, number in WMATRIX.items()}
    words += [f"wmatrix({names[spec.h]})"] if spec.h != 3 else []
    suffix = ", dc" if options.covariance == "doubly_corrected" else ""
    if spec.cluster is not None:
        words.append(f"vce(cluster {spec.cluster}{suffix})")
    elif options.covariance != "unadjusted":
        words.append(f"vce(robust{suffix})")
    return [*words, "small"] if options.small else words


def _written_nl(moments: NonlinearMoments) -> str:
    lag = f"lag({moments.lag})" if moments.lag != 1 else ""
    weight = f"weight({moments.weight:g})" if moments.weight != 1 else ""
    return written("nl", [moments.kind, "collapse" if moments.collapse else "", lag, weight])


def _written_gmm(group: GMMStyle, spec: PanelSpec) -> list[str]:
    """Return the gmm() of a group, two when it is for both equations of a system."""
    names, collapse = write_varlist(group.variables), "collapse" if group.collapse else ""
    first, last = group.lags
    words = []
    if group.equation != "level":
        late = 1 if spec.transform == "fod" else 0
        if first < late:
            raise SpecificationError(f"{group.label}: lag {first} is a lead in xtdpdgmm, whose lags start one period earlier.")
        lag = f"lag({first - late} {'.' if last is None else last - late})"
        bodev = "bodev" if group.orthogonal else ""
        words.append(written("gmm", [names, lag, collapse, bodev, f"model({_MODEL_OF[spec.transform]})"]))
    if group.equation == "level":
        lag = f"lag({first} {'.' if last is None else last})"
        words.append(written("gmm", [names, lag, collapse, "" if group.passthrough else "difference", "model(level)"]))
    elif group.equation == "both" and spec.system:
        lag = f"lag({max(first, 1) - 1} {max(first, 1) - 1})"
        words.append(written("gmm", [names, lag, collapse, "difference", "model(level)"]))
    return words


def _written_iv(group: IVStyle, spec: PanelSpec) -> list[str]:
    if group.missing == "drop":
        raise SpecificationError(
            f"{group.label}: xtdpdgmm takes a missing value of a standard instrument for zero; say missing='zero' (mz)."
        )
    if group.equation == "both" and spec.system:
        raise SpecificationError(
            f"{group.label}: one column over both equations has no words in xtdpdgmm; use equation='difference' and 'level'."
        )
    names = write_varlist(group.variables)
    if group.equation == "level":
        return [written("iv", [names, "model(level)"])]
    if spec.transform == "fd":
        return [written("iv", [names, "" if group.passthrough else "difference", "model(difference)"])]
    return [written("iv", [names, "model(fodev)" if group.passthrough else "model(mdev)"])]
