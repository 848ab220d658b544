"""Photograph the first screen of a report for README: python docs/tools/picture.py REPORT.html docs/pictures/report.png

Needs a chromium and a font with Chinese characters. Few colours keep the file small.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 1280, 640
COLOURS = 200


def photograph(page: Path, target: Path) -> None:
    """Write the upper ``WIDTH`` x ``HEIGHT`` pixels of a page as PNG."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if browser is None:
        raise SystemExit("no chromium here: install one, and a font with Chinese characters (fonts-wqy-zenhei).")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--virtual-time-budget=5000",
            f"--window-size={WIDTH},{HEIGHT}",
        ]
        address = page.resolve().as_uri()
        subprocess.run([browser, *options, f"--screenshot={shot}", address], check=True, capture_output=True)
        Image.open(shot).convert("RGB").quantize(COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
