"""The report: one file without outside references, every table within reach, and a look at it in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from estimation.report import plots, render_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESK = (390, 844), (1280, 900)
#: Answers the questions of this test in the page's title: overflow of the page and glyphs no font has.
PROBE = """
<script>
function pixels(text) {
  const canvas = document.createElement('canvas'); canvas.width = 40; canvas.height = 40;
  const pen = canvas.getContext('2d'); pen.font = '24px ' + getComputedStyle(document.body).fontFamily;
  pen.fillText(text, 4, 28); return canvas.toDataURL();
}
window.addEventListener('load', () => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const outside = [...document.querySelectorAll('p, h1, h2, h3, li, svg.plot, dd, pre, summary')]
    .filter(e => e.offsetParent !== null || e.tagName === 'svg')
    .filter(e => !e.closest('.scroll') && !e.closest('nav') && e.getBoundingClientRect().right > window.innerWidth + 1)
    .map(e => e.tagName + ': ' + (e.textContent || '').slice(0, 40));
  const tables = [...document.querySelectorAll('nav a')].slice(0, 8)
    .map(e => Math.round(e.getBoundingClientRect().right));
  const missing = pixels('\\u{10FFFE}');
  const glyphs = [...new Set(document.body.textContent)].filter(c => c.codePointAt(0) > 126);
  const absent = glyphs.filter(c => !/\\s/.test(c) && pixels(c) === missing);
  parent.postMessage(JSON.stringify(
    {width: window.innerWidth, wide, outside, tables, glyphs: glyphs.length, absent}), '*');
});
</script>
"""
#: A frame as wide as a phone: a headless window cannot be narrower than 500 pixels.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<script>window.addEventListener('message', e => {{ document.title = 'PROBE' + e.data; }});</script>
<iframe src="{file}" style="border:0;display:block;width:{width}px;height:{height}px"></iframe></body>"""
#: Height of the pictures: the tables and the claims.
PICTURE_HEIGHT = 9000


@pytest.fixture(scope="module")
def page(study_report):
    return render_report(study_report)


def _browser() -> str:
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        pytest.skip(
            f"no browser on this machine (none of {', '.join(BROWSERS)}), so nobody looked at the report;"
            " on Debian: apt-get install chromium fonts-wqy-zenhei"
        )
    return found


def _browse(page: str, size: tuple[int, int], folder, *options: str) -> str:
    """Open the page in a frame of a size, without a network; returns what the browser prints."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(file="page.html", width=size[0], height=size[1]), encoding="utf-8")
    done = subprocess.run(
        [_browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
         f"--window-size={size[0]},{size[1]}", *options, frame.as_uri()],
        capture_output=True, text=True, timeout=240, check=True,
    )
    return done.stdout


def _probe(page: str, size: tuple[int, int], folder) -> dict:
    probed = page.replace("</body>", PROBE + "</body>").replace("<details>", "<details open>")
    seen = re.search(r"<title>PROBE(.*?)</title>", _browse(probed, size, folder, "--dump-dom"), flags=re.S)
    assert seen, "the page's own probe did not answer"
    return json.loads(html.unescape(seen.group(1)))


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_in_a_browser_nothing_sticks_out_and_every_glyph_is_there(page, size, tmp_path):
    seen = _probe(page, size, tmp_path)
    assert seen["width"] == size[0]
    assert seen["wide"] <= 0 and seen["outside"] == []
    # the way to each of the eight tables is on the first screen, without scrolling the line of links
    assert len(seen["tables"]) == 8 and max(seen["tables"]) < size[0]
    assert seen["glyphs"] > 100
    chinese = [glyph for glyph in seen["absent"] if "\u4e00" <= glyph <= "\u9fff"]
    if len(chinese) > 50:
        pytest.skip("no Chinese font on this machine: install fonts-noto-cjk or fonts-wqy-zenhei")
    assert seen["absent"] == []


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_picture_of_the_page_has_ink_everywhere_and_a_white_edge(page, size, tmp_path):
    from PIL import Image

    picture = tmp_path / "page.png"
    _browse(page, (size[0], PICTURE_HEIGHT), tmp_path, f"--screenshot={picture}")
    pixels = np.asarray(Image.open(picture).convert("L"), dtype=int)[:PICTURE_HEIGHT, : size[0]]
    assert pixels.shape == (PICTURE_HEIGHT, size[0])
    # below the line of links, which scrolls by itself on a phone
    edge = pixels[500:, -8:]
    assert (edge == 255).all(), f"something touches the right edge at row {500 + int(np.argmax((edge < 255).any(axis=1)))}"
    ink = [float((pixels[top : top + 1000] < 128).mean()) for top in range(0, PICTURE_HEIGHT, 1000)]
    assert min(ink) > 0.005, "a part of the page is empty"


def test_printed_every_profile_of_every_table_begins_a_page(page, printed, tmp_path):
    file = tmp_path / "page.pdf"
    _browse(page, DESK, tmp_path, "--dump-dom")
    subprocess.run(
        [_browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--no-pdf-header-footer", f"--print-to-pdf={file}", (tmp_path / "page.html").as_uri()],
        capture_output=True, timeout=240, check=True,
    )
    n_pages = len(re.findall(rb"/Type\s*/Page\b", file.read_bytes()))
    # eight tables, the paper's profile of the first, then claims, plots and the rest; not a page per row either
    assert len(printed) + 1 + 5 <= n_pages <= 45


class _Reader(HTMLParser):
    """Collects references, identifiers and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(values["id"])
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            if values.get(name):
                (self.links if values[name].startswith("#") else self.references).append(values[name])


def test_the_page_needs_no_other_file_and_its_links_lead_somewhere(page):
    reader = _Reader()
    reader.feed(page)
    assert all(reference.startswith("data:") for reference in reader.references)
    assert "@import" not in page and not re.search(r"url\((?!#|data:)", page)
    assert "<script" not in page
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links} <= set(reader.ids)


def test_each_of_the_papers_tables_is_one_click_away_with_both_titles(page, printed):
    for table in printed.values():
        assert f'href="#t{table.table.number}"' in page and f'id="t{table.table.number}">' in page
        assert html.escape(table.title) in page and table.title_zh in page
    assert "Profile defensible" in page and "Profile paper" in page


def test_the_page_states_claims_tests_data_and_the_command(page, study_report):
    for claim in study_report.claims:
        assert html.escape(claim.name, quote=False).replace("'", "&#39;") in page
    assert "customs-lake report --lake LAKE --at 3" in page
    assert "lines delivered" in page and "bad_hs_code" in page and "without Changzhou" in page
    assert page.count("<svg") >= 8 + 3 + 3 + 1 + 2 + 2


def test_the_same_study_gives_the_same_page(study_report, page):
    assert render_report(study_report) == page


def test_a_users_boundaries_are_drawn_and_other_shapes_left_alone(study_report):
    square = [[[100, 30], [101, 30], [101, 31], [100, 30]]]
    outline = {"type": "FeatureCollection", "features": [
        {"geometry": {"type": "Polygon", "coordinates": square}},
        {"geometry": {"type": "MultiPolygon", "coordinates": [square, square]}},
        {"geometry": {"type": "Point", "coordinates": [1, 2]}},
    ]}
    cities = study_report.provenance.coordinates.assign(value=1.0)
    plain = plots.city_map(cities, value="value", title="x")
    drawn = plots.city_map(cities, value="value", title="x", outline=outline)
    assert drawn.count("<path") - plain.count("<path") >= 3


def test_the_page_on_the_papers_claims_is_what_its_numbers_give(paper):
    from pathlib import Path

    from estimation.report.claims_page import paper_page

    page = Path(__file__).parents[3] / "docs" / "methodology" / "claims.md"
    remedy = "stale: python -m jobs.commands.claims_page docs/methodology/claims.md"
    assert page.read_text("utf-8") == paper_page(paper), remedy


def test_claims_of_a_study_are_listed_with_verdict_and_evidence(study_report):
    from estimation.report.claims_page import claims_markdown

    text = claims_markdown(study_report.claims)
    assert text.count("\n| ") == len(study_report.claims) + 1
    assert all(f"**{claim.verdict}**" in text for claim in study_report.claims)
