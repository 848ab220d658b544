"""The study as one HTML file: tables, tests, plots, where the data came from, and the command that makes it again.

`collect_sections` turns printed tables and the lake's bookkeeping into plain values, `render_report` puts them into one
page without any outside file. Titles are in English and Chinese.
"""

from __future__ import annotations

from estimation.report.page import render_report
from estimation.report.study_report import Provenance, StudyReport, build_report

__all__ = ["Provenance", "StudyReport", "build_report", "render_report"]
