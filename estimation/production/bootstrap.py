"""Bootstrap over firms: whole histories are drawn, as frequency weights, so no lag is ever broken or made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from estimation.production.errors import ProductionError
from estimation.production.firm_panel import FirmPanel
from estimation.production.results import Estimate

# below this share of successful draws their spread says little about the estimator
MIN_SHARE_OK = 0.8


@dataclass(frozen=True, slots=True)
class BootstrapDraws:
    """Estimates over resampled firms.

    Attributes
    ----------
    params : ndarray, shape (n_ok, n_inputs)
    n_failed : int
        Draws that were singular, too small, or without a root.
    reasons : tuple of str
        The distinct reasons.
    """

    params: np.ndarray
    n_failed: int
    reasons: tuple[str, ...]

    @property
    def std_errors(self) -> np.ndarray:
        """Standard deviation over draws, shape (n_inputs,); missing with fewer than two."""
        if len(self.params) < 2:
            return np.full(self.params.shape[1], np.nan)
        return self.params.std(axis=0, ddof=1)

    @property
    def notes(self) -> tuple[str, ...]:
        """A warning when too many draws failed."""
        n_draws = len(self.params) + self.n_failed
        if self.n_failed <= (1 - MIN_SHARE_OK) * n_draws:
            return ()
        return (f"bootstrap: {self.n_failed} of {n_draws} draws failed ({'; '.join(self.reasons)})",)


def draw_firms(panel: FirmPanel, rng: np.random.Generator) -> np.ndarray:
    """Return frequency weights of one draw of firms with replacement, shape (n,)."""
    n = panel.n_entities
    return np.bincount(rng.integers(0, n, n), minlength=n)[panel.entity].astype(float)


def bootstrap(
    estimate: Callable[[np.ndarray], Estimate], panel: FirmPanel, *, n_draws: int, n_params: int, seed: int
) -> BootstrapDraws:
    """Estimate again on ``n_draws`` samples of firms.

    Parameters
    ----------
    estimate : callable
        Frequency weights, shape (n,), to an estimate.
    panel : FirmPanel
    n_draws, n_params, seed : int
    """
    rng = np.random.default_rng(seed)
    kept, reasons, n_failed = [], set(), 0
    for _ in range(n_draws):
        weights = draw_firms(panel, rng)
        try:
            found = estimate(weights)
        except ProductionError as error:
            n_failed += 1
            reasons.add(type(error).__name__)
            continue
        if found.is_converged:
            kept.append(found.params)
        else:
            n_failed += 1
            reasons.add("not converged")
    return BootstrapDraws(np.array(kept).reshape(-1, n_params), n_failed, tuple(sorted(reasons)))
