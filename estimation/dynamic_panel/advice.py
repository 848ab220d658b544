"""What to tell someone who comes from another program, or who forgot an instrument. Numbers are never changed here.

Where two programs of the field give different third digits for one and the same model, the reason is a convention;
:func:`conventions` names those a fit depends on, with the setting that gives the other answer.
"""

from __future__ import annotations

from estimation.dynamic_panel.expressions import atoms
from estimation.dynamic_panel.spec import FitOptions, IVStyle, PanelSpec


def without_instruments(spec: PanelSpec) -> tuple[str, ...]:
    """Return the regressors none of whose variables is in an instrument group."""
    groups = {name for group in spec.instruments for name in group.variables}
    named = groups | {atom for name in groups for atom in atoms(name, ())}
    return tuple(name for name in spec.regressors if not named & {name, *atoms(name, ())})


def instrument_advice(spec: PanelSpec) -> str:
    """Return what to do about regressors without an instrument of their own, nothing if there are none."""
    # dummies of one category are one word of the user's
    bare = list(dict.fromkeys(f"C({name.partition('=')[0]})" if "=" in name else name for name in without_instruments(spec)))
    if not bare:
        return ""
    return (
        f"No instrument group names {', '.join(bare[:5])}: if exogenous, say exogenous={bare[:5]} or add "
        f"IVStyle({bare[:5]}); if endogenous or predetermined, endogenous= or predetermined=."
    )


def instrument_note(spec: PanelSpec) -> tuple[str, ...]:
    """Return the advice as a note on a model that other variables' moments identify."""
    advice = instrument_advice(spec)
    return (f"{advice} As it stands its coefficient rests on the moments of other variables.",) if advice else ()


def chosen_conventions(spec: PanelSpec) -> tuple[str, ...]:
    """Return the conventions behind what the user chose: period dummies, deviations, clusters. The summary prints them."""
    out = []
    if spec.system and spec.time_effects is not None:
        out.append(_PERIODS[spec.time_effects])
    if spec.transform == "fod":
        out.append(
            "lags under forward orthogonal deviations count from the period after the one deviated, as in xtabond2; "
            "xtdpdgmm's lag(0 .) is lags=(1, None) here."
        )
    if spec.cluster is not None:
        out.append(
            "the AR tests sum over clusters; xtabond2 sums over entities even with cluster(): ar_test(1, over='entity')."
        )
    return tuple(out)


def conventions(spec: PanelSpec, options: FitOptions) -> tuple[str, ...]:
    """Return every convention on which other programs decide differently for this model."""
    out = list(chosen_conventions(spec))
    if spec.system and any(isinstance(group, IVStyle) and group.equation == "both" for group in spec.instruments):
        out.append(
            "standard instruments are one column over both equations, as in xtabond2, pydynpd and gretl; R's plm and pdynmc "
            "make two: IVStyle(..., equation='difference') and equation='level'."
        )
    if spec.system and spec.h == 3:
        out.append(
            "the one-step weight counts the covariance of transformed and level errors (h=3), as in xtabond2 and xtdpdgmm; "
            "xtdpdsys and DPD do not (h=2), which moves two-step estimates as well."
        )
    if options.small:
        out.append("small multiplies by (N-1)/(N-k) G/(G-1), N the level rows of a system, as in xtabond2 3.7.")
    return tuple(out)


_PERIODS = {
    "level": (
        "period dummies instrument the level equation only, as in gretl and with xtdpdgmm's teffects; in both equations, "
        "as in pydynpd, time_effects='both', coefficients move in the second or third digit."
    ),
    "both": (
        "period dummies instrument both equations as one column, as in pydynpd and with xtabond2's iv(i.year); gretl and "
        "xtdpdgmm use the level equation only, time_effects='level', and coefficients move in the second or third digit."
    ),
    "difference": (
        "period dummies instrument the transformed equation only; gretl and xtdpdgmm use the level equation, "
        "time_effects='level'."
    ),
}
