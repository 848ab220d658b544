"""Index-number productivity: each firm against the average firm of its year, years chained (no estimation).

Good, Nadiri and Sickles (1997), after Caves, Christensen and Diewert (1982): the elasticity of an input is its cost
share, averaged between the firm and the reference; the one state input takes what is left (constant returns). Brandt,
Van Biesebroeck and Zhang (2012) use it for the Chinese survey beside their estimates.
"""

from __future__ import annotations

import numpy as np

from estimation.production.errors import FirmDataError
from estimation.production.firm_panel import FirmPanel
from estimation.production.options import ProductionOptions
from estimation.production.results import Estimate
from estimation.production.static import input_matrix, require_rows


def compute_index(panel: FirmPanel, options: ProductionOptions) -> Estimate:
    """Return productivity relative to the average firm of the first year.

    The inputs with a share column are the free inputs, and with gross output also the proxy; ``params`` are the mean
    shares.

    Raises
    ------
    FirmDataError
        If shares do not match the inputs or leave 0 to 1.
    TooSmallError
        If the industry has too few rows.
    """
    require_rows(panel.n_obs, options.min_pairs, "firm-years")
    inputs, _ = input_matrix(panel, options)
    shares = _all_shares(panel, inputs.shape[1])
    years, codes = np.unique(panel.time, return_inverse=True)
    y_mean = _year_means(panel.y[:, None], codes)
    x_mean = _year_means(inputs, codes)
    s_mean = _year_means(shares, codes)
    growth = np.diff(y_mean[:, 0]) - (0.5 * (s_mean[1:] + s_mean[:-1]) * np.diff(x_mean, axis=0)).sum(axis=1)
    chain = np.concatenate([[0.0], np.cumsum(growth)])
    against_reference = (0.5 * (shares + s_mean[codes]) * (inputs - x_mean[codes])).sum(axis=1)
    tfp = panel.y - y_mean[codes, 0] - against_reference + chain[codes]
    gaps = years[1:][np.diff(years) > 1]
    notes = tuple(f"no firm-year just before {year}: the chain joins the years that exist" for year in gaps)
    return Estimate(params=shares.mean(axis=0), n_pairs=panel.n_obs, tfp=tfp, notes=notes)


def _all_shares(panel: FirmPanel, n_inputs: int) -> np.ndarray:
    """Shares in the order of the inputs; the state input takes one minus the others."""
    n_state, n_free = panel.state.shape[1], panel.free.shape[1]
    if n_state != 1 or panel.shares.shape[1] != n_inputs - 1:
        raise FirmDataError(
            f"Index number: expected one state input and {n_inputs - n_state} share columns; "
            f"found {n_state} state inputs and {panel.shares.shape[1]} share columns."
        )
    rest = 1.0 - panel.shares.sum(axis=1)
    is_bad = (panel.shares < 0).any(axis=1) | (rest < 0)
    if is_bad.any():
        raise FirmDataError(
            f"Index number: expected shares of at least 0 that sum to at most 1; {int(is_bad.sum())} firm-years "
            f"differ, e.g. {panel.shares[is_bad][0].tolist()}. Filter them first."
        )
    return np.insert(panel.shares, n_free, rest, axis=1)


def _year_means(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Means by year, shape (n_years, p)."""
    counts = np.bincount(codes)
    return np.column_stack([np.bincount(codes, weights=column) / counts for column in values.T])
