"""What a result table is: columns, each a sample, an outcome, a resilience measure, regressors, instruments, options.

Made from parsed TOML (conf/tables), so a table is data. The decision worth knowing: a fault of a whole file (unknown
key, impossible option) stops at reading with the allowed values, while a fault that only the data shows (a sample
that is empty, instruments that vanish) belongs to its column, which says so while the others are estimated. All faults of
all files are found together, one a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from estimation.dynamic_panel.spec import Distribution, check_option
from estimation.errors import SpecificationError
from estimation.stata.conditions import check_condition

Rule = Literal["all", "size", "region", "trim", "where"]
SizeClasses = Literal["base_year", "moving"]
Trim = Literal["first_year", "cities", "rows"]
Cut = Literal["row", "both_periods", "before_lags"]
Scaling = Literal["panel", "sample"]
Destinations = Literal["panel", "economies", "codes"]
TimeEffects = Literal["level", "difference", "both", "none"]
RESILIENCE = "@resilience"
Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
#: Words for columns of the panel in `where` and `cluster`.
PANEL_WORDS = {"city": "city_name", "province": "province_code"}
CITY_NAMES = ("", "city", "city_id", "city_name")
# the former name of what a restriction on the row itself is
Controls = Literal["exogenous", "exogenous_changes", "predetermined", "endogenous"]
_FORMER_CUTS = {"after_lags": "row"}


class TableSpecError(SpecificationError):
    """A result table's file contradicts itself, misses a key or holds one that is not known."""


@dataclass(frozen=True, slots=True)
class SampleRule:
    """Which city-years a column is about.

    Attributes
    ----------
    name : str
    rule : {'all', 'size', 'region', 'trim', 'where'}
    classes : tuple of str
        Size or region classes.
    by : str
        Variable of `trim` and `where`.
    below_percentile, above_percentile : float
        Cut off by `trim`, strictly below and above.
    at_least, at_most : float or None
        Bounds of rule `where`, both inclusive.
    where : str
        A condition in Stata's words that a row must meet as well: ``year >= 2004 & city_name != "北京市"``.
    title, title_zh : str
    """

    name: str
    rule: Rule = "all"
    classes: tuple[str, ...] = ()
    by: str = ""
    below_percentile: float = 0.0
    above_percentile: float = 100.0
    at_least: float | None = None
    at_most: float | None = None
    title: str = ""
    title_zh: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", condition_of(self.where, f"sample {self.name}.where"))
        check_option(self.rule, Rule, f"sample {self.name}.rule")
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.rule in ("size", "region") and not self.classes:
            raise TableSpecError(f"sample {self.name}: rule {self.rule!r} needs `classes`, such as [\"east\"].")
        if self.rule in ("trim", "where") and not self.by:
            raise TableSpecError(f"sample {self.name}: rule {self.rule!r} needs `by`, the variable that is judged.")
        if not 0 <= self.below_percentile < self.above_percentile <= 100:
            raise TableSpecError(
                f"sample {self.name}: expected 0 <= below_percentile < above_percentile <= 100, found "
                f"{self.below_percentile} and {self.above_percentile}."
            )


@dataclass(frozen=True, slots=True)
class Options:
    """How a column is estimated and its sample cut; conf/tables/model.toml says what each value means."""

    time_effects: TimeEffects = "level"
    lags: tuple[int, int | None] = (2, 4)
    core_lags: tuple[int, int | None] | None = None
    controls: Controls = "exogenous"
    collapse: bool = True
    transform: Literal["fd", "fod"] = "fd"
    steps: Literal[1, 2] = 2
    errors: Literal["windmeijer", "robust", "unadjusted"] = "windmeijer"
    size_standard: str = "1989"
    size_classes: SizeClasses = "base_year"
    size_measure: str = "lnAgg"
    region_classes: str = "region_11_8_12"
    trim: Trim = "first_year"
    cut: Cut = "row"
    scaling: Scaling = "panel"
    distribution: Distribution = "normal"
    destinations: Destinations = "panel"
    # column whose values group the cities for standard errors; empty: each city alone
    cluster: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lags", _lag_range(self.lags, "options.lags"))
        if self.core_lags is not None:
            object.__setattr__(self, "core_lags", _lag_range(self.core_lags, "options.core_lags"))
        object.__setattr__(self, "cut", _FORMER_CUTS.get(str(self.cut), self.cut))
        for name, alias in (
            ("time_effects", TimeEffects), ("transform", Literal["fd", "fod"]), ("steps", Literal[1, 2]),
            ("errors", Literal["windmeijer", "robust", "unadjusted"]), ("size_classes", SizeClasses), ("trim", Trim),
            ("cut", Cut), ("controls", Controls), ("scaling", Scaling), ("distribution", Distribution),
            ("destinations", Destinations), ("collapse", Literal[True, False]),
        ):
            check_option(getattr(self, name), alias, f"options.{name}")
        if not isinstance(self.cluster, str):
            raise TableSpecError(f'options.cluster: expected a column such as "province_code", found {self.cluster!r}.')

    @property
    def lags_of_core(self) -> tuple[int, int | None]:
        """Lags of the core regressors used as instruments: ``core_lags``, or those of the outcome."""
        return self.lags if self.core_lags is None else self.core_lags


def _lag_range(given: Sequence[Any], where: str) -> tuple[int, int | None]:
    """Read ``[first, last]``, where the last may be "all"."""
    is_pair = isinstance(given, list | tuple) and len(given) == 2
    first, last = given if is_pair else (None, None)
    if not isinstance(first, int) or not (last in (0, "all", None) or isinstance(last, int)):
        raise TableSpecError(f'{where}: expected [first, last] or [first, "all"], found {given!r}.')
    return first, None if last in (0, "all") else last


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result table.

    Attributes
    ----------
    table : str
        Name of the table's file.
    position : int
        From 1.
    dependent, resilience : str
    sample : SampleRule
    endogenous, predetermined, exogenous, external_instruments : tuple of str
        Variables; products are written ``lnAgg*lnPro``.
    dependent_lags : int
    options : Options
    resilience_sign : int
        -1 when a high value of the measure means little resilience (unemployment).
    fixed_controls : tuple of str
        Those of ``exogenous`` that never change or change once (distance, zones): they instrument themselves under every
        choice of ``options.controls``.
    """

    table: str
    position: int
    dependent: str
    resilience: str
    sample: SampleRule
    endogenous: tuple[str, ...]
    predetermined: tuple[str, ...]
    exogenous: tuple[str, ...]
    external_instruments: tuple[str, ...]
    dependent_lags: int
    options: Options
    resilience_sign: int = 1
    fixed_controls: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``col1``."""
        return f"col{self.position}"

    @property
    def regressors(self) -> tuple[str, ...]:
        """Right-hand side without lags of the outcome, in the order of the paper."""
        return (*self.endogenous, *self.predetermined, *self.exogenous)

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable the column needs from the panel."""
        return (self.dependent, *self.regressors, *self.external_instruments)

    @property
    def cluster(self) -> str:
        """Column that groups the cities for standard errors, empty where each city stands alone."""
        return "" if self.options.cluster in CITY_NAMES else PANEL_WORDS.get(self.options.cluster, self.options.cluster)

    def replaced(self, **options: Any) -> Column:
        """Return the same column under other options."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        current = {item.name: getattr(self.options, item.name) for item in fields(self.options)}
        return Column(**values | {"options": Options(**current | options)})


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A result table before any data.

    Attributes
    ----------
    name : str
        Name of its file, ``table1``.
    number : int
        Number in print; user tables may take any that is free.
    title, title_zh : str
    columns : tuple of Column
    profile : str
        Profile its options came from.
    labels : mapping
        Variable to its label in English and in Chinese.
    extra : str
        File with columns of the user's own (`estimation.tables.extra`), empty where there are none.
    """

    name: str
    number: int
    title: str
    title_zh: str
    columns: tuple[Column, ...]
    profile: str
    content: Mapping[str, Any] = field(default_factory=dict, compare=False)
    labels: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)
    extra: str = ""

    def label(self, term: str, language: Language = "en") -> str:
        """Return a term as printed, a product by the labels of its factors."""
        place = LANGUAGES.index(language)
        if term in self.labels:
            return self.labels[term][place]
        factors = term.split("*")
        if len(factors) == 1 or not set(factors) & set(self.labels):
            return term
        return " × ".join(self.label(factor, language) for factor in factors)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for hashes and JSON."""
        return {
            "name": self.name, "profile": self.profile, "columns": [asdict(column) for column in self.columns],
            "labels": dict(self.labels), "extra": Path(self.extra).name,
        }


def condition_of(text: Any, where: str) -> str:
    """Return a condition with text in double quotes, which TOML users write in either.

    Raises
    ------
    TableSpecError
    """
    if not isinstance(text, str):
        raise TableSpecError(f"{where}: expected a condition such as 'year >= 2004', found {text!r}.")
    quoted = text if '"' in text else text.replace("'", '"')
    try:
        check_condition(quoted)
    except SpecificationError as error:
        raise TableSpecError(f"{where}: {error}") from error
    return quoted.strip()
