"""The study as one HTML file: the answer, tables, tests, plots, where the data came from, and the command that repeats it.

`collect_evidence` and `collect_robustness` compute what stands beside the tables (recorded in the lake by ``estimate``),
`StudyReport` holds what a page shows, `render_report` puts it into one page without any outside file, in English and
Chinese.
"""

from __future__ import annotations

from estimation.report.evidence import collect_evidence, collect_robustness, notes_of
from estimation.report.page import render_report
from estimation.report.study_report import Provenance, StudyReport

__all__ = ["Provenance", "StudyReport", "collect_evidence", "collect_robustness", "notes_of", "render_report"]
