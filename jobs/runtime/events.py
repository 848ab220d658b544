"""What a run tells the outside world: JSON log lines, and OpenLineage events when a listener is given. Never a secret.

One JSON line per event (start, complete, fail) with run id, job, seconds and rows written; for a job that works record
by record also its records, records per second and load id. Rows and seconds go to the run manifest (``ops.run``) too.
OpenLineage: https://openlineage.io/spec/2-0-2/OpenLineage.json, run events with the tables read and written; written
here because its Spark listener does not yet cover this Delta. A listener that does not answer is reported once and
never ends a run. Key: ``OPENLINEAGE_API_KEY``, from the environment only.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conf.secrets import redact
from jobs.core.ledger import record_run, utc_now
from jobs.core.progress import moving
from jobs.core.version import code_version
from jobs.runtime.listener import send_event
from jobs.runtime.metrics import record_metrics
from jobs.runtime.watching import tasks_of

if TYPE_CHECKING:
    from jobs.core.lake import Written
    from jobs.runtime.context import JobContext, Outcome

LINEAGE_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/definitions/RunEvent"

log = logging.getLogger("customs_lake")


def observe(name: str, run: Callable[[JobContext], Outcome], context: JobContext) -> Outcome:
    """Run one job between its events, log one sentence and write its row of the run manifest, failed or done."""
    started_at, start = utc_now(), time.monotonic()
    context.lake.take_activity()
    # asked to build again, a run replaces whatever someone else did to a table
    context.lake.replaces_foreign = context.rebuild
    emit(context, name, "START")
    try:
        with moving(name, watch=tasks_of(getattr(context, "spark", None))):
            outcome = run(context)
    except BaseException as error:
        _record_failure(context, name, error, started_at=started_at, seconds=time.monotonic() - start)
        raise
    seconds = time.monotonic() - start
    read, wrote = context.lake.take_activity()
    numbers: dict[str, float | str] = _numbers(seconds, wrote)
    rate = ""
    if outcome.n_rows:
        rows_per_second = round(outcome.n_rows / max(seconds, 1e-3))
        numbers |= {"rows": outcome.n_rows, "rows_per_second": rows_per_second}
        rate = f", {rows_per_second:,} rows/s"
    if outcome.load_id:
        numbers["load_id"] = outcome.load_id
    log.info("%-9s %s (%.1f s%s)", name, outcome.message, seconds, rate)
    emit(context, name, "COMPLETE", message=outcome.message, read=read, wrote=wrote, **numbers)
    record_metrics(
        context.settings, context.lake.root, name, is_done=True, seconds=seconds, changed=outcome.changed,
        records=outcome.n_rows, wrote=wrote,
    )
    if outcome.changed:
        _record(context, name, "done", outcome.message, started_at=started_at, read=read, wrote=wrote, seconds=seconds)
    return outcome


def _record_failure(
    context: JobContext, name: str, error: BaseException, *, started_at: dt.datetime, seconds: float
) -> None:
    """Tell the listener and the run manifest that a job failed; the failure itself goes on."""
    message = f"{type(error).__name__}: {error}"
    read, wrote = context.lake.take_activity()
    emit(context, name, "FAIL", message=message, read=read, wrote=wrote, **_numbers(seconds, wrote))
    record_metrics(
        context.settings, context.lake.root, name, is_done=False, seconds=seconds, changed=bool(wrote), wrote=wrote
    )
    try:
        _record(context, name, "failed", message, started_at=started_at, read=read, wrote=wrote, seconds=seconds)
    except Exception as second:  # what stopped the job may stop the record, too; the first error is the one to show
        log.warning("%s failed, and the run manifest could not be written: %s", name, str(second).splitlines()[0])


def _record(
    context: JobContext, name: str, status: str, message: str, *, started_at: dt.datetime, read: Mapping[str, int],
    wrote: Mapping[str, Written], seconds: float,
) -> None:
    years = sorted(context.years) if context.years else None
    record_run(
        context.lake, context.settings, run_id=context.run_id, job=name, started_at=started_at, status=status,
        arguments=redact({"raw": context.raw, "years": years, "settings": context.settings.changed()}),
        message=redact(message), read=read, wrote=wrote, seconds=seconds,
    )


def _numbers(seconds: float, wrote: Mapping[str, Written]) -> dict[str, float | str]:
    return {"seconds": round(seconds, 3), "rows_written": sum(written.n_rows for written in wrote.values())}


def emit(
    context: JobContext, job: str, event: str, *, message: str = "", read: Mapping[str, int] | None = None,
    wrote: Mapping[str, Written] | None = None, **numbers: float | str,
) -> None:
    """Write one event to the log file and to the lineage listener, as configured."""
    options = context.settings.operations
    versions = {name: written.version for name, written in (wrote or {}).items()}
    line = {
        "time": f"{utc_now().isoformat(timespec='milliseconds')}Z", "run_id": context.run_id, "job": job,
        "event": event.lower(), "lake": context.lake.root, "code_version": code_version(), **numbers,
        "versions_read": dict(read or {}), "versions_written": versions, "message": message,
    }
    if options.log_file:
        _append_line(Path(options.log_file), json.dumps(redact(line), ensure_ascii=False, default=str))
    listener = options.lineage or os.environ.get("OPENLINEAGE_URL", "")
    if listener:
        lineage = lineage_event(
            context, job, event, read=read or {}, rows={name: item.n_rows for name, item in (wrote or {}).items()},
            versions=versions, message=message,
        )
        _send(listener, json.dumps(redact(lineage), ensure_ascii=False, default=str))


def lineage_event(
    context: JobContext, job: str, event: str, *, read: Mapping[str, int], rows: Mapping[str, int],
    versions: Mapping[str, int], message: str = "",
) -> dict[str, Any]:
    """Return one OpenLineage run event."""
    producer = f"urn:customs-lake:{code_version()}"
    facets: dict[str, Any] = {
        "parent": _facet(
            producer, "ParentRunFacet", run={"runId": str(_run_uuid(context.run_id, "run"))},
            job={"namespace": context.settings.operations.lineage_namespace, "name": "customs-lake"},
        )
    }
    if event == "FAIL":
        facets["errorMessage"] = _facet(
            producer, "ErrorMessageRunFacet", message=message, programmingLanguage="PYTHON"
        )
    return {
        "eventType": event, "eventTime": f"{utc_now().isoformat(timespec='milliseconds')}Z", "producer": producer,
        "schemaURL": LINEAGE_SCHEMA,
        "run": {"runId": str(_run_uuid(context.run_id, job)), "facets": facets},
        "job": {
            "namespace": context.settings.operations.lineage_namespace, "name": f"customs-lake.{job}",
            "facets": {
                "jobType": _facet(
                    producer, "JobTypeJobFacet", processingType="BATCH", integration="SPARK", jobType="JOB"
                )
            },
        },
        "inputs": [_dataset(context, producer, name, version) for name, version in sorted(read.items())],
        "outputs": [
            _dataset(context, producer, name, versions[name]) | {
                "outputFacets": {
                    "outputStatistics": _facet(producer, "OutputStatisticsOutputDatasetFacet", rowCount=n_rows)
                }
            }
            for name, n_rows in sorted(rows.items())
        ],
    }


def _facet(producer: str, name: str, **content: Any) -> dict[str, Any]:
    return {"_producer": producer, "_schemaURL": f"https://openlineage.io/spec/facets/1-0-0/{name}.json"} | content


def _dataset(context: JobContext, producer: str, table: str, version: int) -> dict[str, Any]:
    root = context.lake.root
    scheme, _, rest = root.partition("://") if "://" in root else ("file", "", root)
    bucket, _, folder = rest.partition("/")
    namespace = "file" if scheme == "file" else f"{scheme}://{bucket}"
    path = rest if scheme == "file" else folder
    return {
        "namespace": namespace, "name": f"{path.rstrip('/')}/{table.replace('.', '/')}",
        "facets": {"version": _facet(producer, "DatasetVersionDatasetFacet", datasetVersion=str(version))},
    }


def _run_uuid(run_id: str, job: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"customs-lake:{run_id}:{job}")


def _append_line(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")
    except OSError as error:
        # a log that cannot be written must not end a load that can
        log.warning("log file %s cannot be written: %s", path, error.strerror)


def _send(listener: str, body: str) -> None:
    if urllib.parse.urlparse(listener).scheme not in ("http", "https"):
        _append_line(Path(listener.removeprefix("file://")), body)
        return
    send_event(listener, body, shown=redact(listener))
