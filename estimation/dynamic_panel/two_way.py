"""Covariance clustered in two directions, for instance by city and by year.

Cameron, Gelbach and Miller (2011): the covariance clustered one way plus that clustered the other way minus that
clustered on their intersection, each times G / (G - 1). A row of the transformed equation belongs to the period it is
dated, a level row to its own. The estimates and their weight stay as they are. The decision worth knowing: with few
groups in one direction (nine years) the result is still too small, so a note says how many there are, and inference uses
Student's t with the smaller number less one.

References: Cameron, Gelbach and Miller (2011), JBES 29; Thompson (2011), J. Financial Economics 99.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from estimation.dynamic_panel import algebra
from estimation.dynamic_panel.engine import Fit
from estimation.dynamic_panel.estimates import require_gmm
from estimation.dynamic_panel.results import GMMResults
from estimation.errors import SpecificationError, UnknownColumnError

# fewer groups than this in a direction are said in the notes (Cameron and Miller 2015 speak of 20 to 50)
FEW_GROUPS = 20


@dataclass(frozen=True, slots=True, repr=False)
class TwoWayResults(GMMResults):
    """The same estimates with errors clustered two ways; `n_second` groups in the second direction."""

    n_second: int = 0

    @property
    def df_resid(self) -> int:
        """Degrees of freedom of t and F: the smaller number of groups less one."""
        return min(self.n_clusters, self.n_second) - 1


def two_way_clustered(results: GMMResults, data: pd.DataFrame | None = None, by: str | None = None) -> TwoWayResults:
    """Return the same estimates with standard errors clustered also in a second direction.

    Parameters
    ----------
    results : GMMResults
        A linear fit without weights; its own clusters (the entity, or `cluster=`) are the first direction.
    data : DataFrame, optional
        Needed when `by` is not the time column: the data of the fit.
    by : str, optional
        Column of the second direction, any values that do not vary within a row; by default the period.

    Returns
    -------
    TwoWayResults

    Raises
    ------
    SpecificationError, UnknownColumnError
    """
    require_gmm(results, "two_way_clustered")
    if results.spec.weights is not None or not results.is_linear:
        raise SpecificationError("two_way_clustered: expected a linear fit without weights.")
    codes = _row_codes(results, data, by)
    V, n_other, negative = two_way_covariance(results.fit, codes)
    first = results.spec.cluster or results.fit.prepared.grid.entity
    second = by or results.fit.prepared.grid.time
    smaller = min(results.n_clusters, n_other)
    notes = [f"Standard errors are clustered two ways, on {first} ({results.n_clusters}) and {second} ({n_other})."]
    if smaller < FEW_GROUPS:
        notes.append(f"{smaller} groups in one direction are few for clustering; compare with the one-way errors.")
    if negative:
        notes.append("The two-way covariance was not positive; its negative roots are set to zero.")
    return TwoWayResults(replace(results.fit, cov=V, notes=(*results.fit.notes, *notes)), n_second=n_other)


def two_way_covariance(fit: Fit, codes: np.ndarray) -> tuple[np.ndarray, int, bool]:
    """Return the covariance, the number of groups of the second direction, and whether roots were set to zero.

    Parameters
    ----------
    fit : Fit
    codes : ndarray of int, shape (N, R)
        Group of every row of the stacked model in the second direction.

    Notes
    -----
    Scores of a row are P_1 z e after one step and P_2 z e_2 + D P_1 z e_1 after two, so that their sum over one
    entity is its influence.
    """
    data = fit.prepared.data
    scores = _row_scores(fit)
    first = np.arange(len(data.y)) if data.clusters is None else data.clusters
    one = np.broadcast_to(first[:, None], codes.shape)
    rows = fit.prepared.design.rows
    flat, a, b = scores[rows], one[rows], codes[rows]
    both = np.unique(np.stack([a, b], axis=1), axis=0, return_inverse=True)[1].ravel()
    V = algebra.symmetric(_clustered(flat, a) + _clustered(flat, b) - _clustered(flat, both))
    scale = np.sqrt(np.clip(np.diagonal(_clustered(flat, a)), np.finfo(float).tiny, None))
    roots, vectors = np.linalg.eigh(V / scale / scale[:, None])
    negative = bool(roots[0] < -1e-12 * roots[-1])
    if negative:
        V = scale[:, None] * ((vectors * np.clip(roots, 0.0, None)) @ vectors.T) * scale
    return V, len(np.unique(b)), negative


def _row_scores(fit: Fit) -> np.ndarray:
    """Return what each row adds to the influence of its entity, shape (N, R, k)."""
    data = fit.prepared.data
    own = (data.Z @ fit.reported.fit.projection.T) * fit.reported.e[:, :, None]
    if fit.options.steps in (1, "cue") or fit.options.covariance == "unadjusted" or fit.reported is fit.one_step:
        return own
    if fit.options.steps == 2:
        D = algebra.windmeijer_slope(data, fit.one_step.e, fit.reported)
        return own + (data.Z @ (D @ fit.one_step.fit.projection).T) * fit.one_step.e[:, :, None]
    D = algebra.windmeijer_slope(data, fit.reported.e, fit.reported)
    return np.linalg.solve(np.eye(len(D)) - D, own.reshape(-1, own.shape[2]).T).T.reshape(own.shape)


def _clustered(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the sum over groups of s s' times G / (G - 1), shape (k, k)."""
    _, codes = np.unique(groups, return_inverse=True)
    G = int(codes.max()) + 1
    sums = np.zeros((G, scores.shape[1]))
    np.add.at(sums, codes, scores)
    return sums.T @ sums * (G / max(G - 1, 1))


def _row_codes(results: GMMResults, data: pd.DataFrame | None, by: str | None) -> np.ndarray:
    """Return the group of every stacked row in the second direction, shape (N, R)."""
    prepared = results.fit.prepared
    design, grid = prepared.design, prepared.grid
    at = np.concatenate([design.transformed_at, design.level_at])
    if by is None or by == grid.time:
        # a forward orthogonal deviation is dated one period after the row it was made from
        back = (np.arange(len(at)) < len(design.transformed_at)) & (results.spec.transform == "fod")
        return np.broadcast_to(at - back, design.rows.shape)
    if data is None or by not in data.columns:
        known = "no data given" if data is None else ", ".join(map(str, list(data.columns)[:20]))
        raise UnknownColumnError(f"two_way_clustered: {by!r} is not a column of the data ({known}).")
    codes, _ = pd.factorize(data[by], sort=True)
    if len(codes) != int(grid.stored.sum()) or (codes < 0).any():
        raise SpecificationError(
            f"two_way_clustered: expected {int(grid.stored.sum())} rows with a value of {by!r}, found {len(codes)} rows and "
            f"{int((codes < 0).sum())} missing values."
        )
    on_calendar = np.where(grid.row_position >= 0, codes[np.clip(grid.row_position, 0, None)], -1)
    return on_calendar[:, at]
