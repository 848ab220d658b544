"""Specifications as files: the reference `machine_spec` (JSON) and a small TOML written by a person.

Both end in the same `Case`. The semantics of `machine_spec` are those of Stata's xtabond2 3.7, see
docs/methodology/dynamic_panel_gmm.md; the TOML form has the same content in words:

    dependent = "n"
    regressors = ["L.n", "w", "k"]
    entity = "id"
    time = "year"
    time_effects = "level"

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
        "fit",
    }
)
_GMM_KEYS = frozenset({"variables", "vars", "lags", "lag", "collapse", "eq", "equation", "name", "passthrough", "orthogonal"})
_IV_KEYS = frozenset({"variables", "vars", "eq", "equation", "missing", "mz", "passthrough", "name"})
_FIT_KEYS = frozenset({"steps", "cov_type", "small", "inverse", "max_iterations", "tolerance"})


def read_case(path: str | Path) -> Case:
    """Read a case file, by its suffix .json or .toml.

    Raises
    ------
    SpecificationError
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecificationError(f"{path}: the specification cannot be read ({error.strerror}).") from error
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecificationError(f"{path}: expected {path.suffix or 'TOML'}, found a syntax error: {error}.") from error
    if not isinstance(content, Mapping):
        raise SpecificationError(f"{path}: expected a table of settings, found {type(content).__name__}.")
    if "machine_spec" in content or "y" in content:
        return case_from_machine(content)
    return case_from_table(content, where=str(path))


def case_from_machine(content: Mapping[str, Any]) -> Case:
    """Return the case of a JSON object that holds `machine_spec` (or is one)."""
    machine = content.get("machine_spec", content)
    _known(machine, _MACHINE_KEYS, "machine_spec")
    _required(machine, ("y", "x"), "machine_spec")
    groups = [_gmm(group, "machine_spec.gmm") for group in machine.get("gmm", [])]
    groups += [_iv(group, "machine_spec.iv") for group in machine.get("iv", [])]
    spec = PanelSpec(
        dependent=machine["y"],
        regressors=tuple(machine["x"]),
        instruments=tuple(groups),
        system=bool(machine.get("system", True)),
        transform="fod" if machine.get("orthogonal", False) else "fd",
        constant=bool(machine.get("constant", True)),
        h=machine.get("h", 3),
        cluster=machine.get("cluster"),
        weights=machine.get("weights"),
        weight_kind=machine.get("weight_kind", "probability"),
        collinear=machine.get("collinear", "raise"),
        time_effects=_equation(machine.get("time_effects"), "time_effects"),
    )
    steps = machine.get("steps", 2 if machine.get("twostep", False) else 1)
    # standard errors robust to heteroskedasticity come with a cluster in any case, as in the reference program
    robust = bool(machine.get("robust", False)) or machine.get("cluster") is not None
    cov_type = machine.get("cov_type", ("robust" if steps == 1 else "windmeijer") if robust else "unadjusted")
    options = FitOptions(steps=steps, cov_type=cov_type, small=bool(machine.get("small", False)))
    return Case(spec, options, content.get("data_id"), content.get("data_time"))


def case_from_table(content: Mapping[str, Any], *, where: str = "specification") -> Case:
    """Return the case of a TOML table."""
    _known(content, _TOML_KEYS, where)
    _required(content, ("dependent", "regressors"), where)
    groups = [_gmm(group, f"{where}: gmm") for group in content.get("gmm", [])]
    groups += [_iv(group, f"{where}: iv") for group in content.get("iv", [])]
    settings = {
        key: content[key]
        for key in ("system", "transform", "constant", "h", "cluster", "weights", "weight_kind", "collinear")
        if key in content
    }
    spec = PanelSpec(
        dependent=content["dependent"],
        regressors=tuple(content["regressors"]),
        instruments=tuple(groups),
        time_effects=_equation(content.get("time_effects"), "time_effects"),
        **settings,
    )
    fit = content.get("fit", {})
    _known(fit, _FIT_KEYS, f"{where}: fit")
    return Case(spec, FitOptions(**fit), content.get("entity"), content.get("time"))


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
    if value not in _EQUATIONS:
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
        bool(group.get("collapse", False)),
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
    missing = group.get("missing", "zero" if group.get("mz", False) else "drop")
    return IVStyle(
        variables,
        _equation(group.get("equation", group.get("eq", "both")), where),
        missing,
        bool(group.get("passthrough", False)),
        group.get("name"),
    )
