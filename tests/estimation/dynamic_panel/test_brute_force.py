"""The estimator against a textbook implementation written here: loops, dictionaries, explicit inverses.

It follows the definitions (Arellano and Bond 1991; Blundell and Bond 1998; Roodman 2009; Windmeijer 2005) entity by entity
and shares no code with the package.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from estimation import EstimationWarning, GMMStyle, IVStyle, SystemGMM
from estimation.dynamic_panel.model import DifferenceGMM

# two double-precision computations in different order, with explicit inverses on one side
TOLERANCE = 1e-8

Y, X = "y", ["L.y", "x", "w"]
GMM_GROUPS = [("y", 2, 3), ("x", 2, 4)]
IV_VARIABLES = ["w", "z"]


class Textbook:
    """System or difference GMM for one fixed model, by loops."""

    def __init__(self, data, *, system, fod, collapse):
        self.system, self.fod, self.collapse = system, fod, collapse
        self.value = {(r.id, r.year): r for r in data.itertuples()}
        self.ids = sorted(data["id"].unique())
        self.years = range(int(data["year"].min()), int(data["year"].max()) + 1)
        self.columns = self._columns()
        self.k = len(X) + (1 if system else 0)
        self.blocks = [self._block(i) for i in self.ids]

    def get(self, i, t, name):
        if name.startswith("L."):
            return self.get(i, t - 1, name[2:]) if (i, t) in self.value else None
        row = self.value.get((i, t))
        return None if row is None else getattr(row, name)

    def level(self, i, t, names):
        values = [self.get(i, t, name) for name in names]
        return None if any(v is None for v in values) else np.array(values, dtype=float)

    def complete(self, i, t):
        return self.level(i, t, [Y, *X, *IV_VARIABLES]) is not None

    def transform(self, i, t, names):
        """Row dated t of the transformed equation, or None."""
        if not self.fod:
            if not (self.complete(i, t) and self.complete(i, t - 1)):
                return None
            return self.level(i, t, names) - self.level(i, t - 1, names)
        later = [s for s in self.years if s > t - 1 and self.complete(i, s)]
        if not self.complete(i, t - 1) or not later:
            return None
        n = len(later)
        mean = sum(self.level(i, s, names) for s in later) / n
        return np.sqrt(n / (n + 1)) * (self.level(i, t - 1, names) - mean)

    def _columns(self):
        columns = []
        for name, a, b in GMM_GROUPS:
            for lag in range(a, b + 1):
                columns += (
                    [("diff", name, lag, None)] if self.collapse else [("diff", name, lag, t) for t in self.years]
                )
            if self.system:
                columns += (
                    [("lev", name, a - 1, None)] if self.collapse else [("lev", name, a - 1, t) for t in self.years]
                )
        return (
            columns
            + [("iv", name, None, None) for name in IV_VARIABLES]
            + ([("const", None, None, None)] if self.system else [])
        )

    def _instruments(self, i, t, equation):
        z = np.zeros(len(self.columns))
        for c, (kind, name, lag, period) in enumerate(self.columns):
            if kind in ("diff", "lev") and period not in (None, t):
                continue
            if kind == "diff" and equation == "diff":
                z[c] = self.get(i, t - lag, name) or 0.0
            if kind == "lev" and equation == "lev":
                new, old = self.get(i, t - lag, name), self.get(i, t - lag - 1, name)
                z[c] = 0.0 if new is None or old is None else new - old
            if kind == "iv":
                z[c] = self.transform(i, t, [name])[0] if equation == "diff" else self.get(i, t, name)
            if kind == "const" and equation == "lev":
                z[c] = 1.0
        return z

    def _block(self, i):
        """y, X, Z, and for every row (equation, period) of one entity."""
        y, x, z, rows = [], [], [], []
        for t in self.years:
            values = self.transform(i, t, [Y, *X])
            if values is not None:
                y.append(values[0])
                x.append([*values[1:], *([0.0] if self.system else [])])
                z.append(self._instruments(i, t, "diff"))
                rows.append(("diff", t))
        for t in self.years if self.system else []:
            if self.complete(i, t):
                values = self.level(i, t, [Y, *X])
                y.append(values[0])
                x.append([*values[1:], 1.0])
                z.append(self._instruments(i, t, "lev"))
                rows.append(("lev", t))
        return (np.array(y), np.array(x).reshape(len(y), self.k), np.array(z).reshape(len(y), len(self.columns)), rows)

    def _error_weights(self, equation, t):
        """Weights of the level errors of a panel without gaps in one row's error."""
        weights = np.zeros(len(self.years))
        position = t - self.years[0]
        if equation == "lev":
            weights[position] = 1.0
        elif not self.fod:
            weights[position], weights[position - 1] = 1.0, -1.0
        else:
            n = len(self.years) - position
            weights[position - 1] = np.sqrt(n / (n + 1))
            weights[position:] = -np.sqrt(n / (n + 1)) / n
        return weights

    def fit(self):
        j = len(self.columns)
        S1, ZX, Zy = np.zeros((j, j)), np.zeros((j, self.k)), np.zeros(j)
        for y, x, z, rows in self.blocks:
            M = np.array([self._error_weights(*row) for row in rows]).reshape(len(rows), len(self.years))
            S1 += z.T @ M @ M.T @ z
            ZX += z.T @ x
            Zy += z.T @ y
        A1 = np.linalg.pinv(S1, rcond=1e-13, hermitian=True)
        self.b1 = np.linalg.inv(ZX.T @ A1 @ ZX) @ ZX.T @ A1 @ Zy
        S2 = sum(np.outer(z.T @ (y - x @ self.b1), z.T @ (y - x @ self.b1)) for y, x, z, _ in self.blocks)
        self.used = np.diagonal(S1) > 0
        A2 = np.zeros((j, j))
        A2[np.ix_(self.used, self.used)] = np.linalg.inv(S2[np.ix_(self.used, self.used)])
        self.S2 = S2
        P1 = np.linalg.inv(ZX.T @ A1 @ ZX) @ ZX.T @ A1
        self.V1 = P1 @ S2 @ P1.T
        V2 = np.linalg.inv(ZX.T @ A2 @ ZX)
        self.b2 = V2 @ ZX.T @ A2 @ Zy
        g2 = Zy - ZX @ self.b2
        self.hansen = float(g2 @ A2 @ g2)
        D = np.zeros((self.k, self.k))
        for c in range(self.k):
            dS = np.zeros((j, j))
            for y, x, z, _ in self.blocks:
                e, zx = y - x @ self.b1, z.T @ x[:, c]
                dS -= np.outer(zx, z.T @ e) + np.outer(z.T @ e, zx)
            D[:, c] = -V2 @ ZX.T @ A2 @ dS @ A2 @ g2
        self.V2 = V2 + D @ V2 + V2 @ D.T + D @ self.V1 @ D.T
        s = [y - x @ self.b1 for y, x, _, _ in self.blocks]
        transformed = [
            (e[n] ** 2)
            for e, (_, _, _, rows) in zip(s, self.blocks, strict=True)
            for n, row in enumerate(rows)
            if row[0] == "diff"
        ]
        sigma2 = sum(transformed) / len(transformed) / (1 if self.fod else 2)
        g1 = Zy - ZX @ self.b1
        self.sargan = float(g1 @ A1 @ g1) / sigma2
        self.P2 = V2 @ ZX.T @ A2
        return self

    def ar(self, order):
        """AR test on first-differenced residuals after two steps."""
        numerator, a, q = 0.0, 0.0, np.zeros(self.k)
        cross = np.zeros(len(self.columns))
        for i, (y, x, z, _) in zip(self.ids, self.blocks, strict=True):
            w, dx = {}, {}
            for t in self.years:
                if self.fod:
                    pair = [self.level(i, s, [Y, *X]) for s in (t, t - 1)]
                    known = pair[0] is not None and pair[1] is not None
                    values = pair[0] - pair[1] if known else None
                else:
                    values = self.transform(i, t, [Y, *X])
                if values is not None:
                    dx[t] = np.array([*values[1:], *([0.0] if self.system else [])])
                    w[t] = values[0] - dx[t] @ self.b2
            product = sum(w[t] * w[t - order] for t in w if t - order in w)
            q += sum((dx[t] * w[t - order] for t in w if t - order in w), np.zeros(self.k))
            numerator += product
            a += product**2
            cross += z.T @ (y - x @ self.b2) * product
        variance = a - 2 * q @ self.P2 @ cross + q @ self.V2 @ q
        return numerator / np.sqrt(variance)


def _package(data, *, system, fod, collapse):
    model = (SystemGMM if system else DifferenceGMM)(
        data,
        entity="id",
        time="year",
        dependent=Y,
        regressors=X[1:],
        transform="fod" if fod else "fd",
        instruments=[*(GMMStyle(name, (a, b), collapse) for name, a, b in GMM_GROUPS), IVStyle(IV_VARIABLES)],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        return model.fit(steps=1), model.fit(steps=2)


@pytest.mark.parametrize("collapse", [True, False], ids=["collapsed", "full"])
@pytest.mark.parametrize("fod", [False, True], ids=["fd", "fod"])
@pytest.mark.parametrize("system", [True, False], ids=["system", "difference"])
def test_fit_equals_textbook_loops_on_a_panel_with_gaps(gapped, system, fod, collapse):
    book = Textbook(gapped, system=system, fod=fod, collapse=collapse).fit()
    one, two = _package(gapped, system=system, fod=fod, collapse=collapse)
    for found, expected in (
        (one.params, book.b1),
        (one.cov, book.V1),
        (two.params, book.b2),
        (two.cov, book.V2),
        (two.hansen.stat, book.hansen),
        (one.sargan.stat, book.sargan),
        (two.ar_test(1).stat, book.ar(1)),
        (two.ar_test(2).stat, book.ar(2)),
        (two.ar_test(3).stat, book.ar(3)),
    ):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=TOLERANCE, atol=TOLERANCE)
    assert two.n_instruments == int(book.used.sum())
    assert two.nobs == sum(row[0] == ("lev" if system else "diff") for block in book.blocks for row in block[3])
    assert two.n_transformed == sum(row[0] == "diff" for block in book.blocks for row in block[3])


def test_difference_in_hansen_reuses_the_submatrix(gapped):
    book = Textbook(gapped, system=True, fod=False, collapse=True).fit()
    _, two = _package(gapped, system=True, fod=False, collapse=True)
    dropped = {
        "GMM instruments for levels": [c[0] == "lev" for c in book.columns],
        "iv(w z)": [c[0] == "iv" for c in book.columns],
    }
    ZX = sum(z.T @ x for _, x, z, _ in book.blocks)
    Zy = sum(z.T @ y for y, _, z, _ in book.blocks)
    for name, out in dropped.items():
        rest = book.used & ~np.array(out)
        A = np.linalg.inv(book.S2[np.ix_(rest, rest)])
        b = np.linalg.solve(ZX[rest].T @ A @ ZX[rest], ZX[rest].T @ A @ Zy[rest])
        g = Zy[rest] - ZX[rest] @ b
        test = next(t for t in two.diff_in_hansen if t.group == name)
        np.testing.assert_allclose(test.excluding.stat, g @ A @ g, rtol=TOLERANCE)
        np.testing.assert_allclose(test.difference.stat, book.hansen - g @ A @ g, rtol=1e-6)
        assert test.difference.df == sum(out)
