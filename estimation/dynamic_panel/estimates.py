"""What the estimators beside GMM return: parameters, covariance, counts and notes, in the words of `GMMResults`.

Linear combinations, long-run effects and Wald tests of `estimation.postestimation` take these results as they take
those of a GMM fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import scipy

from estimation.dynamic_panel.hypotheses import TestResult, wald_test
from estimation.dynamic_panel.restrictions import read_restrictions
from estimation.dynamic_panel.results import GMMResults
from estimation.dynamic_panel.side_by_side import stars
from estimation.errors import SpecificationError, UnknownColumnError

_WIDTH = 78


@dataclass(frozen=True, slots=True)
class EstimateArrays:
    """Parameters (k,), covariance (k, k) and influence of every entity (N, k)."""

    params: np.ndarray
    cov: np.ndarray
    psi: np.ndarray

    @property
    def std_errors(self) -> np.ndarray:
        """Standard errors, shape (k,)."""
        return np.sqrt(np.clip(np.diagonal(self.cov), 0.0, None))


@dataclass(frozen=True, slots=True, repr=False)
class PanelEstimates:
    """Results of an estimator.

    Attributes
    ----------
    method, dependent : str
    names : tuple of str
    lag_names : tuple of str
        Those of `names` that are lags of the dependent variable.
    fit : EstimateArrays
    entities : ndarray, shape (N,)
    nobs, n_groups, n_clusters : int
    clustered_on : str
    notes : tuple of str
    details : dict
        Further numbers of the method.
    """

    method: str
    dependent: str
    names: tuple[str, ...]
    lag_names: tuple[str, ...]
    fit: EstimateArrays
    entities: np.ndarray
    nobs: int
    n_groups: int
    n_clusters: int
    clustered_on: str
    notes: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def params(self) -> pd.Series:
        """Estimates."""
        return pd.Series(self.fit.params, index=list(self.names), name="parameter")

    @property
    def cov(self) -> pd.DataFrame:
        """Covariance matrix of the estimates."""
        return pd.DataFrame(self.fit.cov, index=list(self.names), columns=list(self.names))

    @property
    def std_errors(self) -> pd.Series:
        """Standard errors."""
        return pd.Series(self.fit.std_errors, index=list(self.names), name="std_error")

    @property
    def tstats(self) -> pd.Series:
        """Estimate over standard error."""
        return (self.params / self.std_errors).rename("tstat")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided normal p-values."""
        return pd.Series(2 * scipy.special.ndtr(-self.tstats.abs()), index=list(self.names), name="pvalue")

    @property
    def df_resid(self) -> None:
        """None: the reference distribution is the normal."""
        return None

    @property
    def influence(self) -> np.ndarray:
        """Influence of every entity on the estimates, shape (N, k)."""
        return self.fit.psi

    def critical_value(self, level: float = 0.95) -> float:
        """Return the two-sided critical value of the normal distribution."""
        return float(scipy.special.ndtri((1 + level) / 2))

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Return confidence intervals, columns lower and upper."""
        if not 0 < level < 1:
            raise SpecificationError(f"conf_int: expected a level between 0 and 1, found {level!r}.")
        half = self.critical_value(level) * self.std_errors
        return pd.DataFrame({"lower": self.params - half, "upper": self.params + half})

    def weights_of(self, weights: Mapping[str, float]) -> np.ndarray:
        """Return a linear combination as a vector over the parameters, shape (k,)."""
        vector = np.zeros(len(self.names))
        for name, value in weights.items():
            if name not in self.names:
                raise UnknownColumnError(f"{name!r} is not a parameter of this fit; there are {', '.join(self.names)}.")
            vector[self.names.index(name)] = value
        return vector

    def wald_test(self, R: str | Sequence[str] | None = None) -> TestResult:
        """Test restrictions in words (``"w + k = 1"``), or that some parameters are jointly zero, all by default."""
        shown = list(self.names) if R is None else [R] if isinstance(R, str) else list(R)
        read = [one for text in shown for one in read_restrictions(text, self.names)]
        matrix, values = np.vstack([self.weights_of(one.weights) for one in read]), np.array([one.value for one in read])
        null = ", ".join(map(str, read[:6]))
        return wald_test(self.fit.params, self.fit.cov, matrix, values, df_resid=None, name="Wald", null=null)

    def long_run(self) -> pd.DataFrame:
        """Return beta / (1 - sum of autoregressive coefficients) of every other parameter, by the delta method."""
        a = self.weights_of(dict.fromkeys(self.lag_names, 1.0))
        rest = 1.0 - float(a @ self.fit.params)
        rows = {}
        for name in self.names:
            if name in self.lag_names:
                continue
            effect = self.params[name]
            slope = self.weights_of({name: 1.0}) / rest + a * effect / rest**2
            rows[name] = (effect / rest, float(np.sqrt(max(slope @ self.fit.cov @ slope, 0.0))))
        return pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "std_error"])

    @property
    def summary(self) -> str:
        """The printed table."""
        bounds = self.conf_int()
        lines = ["=" * _WIDTH, self.method, f"Dependent variable: {self.dependent}"]
        lines.append(
            f"Observations: {self.nobs}   Groups: {self.n_groups}   Clustered on {self.clustered_on} ({self.n_clusters})"
        )
        lines += ["=" * _WIDTH, f"{'':<22}{'coef':>12}{'std. err.':>12}{'z':>9}{'p':>8}   {'[95% interval]':>15}"]
        for n, name in enumerate(self.names):
            p = self.pvalues.iloc[n]
            lines.append(
                f"{name[:22]:<22}{self.fit.params[n]:>12.6g}{self.fit.std_errors[n]:>12.6g}{self.tstats.iloc[n]:>9.2f}"
                f"{p:>8.3f} {stars(p):<3}{bounds['lower'].iloc[n]:>9.4g}{bounds['upper'].iloc[n]:>10.4g}"
            )
        lines.append("=" * _WIDTH)
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def __str__(self) -> str:
        """Return the printed table."""
        return self.summary

    def __repr__(self) -> str:
        """Return one line."""
        first = ", ".join(f"{name} {value:.4g}" for name, value in list(self.params.items())[:3])
        return f"<{self.method} of {self.dependent}: {self.nobs} obs., {self.n_groups} groups; {first}>"

    def to_dict(self) -> dict[str, object]:
        """Return the results as plain values for JSON."""
        return {
            "method": self.method,
            "coefs": {
                n: [float(b), float(s)] for n, b, s in zip(self.names, self.params, self.std_errors, strict=True)
            },
            "n_obs": self.nobs,
            "n_groups": self.n_groups,
            "n_clusters": self.n_clusters,
            "notes": list(self.notes),
        }


def require_gmm(results: object, where: str) -> None:
    """Refuse results that are no GMM fit: what asks needs the rows and moments of one.

    Raises
    ------
    SpecificationError
    """
    if not isinstance(results, GMMResults):
        raise SpecificationError(f"{where}: expected the results of a GMM fit, found {type(results).__name__}.")
