"""Fitted values in levels, for the rows of the fit or for other data."""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimation.dynamic_panel.engine import Fit
from estimation.dynamic_panel.panel import PanelGrid, build_grid
from estimation.dynamic_panel.spec import CONSTANT


def predicted_levels(fit: Fit, data: pd.DataFrame | None = None, *, time_step: int = 1) -> pd.Series:
    """Return X beta in levels, without the entity effect, indexed by (entity, time).

    Parameters
    ----------
    fit : Fit
    data : DataFrame, optional
        Other data with the regressors; by default those of the fit. Rows with a missing regressor give NaN.
    """
    prepared = fit.prepared
    if data is None:
        grid, X = prepared.grid, prepared.design.X_level
    else:
        spec = prepared.spec
        grid = build_grid(
            data, spec.regressors, entity=prepared.grid.entity, time=prepared.grid.time, time_step=time_step
        )
        X = np.stack([_column(grid, name) for name in prepared.design.names], axis=2)
    i, t = np.nonzero(grid.stored)
    index = pd.MultiIndex.from_arrays([grid.entities[i], grid.times[t]], names=[grid.entity, grid.time])
    order = np.argsort(grid.row_position[i, t], kind="stable")
    return pd.Series((X @ fit.params)[i, t], index=index, name="fitted").iloc[order]


def _column(grid: PanelGrid, name: str) -> np.ndarray:
    """Return one regressor; a period dummy of a period the fit did not know is zero."""
    if name == CONSTANT:
        return np.ones(grid.stored.shape)
    if name.startswith(f"{grid.time}=") and name not in grid.values:
        return np.broadcast_to((grid.times == int(name.split("=")[1])).astype(float), grid.stored.shape)
    return grid.series(name)
