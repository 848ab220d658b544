"""Influence of every entity on an estimate: what tests across equations, estimators and stages need.

An estimate is to first order the truth plus a sum over entities of psi_i; the sum over clusters of psi psi' is its
robust covariance. Two estimates from the same entities therefore have a joint covariance without either being
efficient (White 1982), and a statistic that uses residuals knows how the estimate moved them. The decision worth
knowing: after two steps psi carries the effect of the first step through the weight, D psi_1, as Windmeijer's (2005)
correction does.

References: White (1982), Econometrica 50; Windmeijer (2005), J. Econometrics 126; Newey (1984), Economics Letters 14.
"""

from __future__ import annotations

import numpy as np

from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.engine import Fit


def fit_influence(fit: Fit) -> np.ndarray:
    """Return the influence of every entity on the parameters of a linear fit, shape (N, k).

    Parameters
    ----------
    fit : Fit

    Notes
    -----
    One step: P_1 g_i. Two steps: P_2 g_i + D P_1 g_i(e_1), without D when the covariance is uncorrected. Iterated:
    (I - D)^-1 P g_i. Continuously updated: P g_i.
    """
    data, steps = fit.prepared.data, fit.options.steps
    own = algebra.entity_moments(data, fit.reported.e) @ fit.reported.fit.projection.T
    if steps in (1, "cue") or fit.options.covariance == "unadjusted" or fit.reported is fit.one_step:
        return own
    if steps == 2:
        D = algebra.windmeijer_slope(data, fit.one_step.e, fit.reported)
        first = algebra.entity_moments(data, fit.one_step.e) @ fit.one_step.fit.projection.T
        return own + first @ D.T
    D = algebra.windmeijer_slope(data, fit.reported.e, fit.reported)
    return np.linalg.solve(np.eye(len(D)) - D, own.T).T


def outer_sum(data: algebra.Stacked, values: np.ndarray) -> np.ndarray:
    """Return the sum over clusters of v v' for values by entity, shape (m, m).

    Parameters
    ----------
    values : ndarray, shape (N, m)
    """
    sums = algebra.cluster_sums(data, values)
    return sums.T @ sums


def quadratic_form(
    value: np.ndarray, covariance: np.ndarray, *, rank: int | None = None, scale: np.ndarray | None = None
) -> tuple[float, int]:
    """Return value' covariance^- value and the rank used.

    Parameters
    ----------
    value : ndarray, shape (m,)
    covariance : ndarray, shape (m, m)
    rank : int, optional
        Use the inverse on this many leading directions; by default all that are not zero.
    scale : ndarray, shape (m,), optional
        Sizes the entries are measured in; by default their standard deviations. Where an entry is zero by construction its own
        deviation is rounding, and must not be blown up to one: then give the sizes it has without that construction.

    Notes
    -----
    Directions are found on the scale of correlations, so the result does not depend on units.
    """
    size = np.sqrt(np.clip(np.diagonal(covariance), 0.0, None)) if scale is None else scale
    inverse = np.where(size > 0, 1.0 / np.where(size > 0, size, 1.0), 0.0)
    roots, vectors = np.linalg.eigh(covariance * inverse * inverse[:, None])
    # an exactly singular correlation matrix leaves roots of about 1e-15 times its dimension
    used = int((roots > 1e-10).sum())
    used = used if rank is None else min(rank, used)
    keep = slice(len(roots) - used, None)
    projected = vectors[:, keep].T @ (value * inverse)
    return float(projected @ (projected / roots[keep])), used
