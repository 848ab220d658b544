"""Config: every setting with its value and where that comes from."""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.table import Table as RichTable

from conf.settings import Settings, load_settings
from jobs.core.errors import EXIT_DONE
from jobs.core.printing import cell


def run_command(arguments: argparse.Namespace) -> int:
    """Print every setting with its origin."""
    settings = load_settings(profile=arguments.profile, config_file=arguments.config, overrides=arguments.set)
    if arguments.json:
        print(json.dumps(settings_as_json(settings), ensure_ascii=False, indent=1, default=str))
        return EXIT_DONE
    table = RichTable("setting", "value", "from", box=None, pad_edge=False)
    for name, entry in settings_as_json(settings).items():
        value = entry["value"]
        shown = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
        table.add_row(*map(cell, (name, shown, entry["from"])))
    Console(markup=False, emoji=False, highlight=False).print(table)
    return EXIT_DONE


def settings_as_json(settings: Settings) -> dict[str, dict]:
    """Name of every setting to its value and origin; secrets are hidden as they are on the terminal."""
    return {
        f"{section}.{key}": {"value": value, "from": settings.origins.get(f"{section}.{key}", "default")}
        for section, values in settings.shown().items() for key, value in values.items()
    }
