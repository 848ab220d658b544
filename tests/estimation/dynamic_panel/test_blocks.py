"""Entities in blocks: Z that is never whole gives what the whole Z gives."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest

from estimation import EstimationWarning, GMMStyle, IVStyle, SystemGMM
from estimation.dynamic_panel import blocks, instruments
from estimation.dynamic_panel.bootstrap import bootstrap
from estimation.dynamic_panel.diagnostics import underidentification_test
from estimation.dynamic_panel.model import DifferenceGMM

# sums in another order
SAME = 1e-8


def _fit(data, *, cls=SystemGMM, fit=None, **options):
    groups = [GMMStyle(["y", "x"], options.pop("lags", (2, 3)), options.pop("collapse", True)), IVStyle(["w", "z"])]
    model = cls(data, entity="id", time="year", dependent="y", regressors=["x", "w"], time_effects="level",
                instruments=groups, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        return model.fit(**(fit or {}))


@pytest.mark.parametrize(
    "options",
    [
        {}, {"transform": "fod"}, {"cls": DifferenceGMM}, {"collapse": False}, {"cluster": "province"},
        {"sample": "year >= 2003"}, {"weights": "mass"}, {"fit": {"steps": 1, "cov_type": "unadjusted"}},
        {"fit": {"cov_type": "doubly_corrected"}}, {"fit": {"steps": "iterated"}}, {"fit": {"steps": "cue"}},
    ],
    ids=str,
)
def test_blocks_of_a_few_entities_give_the_same(gapped, monkeypatch, options):
    data = gapped.assign(mass=1.0 + gapped["id"] % 3)
    whole = _fit(data, **options)
    assert isinstance(whole.fit.prepared.data.Z, np.ndarray)
    monkeypatch.setattr(instruments, "IN_MEMORY", 0)
    monkeypatch.setattr(blocks, "BLOCK", 20e3)
    cut = _fit(data, **options)
    assert isinstance(cut.fit.prepared.data.Z, blocks.BlockedZ)
    np.testing.assert_allclose(cut.params, whole.params, rtol=SAME, atol=SAME)
    np.testing.assert_allclose(cut.std_errors, whole.std_errors, rtol=100 * SAME)
    assert cut.moments.equals(whole.moments)
    for found, expected in ((cut.ar_test(2), whole.ar_test(2)), (cut.hansen, whole.hansen), (cut.sargan, whole.sargan)):
        assert found.stat == pytest.approx(expected.stat, rel=1e-6)
    # what needs the whole Z makes it
    assert underidentification_test(cut).stat == pytest.approx(underidentification_test(whole).stat, rel=1e-6, nan_ok=True)
    np.testing.assert_allclose(np.asarray(cut.fit.prepared.data.Z), whole.fit.prepared.data.Z)


def test_a_bootstrap_of_blocks_is_the_same(gapped, monkeypatch):
    whole = bootstrap(_fit(gapped), n_replications=3, seed=1).draws
    monkeypatch.setattr(instruments, "IN_MEMORY", 0)
    monkeypatch.setattr(blocks, "BLOCK", 20e3)
    np.testing.assert_allclose(bootstrap(_fit(gapped), n_replications=3, seed=1).draws, whole, rtol=1e-7)


def test_memory_does_not_grow_with_the_instruments(make_panel, monkeypatch):
    """Three times the moments: the whole Z grows by as much, its blocks do not."""
    data = make_panel(n=1500, periods=8)
    growth = {}
    for name, in_memory, block in (("whole", np.inf, 1e12), ("blocks", 0, 5e5)):
        monkeypatch.setattr(instruments, "IN_MEMORY", in_memory)
        monkeypatch.setattr(blocks, "BLOCK", block)
        peaks = []
        for last in (2, None):
            tracemalloc.start()
            fit = _fit(data, lags=(2, last), collapse=False)
            peaks.append((tracemalloc.get_traced_memory()[1], fit.n_instruments))
            tracemalloc.stop()
        growth[name] = (peaks[1][0] - peaks[0][0]) / (peaks[1][1] - peaks[0][1])
    # bytes of one more instrument; a column of Z has 1,500 x 14 doubles
    assert growth["whole"] > 1500 * 14 * 8 > 2 * growth["blocks"]
