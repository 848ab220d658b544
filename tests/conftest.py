"""One Spark session for the whole suite; pure tests run first, processes of their own last."""

from __future__ import annotations

import pytest

import jobs  # noqa: F401  (sets one BLAS thread before NumPy loads: small matrices on a busy machine are seven times faster)
from conf.settings import load_settings

_ORDER = {"spark": 1, "lake": 2, "cluster": 3}


def pytest_collection_modifyitems(items):
    """Cheap evidence first: no JVM, then frames, then Delta tables, then processes."""

    def rank(item):
        markers = {mark.name for mark in item.iter_markers()}
        if "spark" in getattr(item, "fixturenames", ()) or "lake" in getattr(item, "fixturenames", ()):
            markers.add("spark")
        return max((_ORDER.get(name, 0) for name in markers), default=0)

    items.sort(key=rank)


@pytest.fixture(scope="session")
def settings():
    """The settings of the test profile, without the developer's environment."""
    return load_settings(profile="test", environment={})


@pytest.fixture(scope="session")
def spark(settings):
    """The suite's one session (two cores, two shuffle partitions; jobs/runtime/session.py says why for each setting)."""
    from jobs.runtime.session import build_session

    session = build_session(settings, app="customs-lake-tests")
    yield session
    session.stop()
