"""Version of the product, as every build and result records it."""

from __future__ import annotations

from importlib import metadata

# part of every fingerprint: raise it when a transform changes its results
BUILD_REVISION = 3


def code_version() -> str:
    """Version of the installed product and its build revision."""
    try:
        version = metadata.version("customs-lake")
    except metadata.PackageNotFoundError:
        version = "unpackaged"
    return f"{version}+build{BUILD_REVISION}"
