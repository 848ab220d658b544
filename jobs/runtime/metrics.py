"""Numbers of the last runs as a Prometheus text file, for the text-file collector of node_exporter (operations.metrics_file).

A file holds each job's last end. Jobs that ran in other processes stay in it, so that a nightly run and a weekly maintenance
share one; it is replaced as a whole, so that a scrape never reads half of it. Format:
https://github.com/prometheus/docs/blob/main/content/docs/instrumenting/exposition_formats.md
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

from conf.secrets import redact
from conf.settings import Settings
from jobs.core.version import code_version

if TYPE_CHECKING:
    from jobs.core.lake import Written

log = logging.getLogger("customs_lake")

PREFIX = "customs_lake_"
#: Name to labels and meaning.
METRICS: dict[str, tuple[tuple[str, ...], str]] = {
    "job_success": (("lake", "job"), "1 when the last run of the job ended well, 0 when it failed"),
    "job_end_timestamp_seconds": (("lake", "job"), "When the last run of the job ended, seconds since 1970"),
    "job_duration_seconds": (("lake", "job"), "How long the last run of the job took"),
    "job_changed": (("lake", "job"), "1 when the last run of the job had something to do"),
    "job_records": (("lake", "job"), "Records the last run of the job worked on, of jobs that work record by record"),
    "table_written_rows": (("lake", "table"), "Rows of the last write of the table"),
    "table_version": (("lake", "table"), "Version of the table after its last write"),
    "info": (("lake", "version", "configuration"), "Always 1: product version and configuration of the last job"),
}


def record_metrics(
    settings: Settings, lake: str, job: str, *, is_done: bool, seconds: float, changed: bool = False,
    records: int | None = None, wrote: Mapping[str, Written] | None = None,
) -> None:
    """Write the end of a job to the text file that the settings name; nothing where they name none.

    A file that cannot be written is reported and never ends a run.
    """
    if not settings.operations.metrics_file:
        return
    path, lake = Path(settings.operations.metrics_file), redact(lake)
    registry = CollectorRegistry()
    gauges = {
        metric: Gauge(PREFIX + metric, text, labels, registry=registry) for metric, (labels, text) in METRICS.items()
    }
    try:
        _keep_others(path, gauges, lake, job, set(wrote or {}))
        ended: dict[str, float] = {
            "job_success": is_done, "job_end_timestamp_seconds": time.time(), "job_duration_seconds": seconds,
            "job_changed": changed,
        }
        for metric, value in ended.items():
            gauges[metric].labels(lake, job).set(float(value))
        if records is not None:
            gauges["job_records"].labels(lake, job).set(records)
        for table, written in (wrote or {}).items():
            gauges["table_written_rows"].labels(lake, table).set(written.n_rows)
            gauges["table_version"].labels(lake, table).set(written.version)
        gauges["info"].labels(lake, code_version(), settings.sha256()[:12]).set(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), registry)
    except OSError as error:
        log.warning("metrics file %s cannot be written: %s", path, error.strerror)


def _keep_others(
    path: Path, gauges: Mapping[str, Gauge], lake: str, job: str, tables: set[str]
) -> None:
    """Take over what the file says of other jobs, other tables and other lakes."""
    if not path.is_file():
        return
    try:
        families = list(text_string_to_metric_families(path.read_text("utf-8")))
    except ValueError:
        log.warning("metrics file %s was not readable and is written anew", path)
        return
    for family in families:
        metric = family.name.removeprefix(PREFIX)
        for sample in family.samples if metric in gauges else ():
            of_lake = sample.labels.get("lake") == lake
            is_replaced = sample.labels.get("job") == job or sample.labels.get("table") in tables or metric == "info"
            if not (of_lake and is_replaced):
                labels = [sample.labels.get(label, "") for label in METRICS[metric][0]]
                gauges[metric].labels(*labels).set(sample.value)
