"""Tables that record what was done, from what, and whether it balances."""

from __future__ import annotations

from schemas.fields import define, fields
from schemas.table import Table

define("bytes", "bigint", "Size of the file", unit="bytes")
define("encoding", "string", "Encoding that decodes the whole file strictly")
define("delimiter", "string", "Field separator; empty for a Stata file")
define("headings", "array<string>", "Headings of the file in order")
define("n_lines", "bigint", "Data lines, blank lines not counted", unit="lines")
define("receipt_status", "string", "What became of the file", allowed=("received", "withdrawn"))
define("received_at", "timestamp", "When the file was first looked at, UTC")
define("job", "string", "Job that ran")
define("arguments", "string", "Its arguments as JSON, secrets left out")
define("code_version", "string", "Version of the product and revision of its source")
define("config_sha256", "string", "Hash of the resolved configuration")
define("started_at", "timestamp", "Start, UTC")
define("ended_at", "timestamp", "End, UTC")
define("run_status", "string", "How it ended", allowed=("done", "nothing_to_do", "failed"))
define("message", "string", "What it reported at the end")
define("table_name", "string", "Table of the lake, layer.name")
define("fingerprint", "string", "Hash of all that the build depends on: inputs, rules, references, configuration, code")
define("table_version", "bigint", "Delta version the build wrote")
define("n_rows", "bigint", "Rows written", unit="rows")
define("built_at", "timestamp", "When the build was complete, UTC")
define("n_rows_in", "bigint", "Records that entered (bronze)", unit="records")
define("n_rows_kept", "bigint", "Records kept (silver)", unit="records")
define("n_rows_quarantined", "bigint", "Records refused (quarantine)", unit="records")
define("value_in_usd", "decimal(38,2)", "US dollars that entered, where the value can be read", unit="US dollars")
define("value_kept_usd", "decimal(38,2)", "US dollars kept", unit="US dollars")
define("value_quarantined_usd", "decimal(38,2)", "US dollars refused", unit="US dollars")
define("is_balanced", "boolean", "In equals kept plus quarantined, in records and in dollars")
define("metric", "string", "Name of the data-quality metric")
define("metric_value", "double", "Its value")
define("metric_low", "double", "Lowest value that raises no alarm")
define("metric_high", "double", "Highest value that raises no alarm")
define("is_within", "boolean", "The value lies within its bounds")
define("receipt_reason", "string", "Why a file was withdrawn or taken back, in the words of who did it")
define("versions_read", "map<string,bigint>", "Tables the job read, with the Delta version it saw last")
define("versions_written", "map<string,bigint>", "Tables the job wrote, with the Delta version it left")
define("rows_written", "map<string,bigint>", "Tables the job wrote, with the rows written", unit="rows")
define("run_seconds", "double", "How long the job took", unit="seconds")
define("spark_version", "string", "Version of Spark that ran the job")
define("application_id", "string", "Spark's identifier of the application, to find its logs on a cluster")
define("inputs", "map<string,string>", "What the fingerprint was made of: name of the part to its hash")
define(
    "content", "string",
    "What the file's records of the year sum up to, as JSON (jobs/kernels/content.py): rows, cents and hashes by month",
)
define("parts", "string", "The tables in the file and how they are read, as JSON (jobs/kernels/parts.py)")
define("has_postcodes", "boolean", "Records of the file carry postcodes; null in receipts that do not know")
define(
    "left_out_kind", "string", "Why a delivered file was not taken",
    allowed=(
        "useless", "link", "empty", "unsuitable", "other_year", "duplicate", "overlap", "correction", "refused", "nothing",
    ),
)
define("left_out_reason", "string", "What was found and what to do, in a sentence")
define("blocked_years", "array<int>", "Years whose counts wait until the file is repaired, moved away or accepted as missing")
define("is_accepted", "boolean", "The year is built without the file because someone said so")
define("looked_at", "timestamp", "When the delivery was looked at, UTC")
define("covered_period", "string", "The year, or the month as YYYY-MM")
define("n_exports", "bigint", "Records that are not imports", unit="records")
define("n_imports", "bigint", "Records that are imports", unit="records")
define("share_kept", "double", "Kept records to exports; null without exports", unit="share")
define("share_kept_neighbours", "double", "Median of share_kept in the other files of the year", unit="share")
define("main_reason", "string", "Reason that refused most of the file's exports")
define("share_main_reason", "double", "Share of the exports that it refused", unit="share")
define("alarm", "string", "Why the file should be looked at, in a sentence; null when nothing is unusual")
define("tombstone", "string", "Keyed hash of an erased firm's code or an erased file's SHA-256 (jobs/core/privacy.py)")
define("erasure_kind", "string", "What was erased", allowed=("firm", "file"))
define("code_length", "int", "Characters of the erased firm's code; 0 for a file", unit="characters")
define("erasure_reason", "string", "Why it was erased, in the words of who did it")
define("n_rows_erased", "bigint", "Rows found and erased, of all tables", unit="rows")
define("erased_at", "timestamp", "When it was erased, UTC")
define("pin_name", "string", "Name of the study that needs the version")
define("pin_status", "string", "Whether the version is still needed", allowed=("pinned", "released"))
define("pinned_at", "timestamp", "When it was pinned or released, UTC")

FILE_RECEIPT = Table(
    name="ops.file_receipt",
    made_by=("land", "withdraw"),
    fields=fields(
        "source_file!", "file_sha256!", "bytes!", "layout!", "encoding!", "delimiter!", "headings!", "source_year!",
        "source_month", "n_lines!", "receipt_status!", "received_at!", "run_id!", "receipt_reason", "parts", "content",
        "has_postcodes",
    ),
    key=("source_file", "file_sha256", "source_year", "received_at"),
    description="One row per look at a delivered file and year of its records; the latest look at a file is in force.",
    caveats=("A file of several years has a row for each; n_lines and content are those of the year.",),
)
LEFT_OUT = Table(
    name="ops.left_out",
    made_by=("land",),
    fields=fields(
        "run_id!", "source_file!", "left_out_kind!", "left_out_reason!", "blocked_years", "is_accepted", "looked_at!",
    ),
    key=("run_id", "source_file"),
    description="One row per delivered file that was not taken, with the reason; those of the latest run_id are in force.",
    caveats=("A delivery of which everything was taken has one row of kind nothing.",),
)
RUN = Table(
    name="ops.run",
    fields=fields(
        "run_id!", "job!", "arguments!", "code_version!", "config_sha256!", "started_at!", "ended_at!", "run_status!",
        "message", "versions_read", "versions_written", "rows_written", "run_seconds", "spark_version",
        "application_id",
    ),
    key=("run_id", "job"),
    description="The run manifest: one row per job that ended, what it read and wrote, by which code and configuration.",
)
BUILD = Table(
    name="ops.build",
    fields=fields(
        "table_name!", "year!", "fingerprint!", "table_version!", "n_rows!", "built_at!", "run_id!", "inputs",
    ),
    key=("table_name", "year", "built_at"),
    description="One row per completed build of one year of a table; written last, so an interrupted build has none.",
    caveats=("The latest row of (table_name, year) is in force.",),
)
RECONCILIATION = Table(
    name="ops.reconciliation",
    made_by=("clean", "reconcile"),
    made_from=("bronze.declaration", "silver.declaration", "silver.quarantine", "ops.file_receipt"),
    fields=fields(
        "run_id!", "year!", "source_file!", "file_sha256!", "n_lines!", "n_rows_in!", "n_rows_kept!",
        "n_rows_quarantined!", "value_in_usd!", "value_kept_usd!", "value_quarantined_usd!", "is_balanced!",
    ),
    key=("year", "source_file"),
    partition_by=("year",),
    description="One row per year and file: lines received, records and dollars in, kept and quarantined.",
)
QUALITY = Table(
    name="ops.quality",
    made_by=("clean", "plausible"),
    made_from=("bronze.declaration", "silver.declaration", "silver.quarantine"),
    fields=fields("run_id!", "year!", "metric!", "metric_value", "metric_low", "metric_high", "is_within!", "built_at!"),
    key=("run_id", "year", "metric"),
    description="One row per run, year and data-quality metric, with the bounds it was held against.",
)
FILE_QUALITY = Table(
    name="ops.file_quality",
    made_by=("clean",),
    made_from=("silver.declaration", "silver.quarantine", "ops.file_receipt"),
    fields=fields(
        "run_id!", "year!", "source_file!", "covered_period!", "n_exports!", "n_imports!", "n_rows_kept!", "share_kept",
        "share_kept_neighbours", "main_reason", "share_main_reason", "alarm", "built_at!",
    ),
    key=("run_id", "year", "source_file", "covered_period"),
    description="One row per run, year, file and month of the file: what was kept of it and of the files beside it.",
    caveats=("A file that is not known by month has one row, whose covered_period is the year.",),
)
PIN = Table(
    name="ops.pin",
    made_by=("maintain",),
    fields=fields("pin_name!", "table_name!", "table_version!", "pin_status!", "pinned_at!", "run_id!"),
    key=("pin_name", "table_name", "pinned_at"),
    description="One row per table version that a study needs, or needs no more; vacuum keeps what is pinned.",
    caveats=("The latest row of (pin_name, table_name) is in force.",),
)
ERASURE = Table(
    name="ops.erasure",
    made_by=("erase",),
    fields=fields("tombstone!", "erasure_kind!", "code_length!", "erasure_reason!", "n_rows_erased!", "erased_at!", "run_id!"),
    key=("tombstone", "erased_at"),
    description="One row per firm or file that was erased on demand, as a keyed hash: later loads leave it out.",
    caveats=("Nobody can read from it who was erased; whoever knows a code can test it with the key.",),
)
TABLES = (FILE_RECEIPT, LEFT_OUT, RUN, BUILD, RECONCILIATION, QUALITY, FILE_QUALITY, PIN, ERASURE)
