"""The productivity process: productivity regressed on a polynomial of its lag, inside every criterion evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from estimation.production.firm_panel import FirmPanel
from estimation.production.least_squares import polynomial_terms
from estimation.production.options import ProductionOptions
from estimation.production.static import year_effects


@dataclass(frozen=True, slots=True)
class MarkovProcess:
    """What productivity is regressed on beside its own lag.

    Attributes
    ----------
    degree : int
        Degree of the polynomial in the lag (and the exit probability, jointly).
    exit_probability : ndarray, shape (n_pairs,), or None
    dummies : ndarray, shape (n_pairs, n_years - 1)
        Year effects of the current year; no column when off.
    root_weights : ndarray, shape (n_pairs,), or None
        Square roots of the frequency weights.
    """

    degree: int
    exit_probability: np.ndarray | None
    dummies: np.ndarray
    root_weights: np.ndarray | None

    def expected(self, omega: np.ndarray, omega_lag: np.ndarray) -> np.ndarray:
        """Return the fit of ``omega`` on the process, shape (n_pairs,)."""
        variables = (
            omega_lag[:, None]
            if self.exit_probability is None
            else np.column_stack([omega_lag, self.exit_probability])
        )
        terms = np.column_stack([polynomial_terms(variables, self.degree), self.dummies])
        if self.root_weights is None:
            return terms @ _solve(terms, omega)
        weighted = terms * self.root_weights[:, None]
        return terms @ _solve(weighted, omega * self.root_weights)


def build_markov(
    panel: FirmPanel, options: ProductionOptions, exit_probability: np.ndarray | None, weights: np.ndarray | None
) -> MarkovProcess:
    """Return the process for the rows of ``panel`` that have a lag."""
    return MarkovProcess(
        degree=options.markov_degree,
        exit_probability=exit_probability,
        dummies=year_effects(panel, options)[panel.current],
        root_weights=None if weights is None else np.sqrt(weights[panel.current]),
    )


def _solve(terms: np.ndarray, omega: np.ndarray) -> np.ndarray:
    # a search may pass where productivity is constant and its powers collinear: the shortest solution fits there too
    return linalg.lstsq(terms, omega, lapack_driver="gelsy", check_finite=False)[0]
