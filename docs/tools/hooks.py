"""What mkdocs is given beside the files of docs/: README, CONTRIBUTING and CHANGELOG, and the pages written from the code."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import architecture  # noqa: E402  (found by the path set above)
import reference_pages  # noqa: E402  (found by the path set above)

FROM_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
AS_TEXT = {"LICENSE": "license.md", "NOTICE": "notice.md", "CITATION.cff": "citation.md"}
PROVENANCE = {"schemas/reference/PROVENANCE.md": "reference/provenance.md"}

# folder of docs/ to the section that lists its further pages
SECTIONS = {
    "guides": ("How to",),
    "howto": ("How to",),
    "operations": ("How to",),
    "methodology": ("Explanation",),
    "decisions": ("Project", "Decisions"),
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of docs/ that the navigation does not name."""
    for path in unlisted(config["nav"]):
        entries = config["nav"]
        for title in SECTIONS[path.split("/")[0]]:
            entries = next(entry[title] for entry in entries if title in entry)
        entries.append(path)
    return config


def unlisted(nav: list) -> list[str]:
    """Pages below docs/ that the navigation does not name."""
    written = [path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in written if f"'{path}'" not in str(nav)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    pages = {target: site_links((ROOT / source).read_text("utf-8")) for source, target in FROM_ROOT.items()}
    pages |= {target: (ROOT / source).read_text("utf-8") for source, target in PROVENANCE.items()}
    for source, target in AS_TEXT.items():
        title = source.split(".")[0].capitalize()
        pages[target] = f"# {title}\n\n```text\n{(ROOT / source).read_text('utf-8')}\n```\n"
    pages["reference/commands.md"] = reference_pages.commands_page()
    pages["reference/settings.md"] = reference_pages.settings_page()
    pages["reference/lineage.md"] = reference_pages.lineage_page()
    pages["reference/lineage.svg"] = reference_pages.lineage_svg()
    pages |= {f"reference/api/{name}.md": text for name, text in reference_pages.api_pages().items()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: object, **_: object) -> str:
    """Fill the table of rooms into the page on the architecture."""
    rooms = "<!-- rooms -->"
    return markdown.replace(rooms, architecture.imports_table()) if rooms in markdown else markdown


def site_links(text: str) -> str:
    """Links of a file at the root as links of the site's root: docs/x.md is x.md there."""
    text = re.sub(r"\]\(docs/", "](", text)
    for source, target in {**FROM_ROOT, **PROVENANCE, **AS_TEXT}.items():
        text = re.sub(rf"\]\({re.escape(source)}(#[^)]*)?\)", rf"]({target}\1)", text)
    return text.replace('src="docs/', 'src="')
