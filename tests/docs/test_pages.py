"""The pages: every link leads somewhere, every page is in the navigation, every setting and command is explained."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
# written when the site is built
GENERATED = {"contributing.md", "changelog.md", "reference/lineage.svg"}
sys.path.insert(0, str(DOCS / "tools"))


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _anchors(path: Path) -> set[str]:
    return {_anchor(one) for one in re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_and_heading(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    broken = []
    for target in (first or second for first, second in LINK.findall(text)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = page if not name else (page.parent / name).resolve()
        if not path.exists():
            inside = path.relative_to(DOCS).as_posix() if path.is_relative_to(DOCS) else ""
            path = ROOT / f"{Path(inside).stem.upper()}.md"
            if inside not in GENERATED or not path.exists():
                broken.append(target)
                continue
        if anchor and anchor not in _anchors(path):
            broken.append(target)
    assert broken == []


def test_every_page_of_docs_is_in_the_navigation_or_in_a_folder_that_joins_it():
    import hooks

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]
    assert {path.split("/")[0] for path in hooks.unlisted(nav)} <= set(hooks.SECTIONS)
    named = set(re.findall(r"'([\w/\-]+\.md)'", str(nav)))
    assert {name for name in named if not (DOCS / name).exists() and not name.startswith("reference/")} == {
        "index.md", "contributing.md", "changelog.md", "license.md", "notice.md", "citation.md",
    }  # fmt: skip


def test_every_setting_has_a_meaning():
    import reference_pages

    from conf.settings import load_settings

    settings = load_settings(environment={})
    unexplained = [
        f"{section}.{key}"
        for section, values in settings.as_dict().items()
        for key in set(values) - set(reference_pages.meanings_of(section, type(getattr(settings, section))))
    ]
    assert unexplained == []


def test_picture_of_the_rooms_is_fresh():
    import architecture

    drawn = (DOCS / "pictures" / "rooms.svg").read_text("utf-8")
    assert drawn == architecture.picture(), "docs/pictures/rooms.svg is stale: run `make architecture`"


def test_boxes_of_the_lineage_are_the_tables_of_the_lake():
    import reference_pages

    from schemas.catalog import TABLES

    drawn = reference_pages.lineage_svg()
    assert [name for name in TABLES if name.split(".")[0] in ("bronze", "silver", "gold") and f">{name}<" not in drawn] == []


def test_example_of_the_estimator_runs_as_printed(tmp_path, monkeypatch, capsys):
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(8)
    cities, years = np.repeat(np.arange(120), 8), np.tile(np.arange(2003, 2011), 120)
    frame = pd.DataFrame(rng.normal(size=(len(cities), 4)).cumsum(axis=1), columns=["lnvalue", "lnAgg", "lnRes", "lnrd"])
    frame.assign(city_id=cities, year=years).to_csv(tmp_path / "panel.csv", index=False)
    page = (DOCS / "howto" / "estimator.md").read_text("utf-8")
    code = re.search(r"\n((?:    .*\n|\n)*    import pandas(?:.*\n)(?:    .*\n|\n)*)", page).group(1)
    monkeypatch.chdir(tmp_path)
    exec(re.sub(r"^    ", "", code, flags=re.MULTILINE), {})
    assert "Hansen" in capsys.readouterr().out


def test_table_of_the_how_to_is_read():
    import tomllib

    from conf.tables import read_table_files
    from estimation.tables import parse_tables

    page = (DOCS / "howto" / "new_table.md").read_text("utf-8")
    block = re.search(r"\n(    number = 9\n(?:    .*\n|\n)*)", page).group(1)
    shared, _ = read_table_files()
    (table,) = parse_tables(shared, {"table9": tomllib.loads(re.sub(r"^    ", "", block, flags=re.MULTILINE))})
    assert [column.dependent for column in table.columns] == ["lnvalue", "lnnum"]
