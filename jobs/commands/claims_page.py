"""Write docs/methodology/claims.md: what the paper's printed numbers allow of its central claim, computed."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from estimation.report.claims_page import paper_page
from jobs.study.handoff import paper_numbers


def main(path: str) -> None:
    """Write the page."""
    Path(path).write_text(paper_page(paper_numbers()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
