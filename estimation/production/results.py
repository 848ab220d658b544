"""What an estimator returns: the raw estimate of a method, and the results a user reads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from estimation.production.options import ProductionOptions


@dataclass(frozen=True, slots=True)
class Root:
    """A parameter vector at which all sample moments vanish.

    Attributes
    ----------
    params : tuple of float
    criterion : float
        Squared norm of the sample moments.
    n_starts : int
        Starting points that ended here.
    """

    params: tuple[float, ...]
    criterion: float
    n_starts: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a method returns before it is labelled.

    Attributes
    ----------
    params : ndarray, shape (n_inputs,)
        Free inputs, then state inputs, then the proxy when it is an input.
    cov : ndarray, shape (n_inputs, n_inputs), or None
        Analytic covariance where the method has one.
    planned : ndarray, shape (n,), or None
        First-stage fit of ``y``, without measurement error.
    criterion : float or None
        Value of what was minimised: a sum of squares (OP, LP) or a squared norm of moments (ACF).
    is_converged : bool
    n_pairs : int
        Rows with a calendar lag, or all rows for static methods.
    tfp : ndarray, shape (n,), or None
        Productivity where it is not ``y`` less inputs times coefficients (index number).
    roots : tuple of Root
    notes : tuple of str
    """

    params: np.ndarray
    cov: np.ndarray | None = None
    planned: np.ndarray | None = None
    criterion: float | None = None
    is_converged: bool = True
    n_pairs: int = 0
    tfp: np.ndarray | None = None
    roots: tuple[Root, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProductionResults:
    """An estimated production function.

    Attributes
    ----------
    method : str
    params, std_errors : pandas.Series
        By input name; standard errors are missing where the method has none and no bootstrap was asked for.
    omega : pandas.Series
        Log total factor productivity on the index of the given frame, missing where a variable is missing.
    converged : bool
        False when the search failed; the parameters are then not estimates.
    criterion : float or None
        Sum of squares (OP, LP) or squared norm of the sample moments (methods that solve for a root).
    n_obs, n_pairs, n_entities, n_dropped : int
        Rows used, rows in the last step (those with a calendar lag, unless the method is static), firms, rows left out
        because a variable is missing.
    std_error_kind : str
        ``bootstrap``, ``cluster``, ``homoskedastic`` or ``none``.
    n_bootstrap, n_bootstrap_failed : int
        Draws that gave an estimate, and draws that did not.
    roots : tuple of Root
        All roots found; more than one means that the moments alone do not decide.
    notes : tuple of str
        Everything a reader should doubt.
    """

    method: str
    params: pd.Series
    std_errors: pd.Series
    omega: pd.Series
    converged: bool
    criterion: float | None
    n_obs: int
    n_pairs: int
    n_entities: int
    n_dropped: int
    std_error_kind: str
    n_bootstrap: int = 0
    n_bootstrap_failed: int = 0
    roots: tuple[Root, ...] = ()
    notes: tuple[str, ...] = ()
    options: ProductionOptions = field(default_factory=ProductionOptions)

    def summary(self) -> str:
        """Return a table of coefficients with the counts and doubts a referee looks for first."""
        head = [
            f"Production function, {self.method}, {self.options.measure.replace('_', ' ')}",
            f"firm-years {self.n_obs:,}, in the last step {self.n_pairs:,}, firms {self.n_entities:,}, "
            f"left out {self.n_dropped:,}",
            f"converged {self.converged}, criterion {'-' if self.criterion is None else f'{self.criterion:.6g}'}",
            f"standard errors: {self.std_error_kind}"
            + (f", {self.n_bootstrap} draws, {self.n_bootstrap_failed} failed" if self.n_bootstrap else ""),
        ]
        rows = [
            f"{name:<24}{self.params[name]:>12.6f}"
            + (f"{self.std_errors[name]:>12.6f}" if np.isfinite(self.std_errors[name]) else f"{'-':>12}")
            for name in self.params.index
        ]
        notes = (f"note: {note}" for note in self.notes)
        return "\n".join([*head, f"{'input':<24}{'coef':>12}{'se':>12}", *rows, *notes])

    def __str__(self) -> str:
        return self.summary()
