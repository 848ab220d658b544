"""Settings: defaults, a profile, a user file, the environment and ``--set``, in that order, each value with its origin.

Sources: ``conf/default.toml`` < ``conf/profiles/NAME.toml`` < ``--config FILE`` < ``CUSTOMS_LAKE__SECTION__KEY`` <
``--set section.key=value``. The sections are frozen dataclasses: an unknown key, a wrong type or an impossible value is
refused at start with what is allowed. A secret is given by reference, ``{ env = "NAME" }`` or ``{ file = "PATH" }``
(conf/secrets.py), never with ``--set``, which every user of the machine can read in the list of processes. Object-store
keys come from the environment that Hadoop's own providers read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from conf.delivery import Delivery
from conf.errors import SettingsError, require_one_of
from conf.operations import Operations
from conf.panel import Panel
from conf.plausible import Plausible
from conf.privacy import Privacy
from conf.productivity import Productivity
from conf.rules import RuleError, rules_in_force
from conf.secrets import HIDDEN, redact
from conf.sources import Sources
from schemas.fields import RAW_COLUMNS

# what the settings of places and counts allow; the transforms take these lists from here
EVIDENCE = ("place_text", "postcode", "district_code")
FALLBACKS = ("place_text", "firm_history", "address")
TREATMENTS = ("in", "out", "whole_city")
Convention = Literal["year_end", "approval"]
CONVENTIONS = get_args(Convention)
UNKNOWN_POSTCODE = ("keep", "refuse")
BASE_REVISIONS = ("1996", "2002", "2007", "2012")

PROFILES = ("paper", "cluster", "test")
# a provider of credentials is a class or a path, no secret
_SECRET_NAME = re.compile(r"secret|password|passwd|token|(access|account|api)[._-]?key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Study:
    """The years and the cities of the study.

    Attributes
    ----------
    first_year, last_year : int
        First and last year of the study.
    """

    first_year: int = 2003
    last_year: int = 2011

    def __post_init__(self) -> None:
        if not 2000 <= self.first_year <= self.last_year <= 2030:
            raise SettingsError(
                f"study years: expected 2000 <= first_year <= last_year <= 2030; found {self.first_year}-{self.last_year}."
            )

    @property
    def years(self) -> range:
        """Years of the study, first to last."""
        return range(self.first_year, self.last_year + 1)


@dataclass(frozen=True, slots=True)
class Places:
    """How a production place is decided (docs/methodology/places.md).

    Attributes
    ----------
    evidence_order : tuple of str
        What names the city, in order: ``place_text``, ``postcode``, ``district_code``.
    fallbacks : tuple of str
        For years whose files carry no postcode, in order; empty: none.
    ambiguous : str
        Cities whose districts and counties share postcodes: ``in``, ``out`` or ``whole_city`` (every record).
    convention : str
        Type of a unit in a year: its state at 31 December (``year_end``) or from its ``approval`` on.
    user_postcodes, user_units, user_cities, user_regions : str
        CSV files of your own, which go before the shipped tables; empty: none.
    """

    evidence_order: tuple[str, ...] = EVIDENCE
    fallbacks: tuple[str, ...] = FALLBACKS
    ambiguous: str = "in"
    convention: Convention = "year_end"
    unknown_postcode: str = "keep"
    user_postcodes: str = ""
    user_units: str = ""
    user_cities: str = ""
    user_regions: str = ""

    def __post_init__(self) -> None:
        for value in self.evidence_order:
            require_one_of("places", "evidence_order", value, EVIDENCE)
        for value in self.fallbacks:
            require_one_of("places", "fallbacks", value, FALLBACKS)
        require_one_of("places", "ambiguous", self.ambiguous, TREATMENTS)
        require_one_of("places", "convention", self.convention, CONVENTIONS)
        require_one_of("places", "unknown_postcode", self.unknown_postcode, UNKNOWN_POSTCODE)


@dataclass(frozen=True, slots=True)
class Count:
    """Which counts the study uses; all are columns of gold.city_exports.

    Attributes
    ----------
    products : str
        Codes of each year's revision (``raw``), ``converted`` to ``base_revision``, or ``family``, comparable over time.
    destinations : str
        ``economies``, or partner ``codes`` as declared.
    base_revision : str
        HS revision that products are converted to.
    """

    products: str = "raw"
    destinations: str = "economies"
    base_revision: str = "2002"
    user_correlations: str = ""

    def __post_init__(self) -> None:
        require_one_of("count", "products", self.products, ("raw", "converted", "family"))
        require_one_of("count", "destinations", self.destinations, ("economies", "codes"))
        require_one_of("count", "base_revision", self.base_revision, BASE_REVISIONS)

    @property
    def product_column(self) -> str:
        """Column of gold.city_exports that is the number of products."""
        return {"raw": "n_products", "converted": "n_products_converted", "family": "n_products_family"}[self.products]

    @property
    def destination_column(self) -> str:
        """Column of gold.city_exports that is the number of destinations."""
        return {"economies": "n_destinations", "codes": "n_partner_codes"}[self.destinations]


@dataclass(frozen=True, slots=True)
class Quality:
    """Bounds of data-quality metrics; a metric outside ends the run with exit code 6 after everything is written.

    Attributes
    ----------
    max_share_quarantined : float
        Share of a year's records that may be quarantined.
    max_share_reason : float
        Share of a year's records that one reason may take.
    max_share_malformed : float
        Share of a year's lines that may have the wrong number of columns.
    max_share_reason_file : float
        Share of a file's exports that one reason may take.
    min_kept_to_neighbours : float
        Kept share of a file, over the median of the other files of its year.
    """

    max_share_quarantined: float = 0.6
    max_share_reason: float = 0.3
    max_share_malformed: float = 0.02
    max_share_reason_file: float = 0.9
    min_kept_to_neighbours: float = 0.5
    # cleaning rules that refuse nothing; only those marked optional in conf/rules/declaration.toml
    rules_off: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            rules_in_force(self.rules_off)
        except RuleError as error:
            raise SettingsError(f"quality.{error}") from error


@dataclass(frozen=True, slots=True)
class Aliases:
    """Section ``aliases``: headings as delivered, in quotes, and the column each stands for.

    Attributes
    ----------
    headings : dict
        Heading to column of ``bronze.declaration``; goes before the layouts.
    """

    headings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for heading, column in self.headings.items():
            if column not in RAW_COLUMNS:
                raise SettingsError(
                    f"aliases: {heading!r} stands for the unknown column {column!r}; expected one of {', '.join(RAW_COLUMNS)}."
                )


@dataclass(frozen=True, slots=True)
class Spark:
    """The session when the product starts it itself; under spark-submit only what is unset is set.

    Attributes
    ----------
    master : str
        Spark master.
    driver_memory : str
        Heap of the driver, such as ``4g``.
    shuffle_partitions : int
        Partitions after a shuffle; about the number of cores.
    local_dir : str
        Scratch folder; empty: Spark's own choice.
    log_level : str
        Level of Spark's own log.
    extra : dict
        Further Spark settings, ``key:value``; secrets are refused.
    """

    master: str = "local[*]"
    driver_memory: str = "4g"
    shuffle_partitions: int = 4
    local_dir: str = ""
    log_level: str = "ERROR"
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        secret = sorted(name for name in self.extra if _SECRET_NAME.search(name))
        if secret:
            raise SettingsError(
                f"spark.extra: {', '.join(secret)} looks like a secret, and settings are printed and kept. Give keys in the"
                " environment only, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which Hadoop reads by itself."
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """All sections, and where each value came from.

    Attributes
    ----------
    origins : dict
        ``section.key`` to the source that set it last.
    """

    study: Study = field(default_factory=Study)
    places: Places = field(default_factory=Places)
    count: Count = field(default_factory=Count)
    productivity: Productivity = field(default_factory=Productivity)
    panel: Panel = field(default_factory=Panel)
    delivery: Delivery = field(default_factory=Delivery)
    aliases: Aliases = field(default_factory=Aliases)
    quality: Quality = field(default_factory=Quality)
    plausible: Plausible = field(default_factory=Plausible)
    spark: Spark = field(default_factory=Spark)
    operations: Operations = field(default_factory=Operations)
    privacy: Privacy = field(default_factory=Privacy)
    origins: dict[str, str] = field(default_factory=dict, compare=False)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Sections as plain dictionaries, without the origins."""
        return {name: dataclasses.asdict(getattr(self, name)) for name in _SECTIONS}

    def shown(self) -> dict[str, dict[str, Any]]:
        """Sections as plain dictionaries for people to read: secrets hidden."""
        hidden = redact(self.as_dict())
        hidden["privacy"]["key"] = HIDDEN if self.privacy.key else ""
        return hidden

    def changed(self) -> dict[str, Any]:
        """Values that can change a result and are not the default's, ``section.key`` to value."""
        shown = self.shown()
        return {
            f"{section}.{key}": shown[section][key] for section, values in self.results_sections().items() for key in values
            if not self.origins.get(f"{section}.{key}", _DEFAULT).startswith(_DEFAULT)
        }

    def sha256(self) -> str:
        """Hash of everything that can change a result; ``_NOT_RESULTS`` cannot."""
        return hashlib.sha256(json.dumps(self.results_sections(), sort_keys=True, default=list).encode()).hexdigest()

    def results_sections(self) -> dict[str, dict[str, Any]]:
        """Sections whose values can change a result."""
        return {name: values for name, values in self.as_dict().items() if name not in _NOT_RESULTS}

    def replaced(self, section: str, **changes: Any) -> Settings:
        """Return a copy with some values of one section changed."""
        return dataclasses.replace(self, **{section: dataclasses.replace(getattr(self, section), **changes)})


#: Where a value comes from that nobody has changed.
_DEFAULT = "conf/default.toml"
# what runs where and which files are taken, not what is made of them
_NOT_RESULTS = ("spark", "operations", "delivery", "privacy", "plausible")
_SECTIONS: dict[str, type] = {
    "study": Study, "places": Places, "count": Count, "productivity": Productivity, "panel": Panel,
    "delivery": Delivery, "aliases": Aliases, "quality": Quality, "plausible": Plausible, "spark": Spark,
    "operations": Operations, "privacy": Privacy,
}


def load_settings(
    *,
    profile: str | None = None,
    config_file: str | Path | None = None,
    overrides: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Merge all sources into frozen settings.

    Parameters
    ----------
    profile : str, optional
        Name of a file in ``conf/profiles``.
    config_file : path, optional
        A user's TOML file.
    overrides : iterable of str
        ``section.key=value`` as given with ``--set``.
    environment : mapping, optional
        Defaults to the process's environment.

    Raises
    ------
    SettingsError
        For an unknown profile, section or key, a value of the wrong type, or an impossible one; every fault of every source
        in a line of its own.
    """
    sources = Sources(_SECTIONS)
    sources.add_shipped("default.toml", "conf/default.toml")
    if profile:
        sources.add_profile(profile, PROFILES)
    if config_file:
        sources.add_file(Path(config_file))
    sources.add_environment(os.environ if environment is None else environment)
    sources.add_overrides(overrides)
    return Settings(**sources.built(), origins=sources.origins)
