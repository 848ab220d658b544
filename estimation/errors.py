"""Errors and warnings of the estimation package, one flat family under `EstimationError`.

A message says what was expected, what was found, where and what to do, with names, counts and at most five examples.
"""

from __future__ import annotations


class EstimationError(Exception):
    """Base of every error this package raises on purpose."""


class UnknownColumnError(EstimationError, KeyError):
    """A variable, entity, time, cluster or weight column is not in the data; usually a misspelt name."""

    def __str__(self) -> str:
        """Return the message itself; a KeyError would show it in quotation marks."""
        return str(self.args[0]) if self.args else ""


class DuplicateRowsError(EstimationError, ValueError):
    """Two rows share one (entity, time); usually a join that multiplied rows."""


class TimeColumnError(EstimationError, ValueError):
    """The time column holds something that is not an integer, or does not fit the stated period length."""


class MissingVariableError(EstimationError, ValueError):
    """A variable has no value at all, or a key column has missing values."""


class NonNumericError(EstimationError, TypeError):
    """A variable cannot be read as numbers."""


class InfiniteValueError(EstimationError, ValueError):
    """A variable holds infinite values; usually the logarithm of zero."""


class EmptySampleError(EstimationError, ValueError):
    """No row is left once lags, transforms and missing values are taken out."""


class CollinearityError(EstimationError, ValueError):
    """A regressor the user named is an exact linear combination of others, or zero in every row."""


class IdentificationError(EstimationError, ValueError):
    """There are fewer moments than parameters, or the moments do not identify them."""


class SpecificationError(EstimationError, ValueError):
    """The specification contradicts itself or holds a value outside the allowed ones."""


class ConvergenceError(EstimationError, RuntimeError):
    """An iterated or continuously updated fit did not settle within its iterations."""


class EstimationWarning(UserWarning):
    """Base of the package's warnings: the numbers are given, but read the message first."""


class InstrumentCountWarning(EstimationWarning):
    """Instruments crowd the groups: the two-step weight is poorly estimated and Hansen's test loses its power."""


class SingularWeightWarning(EstimationWarning):
    """The moment covariance is singular; the estimates depend on the generalised inverse that was chosen."""


class HansenPValueWarning(EstimationWarning):
    """Hansen's p-value is implausibly near one, a sign of too many instruments rather than of valid ones."""


class CovarianceWarning(EstimationWarning):
    """A finite-sample correction made a variance negative, which happens when moments are many for the groups."""


class DroppedRegressorWarning(EstimationWarning):
    """A regressor was dropped because it is collinear with those before it."""


class TimeColumnWarning(EstimationWarning):
    """The calendar is mostly empty, or there are fewer entities than periods; usually keys that are not what they seem."""


class PrecisionWarning(EstimationWarning):
    """A variable lies so far from zero, for how much it varies, that digits are lost in its products."""
