"""The panel as the result tables use it: natural units, the same in standard deviations, and the constants between.

Standardised variables are ``(x - mean) / sd``. Products are built from centred variables and standardised themselves,
as the paper does. The decision worth knowing: outcome and lagged outcome share one mean and one sd, so that the
coefficient of the lag stays the autoregressive parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from estimation.errors import SpecificationError, UnknownColumnError

PRODUCT = "*"


@dataclass(frozen=True, slots=True)
class Constant:
    """Mean and standard deviation one variable was standardised with."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class StudyPanel:
    """A panel with its constants.

    Attributes
    ----------
    natural : DataFrame
        One row per (entity, time) in natural units, further columns (province_code) kept.
    constants : dict
        Variable, or product of two (``lnAgg*lnRes``: of deviations from the means), to its constant.
    scaled : dict
        Variable or product to the column that holds it standardised already; such a column is taken as it is.
    entity, time : str
    counts : dict
        (outcome, way of counting it) to the column of `natural` that holds it so counted, in logs.
    """

    natural: pd.DataFrame
    constants: Mapping[str, Constant]
    scaled: Mapping[str, str] = field(default_factory=dict)
    entity: str = "city_id"
    time: str = "year"
    counts: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def from_natural(
        cls, frame: pd.DataFrame, *, constants: Mapping[str, Constant] | None = None,
        scaled: Mapping[str, str] | None = None, entity: str = "city_id", time: str = "year",
    ) -> StudyPanel:
        """Return the panel sorted by entity and time; constants not given are computed when they are needed."""
        ordered = frame.sort_values([entity, time]).reset_index(drop=True)
        return cls(ordered, dict(constants or {}), dict(scaled or {}), entity, time)

    def constant(self, name: str) -> Constant:
        """Return the constant of a variable or product, computed from the panel when it was not given."""
        known = self.constants.get(name)
        return known if known is not None else _measure(self._raw(name))

    def standardised(self, names: Iterable[str]) -> pd.DataFrame:
        """Return key columns and the named variables and products in standard deviations.

        Raises
        ------
        UnknownColumnError
            If a variable is not in the panel.
        """
        columns = {self.entity: self.natural[self.entity], self.time: self.natural[self.time]}
        for name in dict.fromkeys(names):
            if name in self.scaled:
                columns[name] = self.natural[self.scaled[name]].astype(float)
                continue
            constant = self.constant(name)
            # a variable that never varies carries no information; its own fit then says so
            columns[name] = (self._raw(name) - constant.mean) / (constant.sd if constant.sd > 0 else 1.0)
        return pd.DataFrame(columns)

    def counted(self, outcome: str, way: str) -> StudyPanel:
        """Return the panel with an outcome counted another way; itself where it is counted so, or the way is not known."""
        column = self.counts.get((outcome, way))
        if column is None or np.allclose(self.natural[outcome], self.natural[column], equal_nan=True):
            return self
        return replace(
            self,
            natural=self.natural.assign(**{outcome: self.natural[column]}),
            scaled={name: source for name, source in self.scaled.items() if name != outcome},
            constants={name: value for name, value in self.constants.items() if name != outcome},
        )

    def restricted(self, mask: np.ndarray) -> StudyPanel:
        """Return the panel whose constants are those of some rows only."""
        return StudyPanel(self.natural, _SampleConstants(self, mask), {}, self.entity, self.time, self.counts)

    def with_rows(self, mask: np.ndarray) -> StudyPanel:
        """Return some rows only, with the constants that were given for the whole."""
        return replace(self, natural=self.natural[mask].reset_index(drop=True))

    def _raw(self, name: str) -> pd.Series:
        """A variable, or the product of the deviations of its factors from their means."""
        if PRODUCT in name:
            product: pd.Series | float = 1.0
            for factor in name.split(PRODUCT):
                product = product * (self._raw(factor) - self.constant(factor).mean)
            return product
        if name not in self.natural.columns:
            raise UnknownColumnError(
                f"the panel has no variable {name!r}; it has "
                f"{', '.join(str(column) for column in self.natural.columns if column not in (self.entity, self.time))}."
            )
        column = self.natural[name]
        if not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
            raise SpecificationError(f"{name}: expected numbers, found text; use it in `where` or `cluster` only.")
        return column.astype(float)


class _SampleConstants(Mapping):
    """Constants of some rows, measured when asked for; products use the sample's means too."""

    def __init__(self, panel: StudyPanel, mask: np.ndarray) -> None:
        rows = panel.natural[mask].reset_index(drop=True)
        self._sample = StudyPanel(rows, {}, {}, panel.entity, panel.time)
        self._known: dict[str, Constant] = {}

    def __getitem__(self, name: str) -> Constant:
        if name not in self._known:
            self._known[name] = self._sample.constant(name)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _measure(values: pd.Series) -> Constant:
    return Constant(float(values.mean()), float(values.std(ddof=1)))
