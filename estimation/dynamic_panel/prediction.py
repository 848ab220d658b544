"""Fitted values in levels, for the rows of the fit or for other data."""

from __future__ import annotations

import numpy as np
import pandas as pd

from estimation.dynamic_panel.engine import Fit
from estimation.dynamic_panel.panel import PanelGrid, build_grid
from estimation.dynamic_panel.terms import Role


def predicted_levels(fit: Fit, data: pd.DataFrame | None = None) -> pd.Series:
    """Return X beta in levels, without the entity effect, indexed by (entity, time).

    Parameters
    ----------
    fit : Fit
    data : DataFrame, optional
        Other data with the regressors, its periods as long as those of the fit; by default the data of the fit. Rows with a
        missing regressor give NaN.
    """
    prepared = fit.prepared
    if data is None:
        grid, X = prepared.grid, prepared.design.X_level
    else:
        spec = prepared.spec
        grid = build_grid(
            _with_names(data, prepared.grid), spec.regressors, entity=prepared.grid.entity, time=prepared.grid.time,
            time_step=prepared.grid.time_step,
        )
        X = np.stack([_column(grid, role) for role in prepared.design.roles], axis=2)
    i, t = np.nonzero(grid.stored)
    index = pd.MultiIndex.from_arrays([grid.entities[i], grid.times[t]], names=[grid.entity, grid.time])
    order = np.argsort(grid.row_position[i, t], kind="stable")
    return pd.Series((X @ fit.params)[i, t], index=index, name="fitted").iloc[order]


def _with_names(data: pd.DataFrame, grid: PanelGrid) -> pd.DataFrame:
    """Return the data with the key columns of the fit when they are an unnamed index."""
    if data.index.nlevels == 2 and not {grid.entity, grid.time} & {*data.columns, *data.index.names}:
        return data.rename_axis([grid.entity, grid.time])
    return data


def _column(grid: PanelGrid, role: Role) -> np.ndarray:
    """Return one column of the model; a period dummy of a period the data do not reach is zero."""
    if role.term is not None:
        return grid.series(role.term.name)
    if role.kind == "constant":
        return np.ones(grid.stored.shape)
    return np.broadcast_to((grid.times == role.period).astype(float), grid.stored.shape)
