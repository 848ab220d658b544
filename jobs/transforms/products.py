"""Products three ways: the year's own HS six-digit code, the same code in one base revision, and its family.

Raw codes are comparable within a revision only: 265 codes changed in 2007. Conversion to one revision is one-to-one by
the UN tables but leaves 299 codes of HS 2002 that no code of HS 2007 converts to; families link the codes that the
tables exchange for one another between 1996 and 2012, and 267 families of HS 2002 still end with it. So every count
falls a little in 2007 for reasons of the nomenclature. Which of them a study counts is configuration; all are columns.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.settings import BASE_REVISIONS


class BaseRevisionError(ValueError):
    """Raised when the base revision is none the conversions reach."""


@dataclass(frozen=True, slots=True)
class ProductReference:
    """Valid codes with their conversions and families.

    Attributes
    ----------
    codes : DataFrame
        ``hs_revision, hs6_code, hs6_family, hs6_1996, hs6_2002, hs6_2007, hs6_2012``; one row per revision and
        code.
    """

    codes: DataFrame


def add_products(frame: DataFrame, reference: ProductReference, *, base_revision: str = "2002") -> DataFrame:
    """Add ``hs6_converted``, ``hs6_family`` and ``is_hs_known``.

    Parameters
    ----------
    frame : DataFrame
        ``hs_revision`` and ``hs6_code`` (six digits or null).
    reference : ProductReference
        Codes of all revisions.
    base_revision : str
        Revision to convert to.

    Returns
    -------
    DataFrame
        The frame and ``hs6_converted`` (null when the code has no single partner in the base revision), ``hs6_family``
        (the code itself when it is in no family) and ``is_hs_known`` (the revision of the year contains the code).

    Raises
    ------
    BaseRevisionError
        If the base revision is not one of 1996, 2002, 2007, 2012.
    """
    if base_revision not in BASE_REVISIONS:
        raise BaseRevisionError(f"base revision: expected one of {', '.join(BASE_REVISIONS)}; found {base_revision!r}.")
    codes = reference.codes.select(
        F.col("hs_revision").alias("_revision"), F.col("hs6_code").alias("_code"),
        F.col(f"hs6_{base_revision}").alias("hs6_converted"), F.col("hs6_family").alias("_family"),
    )
    found = frame.join(
        F.broadcast(codes),
        on=(F.col("hs_revision") == F.col("_revision")) & (F.col("hs6_code") == F.col("_code")), how="left",
    )
    return found.withColumns(
        {"hs6_family": F.coalesce("_family", "hs6_code"), "is_hs_known": F.col("_code").isNotNull()}
    ).drop("_revision", "_code", "_family")
