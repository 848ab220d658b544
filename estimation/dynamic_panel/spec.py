"""Typed specification of a dynamic panel model: what is explained, by what, with which moments, in which equations.

Nothing here sees data. `GMMStyle` and `IVStyle` are the two kinds of instrument groups of Arellano-Bond (1991) and
Blundell-Bond (1998) in the wording of Roodman (2009); `PanelSpec` is a whole model; `FitOptions` says how to estimate.
The decision worth knowing: a time dummy instruments the level equation only (one moment per period), because the same
dummy entered in both equations makes moments that are redundant or of doubtful weight (see docs/methodology).

References: Roodman, D. (2009), How to do xtabond2, Stata Journal 9(1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from estimation.errors import SpecificationError

Equation = Literal["both", "difference", "level"]
Transform = Literal["fd", "fod"]
Steps = Literal[1, 2, "iterated", "cue"]
CovType = Literal["unadjusted", "robust", "windmeijer", "doubly_corrected"]
HMatrix = Literal[1, 2, 3]
Inverse = Literal["scaled_sweep", "sweep", "moore_penrose"]
WeightKind = Literal["probability", "frequency"]
Collinear = Literal["drop", "raise"]
Distribution = Literal["normal", "t"]
SampleRule = Literal["row", "both_periods"]

CONSTANT = "_cons"


def _names(value: str | Iterable[str], where: str) -> tuple[str, ...]:
    """Return one name or several as a tuple of names."""
    if not isinstance(value, Iterable):
        raise SpecificationError(f"{where}: expected names of columns, found {value!r}.")
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise SpecificationError(f"{where}: expected names of columns, found {name!r}.")
    if len(set(names)) < len(names):
        raise SpecificationError(f"{where}: a name occurs twice in {names}; name each variable once.")
    return names


def check_option(value: object, alias: object, where: str) -> None:
    """Refuse a value outside the allowed ones of a Literal alias."""
    allowed = get_args(alias)
    if not any(type(value) is type(option) and value == option for option in allowed):
        raise SpecificationError(f"{where}: expected one of {allowed}, found {value!r}.")


def check_truth(value: object, where: str) -> None:
    """Refuse anything but True and False, such as the text "false", which Python takes for true."""
    if not isinstance(value, bool):
        raise SpecificationError(f"{where}: expected True or False, found {value!r}.")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class GMMStyle:
    """A group of GMM-style instruments: lags of variables that are endogenous or predetermined.

    Parameters
    ----------
    variables : str or iterable of str
        Names, lag operators allowed (``"L.n"``).
    lags : tuple of (int, int or None)
        First and last lag of the levels used in the transformed equation; None means all available.
        Under forward orthogonal deviations the row made from period t is dated t + 1 and lags count from there.
    collapse : bool
        One column per lag instead of one per period and lag.
    equation : {"both", "difference", "level"}
        "both" adds to the transformed equation, in a system, the first difference lagged ``lags[0] - 1`` in the level
        equation. "level" alone enters the first differences lagged ``lags[0]`` to ``lags[1]``.
    name : str, optional
        Label in the moment table and the difference-in-Hansen tests.
    passthrough : bool
        Enter the levels instead of the first differences in the level equation (only with ``equation="level"``): for
        variables that are uncorrelated with the entity effect.
    orthogonal : bool
        Enter backward orthogonal deviations (from the mean of the earlier rows of the sample) instead of levels in the
        transformed equation; meant for ``transform="fod"`` (Hayakawa 2009).
    """

    variables: tuple[str, ...]
    lags: tuple[int, int | None] = (2, None)
    collapse: bool = False
    equation: Equation = "both"
    name: str | None = None
    passthrough: bool = False
    orthogonal: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", _names(self.variables, "GMMStyle"))
        if not isinstance(self.lags, tuple | list) or len(self.lags) != 2:
            raise SpecificationError(
                f"GMMStyle{self.variables}: lags must be a pair (first, last), found {self.lags!r}. Write lags=(2, 2) for "
                "the second lag alone, lags=(2, None) for all from the second on."
            )
        first, last = self.lags
        if not _is_whole(first) or not (last is None or _is_whole(last)):
            raise SpecificationError(f"GMMStyle{self.variables}: lags must be integers or None, found {self.lags!r}.")
        if first < 0 or (last is not None and last < first):
            raise SpecificationError(
                f"GMMStyle{self.variables}: expected 0 <= first lag <= last lag, found {self.lags!r}."
            )
        object.__setattr__(self, "lags", (first, last))
        for option in ("collapse", "passthrough", "orthogonal"):
            check_truth(getattr(self, option), f"GMMStyle{self.variables}.{option}")
        check_option(self.equation, Equation, f"GMMStyle{self.variables}.equation")
        if self.passthrough and self.equation != "level":
            raise SpecificationError(
                f"GMMStyle{self.variables}: passthrough needs equation='level', found {self.equation!r}."
            )
        if self.orthogonal and self.equation == "level":
            raise SpecificationError(
                f"GMMStyle{self.variables}: backward deviations are for the transformed equation, found equation='level'."
            )

    @property
    def label(self) -> str:
        """Name of the group in tables."""
        if self.name:
            return self.name
        last = "." if self.lags[1] is None else self.lags[1]
        suffix = (" collapse" if self.collapse else "") + (" passthru" if self.passthrough else "")
        suffix += (" orthogonal" if self.orthogonal else "") + ("" if self.equation == "both" else f" eq({self.equation})")
        return f"gmm({' '.join(self.variables)}, lag({self.lags[0]} {last}){suffix})"


@dataclass(frozen=True, slots=True)
class IVStyle:
    """A group of standard instruments: each variable is one moment.

    Parameters
    ----------
    variables : str or iterable of str
        Exogenous regressors or excluded external instruments.
    equation : {"both", "difference", "level"}
        "both" is ONE column per variable: its transform in the transformed rows and its level in the level rows
        (Roodman 2009, eq. 24).
    missing : {"drop", "zero"}
        A missing value takes the row out of the sample, or counts as zero.
    passthrough : bool
        Enter the level, not the transform, in the transformed equation (only with ``equation="difference"``).
    name : str, optional
        Label in the moment table and the difference-in-Hansen tests.
    """

    variables: tuple[str, ...]
    equation: Equation = "both"
    missing: Literal["drop", "zero"] = "drop"
    passthrough: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", _names(self.variables, "IVStyle"))
        check_option(self.equation, Equation, f"IVStyle{self.variables}.equation")
        check_option(self.missing, Literal["drop", "zero"], f"IVStyle{self.variables}.missing")
        check_truth(self.passthrough, f"IVStyle{self.variables}.passthrough")
        if self.passthrough and self.equation != "difference":
            raise SpecificationError(
                f"IVStyle{self.variables}: passthrough needs equation='difference', found {self.equation!r}."
            )

    @property
    def label(self) -> str:
        """Name of the group in tables."""
        if self.name:
            return self.name
        return f"iv({' '.join(self.variables)}{'' if self.equation == 'both' else f', eq({self.equation})'})"


InstrumentGroup = GMMStyle | IVStyle


def check_groups(groups: Iterable[object]) -> None:
    """Refuse anything that is not an instrument group, and a single group where several are meant."""
    if isinstance(groups, GMMStyle | IVStyle | str) or not isinstance(groups, Iterable):
        raise SpecificationError(
            f"instruments: expected a list of GMMStyle and IVStyle, found one {type(groups).__name__}. Put it in brackets: "
            f"instruments=[{groups!r}]."
        )
    for group in groups:
        if not isinstance(group, GMMStyle | IVStyle):
            raise SpecificationError(
                f"instruments: expected GMMStyle or IVStyle, found {type(group).__name__} {group!r}."
            )


@dataclass(frozen=True, slots=True)
class PanelSpec:
    """A dynamic panel model without its data.

    Parameters
    ----------
    dependent : str
    regressors : tuple of str
        Right-hand side in the order of the table, lag operators allowed; lags of the dependent variable are named here.
    instruments : tuple of GMMStyle or IVStyle
    system : bool
        Add the level equation (Blundell-Bond); False is difference GMM (Arellano-Bond).
    transform : {"fd", "fod"}
    constant : bool
        A constant in the level equation only (its transform is zero); ignored without a level equation.
    time_effects : {"both", "difference", "level"} or None
        Equation that period dummies instrument; the dummies themselves enter every equation as regressors.
    h : {1, 2, 3}
        One-step weight: 3 = M M' with M = [transform; identity], 2 = block diagonal, 1 = identity.
    cluster : str or None
        Column whose values group entities; moments are summed over it.
    weights : str or None
        Column of weights; `weight_kind` says what they are.
    collinear : {"raise", "drop"}
        What to do with a regressor that is an exact combination of others. Zero-one columns (dummies) are always
        dropped in silence: which of them is left out only relabels the others.
    sample_rule : {"row", "both_periods"}
        What a restriction of the sample asks of a row of the transformed equation: that the row itself is inside (Stata's
        ``if``), or both of its periods (under forward orthogonal deviations: every row it is made from).
    """

    dependent: str
    regressors: tuple[str, ...]
    instruments: tuple[InstrumentGroup, ...] = ()
    system: bool = True
    transform: Transform = "fd"
    constant: bool = True
    time_effects: Equation | None = None
    h: HMatrix = 3
    cluster: str | None = None
    weights: str | None = None
    weight_kind: WeightKind = "probability"
    collinear: Collinear = "raise"
    sample_rule: SampleRule = "row"

    def __post_init__(self) -> None:
        if not isinstance(self.dependent, str) or not self.dependent.strip():
            raise SpecificationError(f"dependent: expected the name of one column, found {self.dependent!r}.")
        object.__setattr__(self, "regressors", _names(self.regressors, "regressors"))
        check_groups(self.instruments)
        object.__setattr__(self, "instruments", tuple(self.instruments))
        for name in ("system", "constant"):
            check_truth(getattr(self, name), f"PanelSpec.{name}")
        for name in ("cluster", "weights"):
            if getattr(self, name) is not None and not isinstance(getattr(self, name), str):
                raise SpecificationError(f"{name}: expected the name of one column, found {getattr(self, name)!r}.")
        for name, alias in (
            ("transform", Transform),
            ("h", HMatrix),
            ("weight_kind", WeightKind),
            ("collinear", Collinear),
            ("sample_rule", SampleRule),
        ):
            check_option(getattr(self, name), alias, f"PanelSpec.{name}")
        if self.time_effects is not None:
            check_option(self.time_effects, Equation, "PanelSpec.time_effects")
        if self.dependent in self.regressors:
            raise SpecificationError(f"regressors: {self.dependent!r} is the dependent variable; enter its lags only.")
        if not self.regressors and not (self.system and self.constant):
            raise SpecificationError("regressors: expected at least one, found none.")

    @property
    def has_constant(self) -> bool:
        """Whether a constant is estimated."""
        return self.system and self.constant


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to estimate: steps, covariance, small-sample factor, generalised inverse.

    Parameters
    ----------
    steps : {1, 2, "iterated", "cue"}
    cov_type : {"unadjusted", "robust", "windmeijer", "doubly_corrected"} or None
        None takes "robust" for one step and "windmeijer" otherwise. For one step "unadjusted" assumes homoskedastic
        errors; after two steps it is the uncorrected optimal covariance.
    small : bool
        Multiply by (N - 1) / (N - k) * G / (G - 1) and use t and F distributions with G - 1 degrees of freedom.
    inverse : {"scaled_sweep", "sweep", "moore_penrose"}
        Generalised inverse of a singular weight. "scaled_sweep" leaves moments out, the largest in units of its own variable
        staying first, and does not depend on units; "sweep" compares them as they are, which is Stata's rule and gives its
        numbers; "moore_penrose" is the pseudo-inverse.
    distribution : {"normal", "t"}
        Of tests and intervals: "t" has one degree of freedom less than there are clusters, which matters when these are few;
        `small` implies it. The covariance is the same.
    max_iterations, tolerance
        For "iterated" and "cue": relative change of the parameters at which to stop.
    """

    steps: Steps = 2
    cov_type: CovType | None = None
    small: bool = False
    inverse: Inverse = "scaled_sweep"
    max_iterations: int = 500
    tolerance: float = 1e-9
    distribution: Distribution = "normal"

    def __post_init__(self) -> None:
        check_option(self.distribution, Distribution, "fit.distribution")
        check_option(self.steps, Steps, "fit.steps")
        check_option(self.inverse, Inverse, "fit.inverse")
        check_truth(self.small, "fit.small")
        if not _is_whole(self.max_iterations) or self.max_iterations < 1:
            raise SpecificationError(f"fit.max_iterations: expected a whole number from 1 on, found {self.max_iterations!r}.")
        if not isinstance(self.tolerance, float | int) or isinstance(self.tolerance, bool) or not self.tolerance > 0:
            raise SpecificationError(f"fit.tolerance: expected a positive number, found {self.tolerance!r}.")
        if self.cov_type is not None:
            check_option(self.cov_type, CovType, "fit.cov_type")
        if self.steps == 1 and self.cov_type == "windmeijer":
            raise SpecificationError("fit: the Windmeijer correction is for two steps; use cov_type='robust' for one.")

    @property
    def covariance(self) -> CovType:
        """The covariance after the default is filled in; 'robust' after two steps is the Windmeijer correction."""
        if self.cov_type is None:
            return "robust" if self.steps == 1 else "windmeijer"
        return "windmeijer" if self.cov_type == "robust" and self.steps != 1 else self.cov_type


@dataclass(frozen=True, slots=True)
class Case:
    """A specification, its fit options, the key columns, the length of a period and the sample, as one file states them."""

    spec: PanelSpec
    options: FitOptions = field(default_factory=FitOptions)
    entity: str | None = None
    time: str | None = None
    time_step: int = 1
    sample: str | None = None
