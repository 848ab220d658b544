"""Search for a parameter vector at which all sample moments vanish, from many starting points.

With as many moments as parameters the criterion must reach zero. A local minimum above zero is not an estimate: on the
Chilean plants a published Ackerberg-Caves-Frazer result, (.154, .158, .138) at 6.5e-5, is one, and most starting points
end in such places. So the search starts from many points, keeps those that are roots and says how many ended where.
More than one root can exist (with perfectly variable labour, labour near one and capital near zero solve the moments
too: Kim, Luo and Su 2019); among those whose coefficients can be elasticities the one that most starting points reach
is taken, and the others are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import least_squares

from estimation.production.results import Root

SEARCH_TOLERANCE = 1e-14
# two end points closer than this are one root: the moments are flat to about this distance in double precision
SAME_ROOT_DISTANCE = 1e-4
MAX_EVALUATIONS = 2_000
# an output elasticity outside is not a technology; such roots come after all others
ELASTICITY_RANGE = (0.0, 2.0)


def find_roots(
    moments: Callable[[np.ndarray], np.ndarray], starts: Sequence[np.ndarray], tolerance: float
) -> tuple[tuple[Root, ...], np.ndarray, float]:
    """Return the distinct roots, the preferred one first, with the best point found and its criterion.

    Parameters
    ----------
    moments : callable
        Parameters, shape (k,), to sample moments, shape (k,).
    starts : sequence of ndarray, shape (k,)
    tolerance : float
        Largest squared norm of the moments that counts as zero.

    Returns
    -------
    roots : tuple of Root
        Empty when the search failed.
    best : ndarray, shape (k,)
        Parameters with the smallest criterion, root or not.
    criterion : float
        Squared norm of the moments at ``best``.
    """
    ends = [_descend(moments, np.asarray(start, dtype=float)) for start in starts]
    best, criterion = min(ends, key=lambda end: end[1])
    groups: list[list[tuple[np.ndarray, float]]] = []
    for params, value in sorted((end for end in ends if end[1] < tolerance), key=lambda end: end[1]):
        home = next((group for group in groups if np.abs(group[0][0] - params).max() < SAME_ROOT_DISTANCE), None)
        if home is None:
            groups.append([(params, value)])
        else:
            home.append((params, value))
    groups.sort(key=lambda group: (not _is_technology(group[0][0]), -len(group), group[0][1]))
    roots = tuple(Root(tuple(group[0][0].tolist()), group[0][1], len(group)) for group in groups)
    return roots, best, criterion


def describe_search(roots: tuple[Root, ...], n_starts: int, best: np.ndarray, criterion: float) -> tuple[str, ...]:
    """Return the notes a reader needs: no root, or more than one."""
    if not roots:
        place = ", ".join(f"{value:.4f}" for value in best)
        return (
            f"no root: the smallest criterion from {n_starts} starting points is {criterion:.2e} at ({place}); "
            "with as many moments as parameters it must be zero, so this is a local minimum and not an estimate",
        )
    if len(roots) == 1:
        return ()
    others = "; ".join(
        f"({', '.join(f'{value:.4f}' for value in root.params)}) from {root.n_starts}" for root in roots[1:]
    )
    return (f"{len(roots)} roots: taken the one {roots[0].n_starts} of {n_starts} starts reach; others {others}",)


def random_starts(n_starts: int, n_params: int, seed: int) -> list[np.ndarray]:
    """Return points spread evenly over coefficients between 0 and 1."""
    return list(np.random.default_rng(seed).uniform(0.0, 1.0, (n_starts, n_params)))


def _is_technology(params: np.ndarray) -> bool:
    return bool(ELASTICITY_RANGE[0] <= params.min() and params.max() <= ELASTICITY_RANGE[1])


def _descend(moments: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> tuple[np.ndarray, float]:
    found = least_squares(
        moments,
        start,
        method="lm",
        xtol=SEARCH_TOLERANCE,
        ftol=SEARCH_TOLERANCE,
        gtol=SEARCH_TOLERANCE,
        max_nfev=MAX_EVALUATIONS,
    )
    value = moments(found.x)
    return found.x, float(value @ value)
