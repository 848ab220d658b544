"""System and difference GMM as models: data plus specification, `.fit()` gives frozen results.

`SystemGMM` (Blundell and Bond 1998) and `DifferenceGMM` (Arellano and Bond 1991) differ only in whether the level
equation is there. Regressors may be given plainly (`regressors=` with explicit `instruments=`) or by class
(`endogenous=`, `predetermined=`, `exogenous=`), and then the
instruments follow from the class unless a group names the variable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

import pandas as pd

from estimation.dynamic_panel.classes import (
    DEFAULT_COLLAPSE,
    DEFAULT_N_LAGS,
    groups_of_classes,
    has_own_lag,
    lag_name,
)
from estimation.dynamic_panel.engine import estimate
from estimation.dynamic_panel.formula import parse_formula
from estimation.dynamic_panel.preparation import Prepared, prepare
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.samples import Sample, fixed_sample
from estimation.dynamic_panel.spec import (
    Case,
    Collinear,
    CovType,
    Distribution,
    Equation,
    FitOptions,
    HMatrix,
    InstrumentGroup,
    Inverse,
    PanelSpec,
    SampleRule,
    Steps,
    Transform,
    WeightKind,
    check_groups,
)
from estimation.errors import SpecificationError


class PanelGMM:
    """A dynamic panel model: data and specification.

    Parameters
    ----------
    data : DataFrame
        One row per (entity, time), keys as columns or as a two-level index.
    dependent : str
    lags : int
        Lags of the dependent variable on the right-hand side, 0 for a static model.
    regressors : iterable of str
        Further regressors, in order; their instruments are given in `instruments`.
    endogenous, predetermined, exogenous : iterable of str
        Further regressors by class. Endogenous ones get GMM-style lags from 2 on, predetermined ones from 1 on,
        exogenous ones instrument themselves in both equations; so does, with lags from 2 on, the dependent variable.
        A name that is among `regressors` already gets its class and is not added again.
        A variable named in a group of `instruments` is left to that group.
    instruments : iterable of GMMStyle or IVStyle
        Explicit groups, also for excluded external instruments.
    n_lags : int or None
        Number of lags in the groups made from the classes, None for all.
    collapse : bool
        Whether the groups made from the classes are collapsed.
    entity, time : str, optional
        Key columns; not needed with a two-level index.
    time_effects : {"level", "difference", "both"} or None
        Add period dummies; the equation they instrument.
    transform : {"fd", "fod"}
    constant : bool
    h : {1, 2, 3}
    cluster, weights : str, optional
        Columns constant within entities (weights: frequency weights must be, probability weights may vary).
    weight_kind : {"probability", "frequency"}
    collinear : {"raise", "drop"}
    time_step : int
        Length of a period in units of the time column.
    sample : str or booleans, optional
        Rows the estimation is about: the name of a zero-one column, a condition such as ``"year >= 2005"``, or one truth
        value per row. The restriction is on the row itself, as Stata's ``if``: lags, differences and instruments come from
        the whole panel.
    sample_rule : {"row", "both_periods"}
        "both_periods" asks that both periods of a differenced row are inside.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from estimation import GMMStyle
    >>> rng = np.random.default_rng(1)
    >>> a = rng.normal(size=(60, 1)); y = a / .5 + rng.normal(size=(60, 1)); path = [y]
    >>> for _ in range(7):
    ...     y = .5 * y + a + rng.normal(size=(60, 1)); path.append(y)
    >>> wide = pd.DataFrame(np.hstack(path), columns=range(2000, 2008)).rename_axis(index="city", columns="year")
    >>> panel = wide.stack().rename("y").reset_index()
    >>> model = SystemGMM(panel, dependent="y", entity="city", time="year",
    ...                   instruments=[GMMStyle("y", lags=(2, 3), collapse=True)])
    >>> model.fit().n_instruments
    4
    """

    _system: bool = True

    def __init__(
        self,
        data: pd.DataFrame,
        *,
        dependent: str,
        lags: int = 1,
        regressors: Iterable[str] = (),
        endogenous: Iterable[str] = (),
        predetermined: Iterable[str] = (),
        exogenous: Iterable[str] = (),
        instruments: Iterable[InstrumentGroup] = (),
        n_lags: int | None = DEFAULT_N_LAGS,
        collapse: bool = DEFAULT_COLLAPSE,
        entity: str | None = None,
        time: str | None = None,
        time_effects: Equation | None = None,
        transform: Transform = "fd",
        constant: bool = True,
        h: HMatrix = 3,
        cluster: str | None = None,
        weights: str | None = None,
        weight_kind: WeightKind = "probability",
        collinear: Collinear = "raise",
        time_step: int = 1,
        sample: Sample = None,
        sample_rule: SampleRule = "row",
    ) -> None:
        if not isinstance(lags, int) or isinstance(lags, bool) or lags < 0:
            raise SpecificationError(f"lags: expected a whole number from 0 on, found {lags!r}.")
        classes = {
            "endogenous": _listed(endogenous),
            "predetermined": _listed(predetermined),
            "exogenous": _listed(exogenous),
        }
        own_lags = tuple(lag_name(dependent, lag) for lag in range(1, lags + 1))
        check_groups(instruments)
        given = tuple(instruments)
        plain = _listed(regressors)
        dynamic = lags > 0 or has_own_lag(dependent, plain)
        made = groups_of_classes(classes, dependent, dynamic, given, n_lags, collapse)
        # a class may also be named for a regressor that is listed already
        of_class = (name for kind in classes.values() for name in kind if name not in plain)
        order = (*own_lags, *plain, *of_class)
        self.spec = PanelSpec(
            dependent=dependent,
            regressors=order,
            instruments=(*given, *made),
            system=self._system,
            transform=transform,
            constant=constant,
            time_effects=time_effects,
            h=h,
            cluster=cluster,
            weights=weights,
            weight_kind=weight_kind,
            collinear=collinear,
            sample_rule=sample_rule,
        )
        self._keep(data, {"entity": entity, "time": time, "time_step": time_step, "sample": sample})

    def _keep(self, data: pd.DataFrame, keys: dict[str, Any]) -> None:
        """Hold the data as they are now: what the caller changes later does not reach the model."""
        if not isinstance(data, pd.DataFrame):
            raise SpecificationError(
                f"data: expected a pandas DataFrame, found {type(data).__name__}. Convert it, such as with .to_pandas()."
            )
        self._data = data.copy()
        self._keys = keys | {"sample": fixed_sample(data, keys["sample"])}
        self._prepared: Prepared | None = None

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: pd.DataFrame,
        *,
        instruments: Iterable[InstrumentGroup] = (),
        constant: bool = True,
        **settings: Any,
    ) -> Self:
        """Return the model of a formula such as ``y ~ L.y + L(0/1).x + C(prov) | gmm(y x, 2:4, collapse) + iv(z)``.

        Parameters
        ----------
        formula : str
            Regressors, lags of the dependent variable among them; after the bar the instruments. See
            :mod:`estimation.dynamic_panel.formula`.
        data : DataFrame
        instruments : iterable of GMMStyle or IVStyle
            Further groups, after those of the formula.
        constant : bool
            ``- 1`` in the formula takes it out as well.
        **settings
            The other parameters of the class: `entity`, `time`, `endogenous`, `time_effects`, ...

        Raises
        ------
        SpecificationError
        """
        read = parse_formula(formula)
        named = sorted({"dependent", "lags", "regressors"} & set(settings))
        if named:
            raise SpecificationError(f"from_formula: the formula names {', '.join(named)}; leave {', '.join(named)} out.")
        return cls(
            data,
            dependent=read.dependent,
            lags=0,
            regressors=read.regressors,
            instruments=(*read.instruments, *instruments),
            constant=constant and read.constant,
            **settings,
        )

    @classmethod
    def from_spec(
        cls,
        data: pd.DataFrame,
        spec: PanelSpec,
        *,
        entity: str | None = None,
        time: str | None = None,
        time_step: int = 1,
        sample: Sample = None,
    ) -> PanelGMM:
        """Return the model of a ready specification."""
        model = PanelGMM.__new__(SystemGMM if spec.system else DifferenceGMM)
        model.spec = spec
        model._keep(data, {"entity": entity, "time": time, "time_step": time_step, "sample": sample})
        return model

    @classmethod
    def from_case(cls, data: pd.DataFrame, case: Case) -> PanelGMM:
        """Return the model of a case read from a file; fit it with `fit_options(case.options)`."""
        return cls.from_spec(
            data, case.spec, entity=case.entity, time=case.time, time_step=case.time_step, sample=case.sample
        )

    def fit(
        self,
        *,
        steps: Steps = 2,
        cov_type: CovType | None = None,
        small: bool = False,
        inverse: Inverse = "scaled_sweep",
        max_iterations: int = 500,
        tolerance: float = 1e-9,
        distribution: Distribution = "normal",
    ) -> GMMResults:
        """Estimate.

        Parameters
        ----------
        steps : {1, 2, "iterated", "cue"}
        cov_type : {"unadjusted", "robust", "windmeijer", "doubly_corrected"}, optional
            By default robust after one step, Windmeijer-corrected after two.
        small : bool
        inverse : {"scaled_sweep", "sweep", "moore_penrose"}
            Generalised inverse of a singular weight (`FitOptions`); "sweep" is Stata's.
        distribution : {"normal", "t"}
            Of tests and intervals; "t" with one degree of freedom less than there are clusters (`small` implies it).

        Returns
        -------
        GMMResults

        Raises
        ------
        EstimationError
        """
        return self.fit_options(FitOptions(steps, cov_type, small, inverse, max_iterations, tolerance, distribution))

    def fit_options(self, options: FitOptions) -> GMMResults:
        """Estimate with ready options."""
        return GMMResults(estimate(self.prepared, options))

    @property
    def prepared(self) -> Prepared:
        """The arrays of the model, built once."""
        if self._prepared is None:
            self._prepared = prepare(self._data, self.spec, **self._keys)
        return self._prepared

    def with_spec(self, **changes: Any) -> PanelGMM:
        """Return the same data under a changed specification (fields of `PanelSpec`)."""
        return PanelGMM.from_spec(self._data, replace(self.spec, **changes), **self._keys)

    def with_data(self, data: pd.DataFrame) -> PanelGMM:
        """Return the same specification on other data; a sample given as truth values must fit their rows."""
        return PanelGMM.from_spec(data, self.spec, **self._keys)

    @property
    def data(self) -> pd.DataFrame:
        """A copy of the data as given."""
        return self._data.copy()

    @property
    def keys(self) -> dict[str, Any]:
        """How the data are read: key columns, length of a period, sample."""
        return dict(self._keys)


class SystemGMM(PanelGMM):
    """System GMM: transformed and level equations (Arellano-Bover 1995, Blundell-Bond 1998)."""

    _system = True


class DifferenceGMM(PanelGMM):
    """Difference GMM: the transformed equation alone (Arellano-Bond 1991); no constant."""

    _system = False


def _listed(names: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, Iterable):
        raise SpecificationError(f"regressors: expected names of columns, found {names!r}.")
    return tuple(names)
