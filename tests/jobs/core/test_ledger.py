"""The ledger read back from the commits of a lake's tables, without Java."""

import json

from jobs.core.delta_log import read_log
from jobs.core.ledger import rows_of_commits
from jobs.core.stored_files import StoredFiles
from tests.fixtures.harms import SILVER, log_entry


def test_the_manifest_is_read_back_from_the_commits(hand_made_lake):
    log = read_log(StoredFiles(str(hand_made_lake)), SILVER, every_entry=True)
    rows = rows_of_commits("silver.declaration", log.commits, "year")
    assert [(row["year"], row["fingerprint"], row["table_version"], row["n_rows"]) for row in rows] == [
        (2003, "f2003", 1, 50), (2004, "f2004", 1, 50),
    ]
    assert rows[0]["inputs"] == {"files": "x"} and rows[0]["run_id"] == "r1"


def test_a_restore_takes_the_builds_back_that_came_after(hand_made_lake):
    entry = json.loads(log_entry(hand_made_lake, SILVER).read_text().splitlines()[0])
    for version, printed in ((2, {"builds": {"2003": {"fingerprint": "new", "inputs": None}}}), (3, {"restore_to": 1})):
        mark = json.dumps({"product": "customs-lake", "run": "r2"} | printed)
        info = {"timestamp": 1, "operation": "RESTORE", "userMetadata": mark}
        log_entry(hand_made_lake, SILVER, version).write_text(json.dumps({"commitInfo": info}) + "\n")
    assert entry
    log = read_log(StoredFiles(str(hand_made_lake)), SILVER)
    found = {row["year"]: row["fingerprint"] for row in rows_of_commits("silver.declaration", log.commits, "year")}
    assert found == {2003: "f2003", 2004: "f2004"}
