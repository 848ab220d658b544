"""What a cluster run by Kubernetes is told: image, size, volumes, secrets and the hour, from one small TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.errors import SettingsError

DEFAULTS = Path(__file__).with_name("kubernetes") / "manifests.toml"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_MEMORY = re.compile(r"[1-9][0-9]*[mg]$")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")
_SECRET = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?:[-._A-Za-z0-9]+$")
_COORDINATES = re.compile(r"[^:\s]+:[^:\s]+:[^:\s]+$")
_CRON = re.compile(r"(@(hourly|daily|weekly|monthly|yearly|every \S+)|\S+( \S+){4})$")
_OWN_CONFS = ("spark.driver.", "spark.executor.", "spark.kubernetes.")


@dataclass(frozen=True, slots=True)
class Manifests:
    """The file's content, checked.

    Attributes
    ----------
    name, namespace, service_account : str
        Of the application and its pods; the account must be allowed to make pods.
    image : str
        Image made from the Containerfile, with its tag or digest.
    arguments : tuple of str
        Arguments of `jobs/pipeline.py`; ``--raw`` and ``--lake`` among them.
    packages : tuple of str
        Maven coordinates that driver and executors load.
    retries, retry_seconds : int
        How often a run that failed is started again, and after how long. A locked lake (exit code 75) needs it; the
        operator does not tell codes apart, so that a refused delivery is refused again.
    cron, time_zone : str
        When the scheduled run starts, as cron has it, and in whose time.
    driver, executor : mapping
        ``cores``, ``memory``, ``overhead``, and ``instances`` of executors.
    volumes : mapping of str to str
        Claim of a persistent volume to the folder where all pods see it.
    secrets : mapping of str to str
        Environment variable to ``SECRET:KEY``.
    spark : mapping of str to str
        Further settings of Spark.
    """

    name: str
    namespace: str
    image: str
    service_account: str
    arguments: tuple[str, ...]
    packages: tuple[str, ...]
    retries: int
    retry_seconds: int
    cron: str
    time_zone: str
    driver: Mapping[str, Any]
    executor: Mapping[str, Any]
    volumes: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    spark: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [*self._name_faults(), *self._size_faults(), *self._place_faults()]
        if faults:
            raise SettingsError("manifests: " + "; ".join(faults) + ".")

    def _name_faults(self) -> list[str]:
        checks = [
            *((f"{key} {getattr(self, key)!r}", _LABEL.match(getattr(self, key)), "lower-case letters, digits and hyphens")
              for key in ("name", "namespace", "service_account")),
            *((f"volume {claim!r}", _LABEL.match(claim), "the name of a claim") for claim in self.volumes),
            *((f"secret variable {name!r}", _VARIABLE.match(name), "a name of an environment variable")
              for name in self.secrets),
            # the value is not shown: someone may have put the secret itself there
            *((f"value of secret {name}", _SECRET.match(value), "SECRET:KEY, the names of both, never the secret")
              for name, value in self.secrets.items()),
            *((f"package {text!r}", _COORDINATES.match(text), "group:artifact:version") for text in self.packages),
            (f"schedule.cron {self.cron!r}", _CRON.match(self.cron), "five fields, or @daily and the like"),
            (f"image {self.image!r}", self.image and " " not in self.image, "a name with a tag or digest"),
        ]
        return [f"{what}: expected {wanted}" for what, is_fine, wanted in checks if not is_fine]

    def _size_faults(self) -> list[str]:
        faults = []
        for part, keys in (("driver", ("cores",)), ("executor", ("cores", "instances"))):
            sizes = getattr(self, part)
            unknown = sorted(set(sizes) - {*keys, "memory", "overhead"})
            faults += [f"{part}.{key}: unknown key" for key in unknown]
            faults += [f"{part}.{key}: expected a whole number from 1" for key in keys if not _is_count(sizes.get(key))]
            faults += [
                f"{part}.{key} {sizes.get(key)!r}: expected megabytes or gigabytes, such as 8g"
                for key in ("memory", "overhead") if not _MEMORY.match(str(sizes.get(key)))
            ]
        if self.retries < 0 or self.retry_seconds < 1:
            faults.append("retries, retry_seconds: expected 0 or more, and 1 or more")
        return faults

    def _place_faults(self) -> list[str]:
        faults = [f"arguments: {name} is missing" for name in ("--raw", "--lake") if name not in self.arguments]
        faults += [f"volume {claim}: expected an absolute folder; found {at!r}"
                   for claim, at in self.volumes.items() if not at.startswith("/")]
        faults += [f"spark.{key!r}: sizes and pods have keys of their own here"
                   for key in self.spark if key.startswith(_OWN_CONFS)]
        return faults


def load_manifests(path: Path | None = None) -> Manifests:
    """Return the shipped file, with what a user's file says in its place.

    Raises
    ------
    SettingsError
        If the file cannot be read, has an unknown key, or says what no cluster takes; all faults at once.
    """
    values = tomllib.loads(DEFAULTS.read_text("utf-8"))
    given = _read(path) if path is not None else {}
    unknown = sorted(set(given) - set(values))
    if unknown:
        raise SettingsError(f"{path}: unknown keys {', '.join(unknown)}; expected some of {', '.join(values)}.")
    for key, value in given.items():
        if not isinstance(value, type(values[key])):
            raise SettingsError(f"{path}: {key}: expected a {type(values[key]).__name__}; found {value!r}.")
        # of volumes, secrets and Spark's settings a user's list is the list: nobody has a claim because we name it
        is_open = key in ("volumes", "secrets", "spark")
        values[key] = values[key] | value if isinstance(value, dict) and not is_open else value
    schedule = values.pop("schedule")
    values |= {key: tuple(map(str, values[key])) for key in ("arguments", "packages")}
    values["spark"] = {key: _text(value) for key, value in values["spark"].items()}
    return Manifests(**values, cron=schedule["cron"], time_zone=schedule["time_zone"])


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read as TOML: {error}.") from error


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
