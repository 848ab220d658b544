"""References: the look-up tables written to the lake, and handed to the jobs as frames.

In: ``schemas/reference/*.csv`` and a user's own files named in the settings. Out: the ``ref`` tables, so that a study can
name the versions it used. A table is written again when its content changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


from jobs.core.ledger import build_rows, builds_of, fingerprint
from jobs.reference.frames import check_user_files, content_hash, csv_name, packaged_rows
from jobs.runtime.context import JobContext, Outcome, job_main
from schemas import ops

# the year a table without years is recorded under in ops.build
TIMELESS = 0
PREFLIGHT = (check_user_files,)


def run(context: JobContext) -> Outcome:
    """Write the reference tables whose content changed."""
    from schemas.places import TABLES

    lake = context.lake
    wanted = {table: fingerprint(content=content_hash(csv_name(table))) for table in TABLES}
    stale = [table for table in TABLES if builds_of(lake, table).fingerprints.get(TIMELESS) != wanted[table]]
    if not stale:
        return Outcome("reference tables are up to date", changed=False)
    with lake.lock(*stale):
        written = [lake.overwrite(table, packaged_rows(table)) for table in stale]
    complete = [
        row
        for table, commit in zip(stale, written, strict=True)
        for row in build_rows(context.run_id, table, commit, {TIMELESS: wanted[table]}, {TIMELESS: commit.n_rows})
    ]
    # one commit for all: the ledger would cost more than the tables
    lake.append_rows(ops.BUILD, complete)
    return Outcome(f"{len(stale)} tables, {sum(commit.n_rows for commit in written):,} rows")


if __name__ == "__main__":
    sys.exit(job_main("references", run, checks=PREFLIGHT))
