"""Specifications as files: the reference `machine_spec` (JSON) and a small TOML written by a person.

Both end in the same `Case`. The semantics of `machine_spec` are those of Stata's xtabond2 3.7, see
docs/methodology/dynamic_panel_gmm.md; the TOML form has the same content in words:

    dependent = "n"
    regressors = ["L.n", "w", "k"]
    entity = "id"
    time = "year"
    time_effects = "level"
    time_step = 1           # length of a period in units of the time column
    sample = "year >= 2005" # rows the estimation is about, as Stata's if

    [[gmm]]
    variables = ["n"]
    lags = [2, 4]           # or [2] for all from 2 on
    collapse = true

    [[iv]]
    variables = ["w", "k"]

    [fit]
    steps = 2
    cov_type = "windmeijer"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from estimation.dynamic_panel.spec import Case, FitOptions, GMMStyle, IVStyle, PanelSpec
from estimation.errors import SpecificationError

_EQUATIONS = {"both": "both", "diff": "difference", "difference": "difference", "level": "level"}
_MACHINE_KEYS = frozenset(
    {
        "y",
        "x",
        "gmm",
        "iv",
        "system",
        "orthogonal",
        "constant",
        "h",
        "twostep",
        "robust",
        "small",
        "cluster",
        "collinear",
        "weights",
        "weight_kind",
        "steps",
        "cov_type",
        "time_effects",
        "time_step",
        "sample",
    }
)
_TOML_KEYS = frozenset(
    {
        "dependent",
        "regressors",
        "entity",
        "time",
        "gmm",
        "iv",
        "system",
        "transform",
        "constant",
        "time_effects",
        "h",
        "cluster",
        "weights",
        "weight_kind",
        "collinear",
        "time_step",
        "sample",
        "sample_rule",
        "fit",
    }
)
_GMM_KEYS = frozenset({"variables", "vars", "lags", "lag", "collapse", "eq", "equation", "name", "passthrough", "orthogonal"})
_IV_KEYS = frozenset({"variables", "vars", "eq", "equation", "missing", "mz", "passthrough", "name"})
_FIT_KEYS = frozenset({"steps", "cov_type", "small", "inverse", "max_iterations", "tolerance", "distribution"})


def load_settings(path: Path) -> Mapping[str, Any]:
    """Return the content of a file of settings, by its suffix .json or .toml.

    Raises
    ------
    SpecificationError
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecificationError(f"{path}: the specification cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: expected text in UTF-8 ({error}).") from error
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecificationError(f"{path}: expected {path.suffix or 'TOML'}, found a syntax error: {error}.") from error
    if not isinstance(content, Mapping):
        raise SpecificationError(f"{path}: expected a table of settings, found {type(content).__name__}.")
    return content


def case_from_machine(content: Mapping[str, Any]) -> Case:
    """Return the case of a JSON object that holds `machine_spec` (or is one)."""
    machine = content.get("machine_spec", content)
    _known(machine, _MACHINE_KEYS, "machine_spec")
    _required(machine, ("y", "x"), "machine_spec")
    groups: list[GMMStyle | IVStyle] = [_gmm(group, "machine_spec.gmm") for group in _groups(machine, "gmm", "machine_spec")]
    groups += [_iv(group, "machine_spec.iv") for group in _groups(machine, "iv", "machine_spec")]
    spec = PanelSpec(
        dependent=machine["y"],
        regressors=_listed(machine["x"], "machine_spec.x"),
        instruments=tuple(groups),
        system=_truth(machine, "system", True, "machine_spec"),
        transform="fod" if _truth(machine, "orthogonal", False, "machine_spec") else "fd",
        constant=_truth(machine, "constant", True, "machine_spec"),
        h=machine.get("h", 3),
        cluster=machine.get("cluster"),
        weights=machine.get("weights"),
        weight_kind=machine.get("weight_kind", "probability"),
        collinear=machine.get("collinear", "raise"),
        time_effects=_equation(machine.get("time_effects"), "time_effects"),
    )
    steps = machine.get("steps", 2 if _truth(machine, "twostep", False, "machine_spec") else 1)
    # standard errors robust to heteroskedasticity come with a cluster in any case, as in the reference program
    robust = _truth(machine, "robust", False, "machine_spec") or machine.get("cluster") is not None
    cov_type = machine.get("cov_type", ("robust" if steps == 1 else "windmeijer") if robust else "unadjusted")
    # the reference program's own generalised inverse
    small = _truth(machine, "small", False, "machine_spec")
    options = FitOptions(steps=steps, cov_type=cov_type, small=small, inverse="sweep")
    return _case(content, spec, options, "data_id", "data_time", machine)


def case_from_table(content: Mapping[str, Any], *, where: str = "specification") -> Case:
    """Return the case of a TOML table."""
    _known(content, _TOML_KEYS, where)
    _required(content, ("dependent", "regressors"), where)
    groups: list[GMMStyle | IVStyle] = [_gmm(group, f"{where}: gmm") for group in _groups(content, "gmm", where)]
    groups += [_iv(group, f"{where}: iv") for group in _groups(content, "iv", where)]
    settings = {
        key: content[key]
        for key in ("system", "transform", "constant", "h", "cluster", "weights", "weight_kind", "collinear", "sample_rule")
        if key in content
    }
    spec = PanelSpec(
        dependent=content["dependent"],
        regressors=_listed(content["regressors"], f"{where}: regressors"),
        instruments=tuple(groups),
        time_effects=_equation(content.get("time_effects"), "time_effects"),
        **settings,
    )
    fit = content.get("fit", {})
    _known(fit, _FIT_KEYS, f"{where}: fit")
    return _case(content, spec, FitOptions(**fit), "entity", "time", content)


def _case(
    content: Mapping[str, Any], spec: PanelSpec, options: FitOptions, entity: str, time: str, settings: Mapping[str, Any]
) -> Case:
    """Return the case with the names of the keys, the length of a period and the sample, each of the right type."""
    step = settings.get("time_step", 1)
    if not isinstance(step, int) or isinstance(step, bool):
        raise SpecificationError(f"time_step: expected a whole number, found {step!r}.")
    texts = {name: source.get(name) for name, source in ((entity, content), (time, content), ("sample", settings))}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise SpecificationError(f"{name}: expected text, found {value!r}.")
    return Case(spec, options, texts[entity], texts[time], step, texts["sample"])


def _groups(content: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    """Return the instrument groups of one kind, each of them a table."""
    groups = content.get(key, [])
    if isinstance(groups, Mapping):
        raise SpecificationError(f"{where}: {key}: expected a list of groups, found one. Write [[{key}]], not [{key}].")
    if not isinstance(groups, list | tuple):
        raise SpecificationError(f"{where}: {key}: expected groups such as [[{key}]], found {groups!r}.")
    return list(groups)


def _listed(value: Any, where: str) -> tuple[str, ...]:
    """Return names as a tuple; one name may stand alone."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise SpecificationError(f"{where}: expected a list of names, found {value!r}.")
    return tuple(value)


def _truth(content: Mapping[str, Any], key: str, default: bool, where: str) -> bool:
    """Return a truth value; 0 and 1 count, text does not."""
    value = content.get(key, default)
    if value is True or value is False or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise SpecificationError(f"{where}: {key}: expected true or false, found {value!r}.")


def _known(content: Mapping[str, Any], allowed: frozenset[str], where: str) -> None:
    if not isinstance(content, Mapping):
        raise SpecificationError(f"{where}: expected a table, found {type(content).__name__}.")
    unknown = sorted(set(content) - allowed)
    if unknown:
        raise SpecificationError(f"{where}: unknown settings {unknown}; allowed are {sorted(allowed)}.")


def _required(content: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise SpecificationError(f"{where}: {missing} missing; expected at least {list(keys)}.")


def _equation(value: Any, where: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, str) or value not in _EQUATIONS:
        raise SpecificationError(f"{where}: expected one of {sorted(_EQUATIONS)}, found {value!r}.")
    return _EQUATIONS[value]


def _lags(value: Any, where: str) -> tuple[int, int | None]:
    if not isinstance(value, list | tuple) or len(value) not in (1, 2):
        raise SpecificationError(f"{where}: lags must be [first, last] or [first], found {value!r}.")
    first, last = (value[0], None) if len(value) == 1 else value
    return (1 if first is None else first), last


def _gmm(group: Mapping[str, Any], where: str) -> GMMStyle:
    _known(group, _GMM_KEYS, where)
    variables = group.get("variables", group.get("vars"))
    if variables is None:
        raise SpecificationError(f"{where}: a group names its variables; found only {sorted(group)}.")
    return GMMStyle(
        variables,
        _lags(group.get("lags", group.get("lag", [1, None])), where),
        _truth(group, "collapse", False, where),
        _equation(group.get("equation", group.get("eq", "both")), where),
        group.get("name"),
        group.get("passthrough", False),
        group.get("orthogonal", False),
    )


def _iv(group: Mapping[str, Any], where: str) -> IVStyle:
    _known(group, _IV_KEYS, where)
    variables = group.get("variables", group.get("vars"))
    if variables is None:
        raise SpecificationError(f"{where}: a group names its variables; found only {sorted(group)}.")
    missing = group.get("missing", "zero" if _truth(group, "mz", False, where) else "drop")
    return IVStyle(
        variables,
        _equation(group.get("equation", group.get("eq", "both")), where),
        missing,
        _truth(group, "passthrough", False, where),
        group.get("name"),
    )
