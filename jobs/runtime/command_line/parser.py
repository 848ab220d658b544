"""The parser of a command: help in colour with defaults and examples, and what was meant by a word that is mistyped."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich.text import Text
from rich_argparse import RichHelpFormatter

from jobs.core.printing import printable

#: Arguments after the name of the command, and what they do.
Example = tuple[str, str]


class HelpFormatter(RichHelpFormatter):
    """Help whose options show their default, if they have one that says something."""

    # help texts are texts: [x] in one is no markup
    help_markup = False
    text_markup = False
    group_name_formatter = staticmethod(str)

    def __init__(self, prog: str, **kwargs: Any) -> None:
        super().__init__(prog, max_help_position=26, **kwargs)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        names_default = "default" in (action.help or "")
        if names_default or not action.option_strings or default in (None, "", False, argparse.SUPPRESS) or default == []:
            return action.help
        shown = " ".join(map(str, default)) if isinstance(default, (list, tuple)) else str(default)
        return f"{action.help or ''} (default: {shown.replace('%', '%%')})".strip()


class Parser(argparse.ArgumentParser):
    """A parser that shows examples, and names the nearest word for one that is mistyped.

    Parameters
    ----------
    examples : iterable of (str, str)
        Arguments after the name of the command, and what they do.
    """

    def __init__(self, *args: Any, examples: Iterable[Example] = (), **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": HelpFormatter, **kwargs})
        self.examples = tuple(examples)
        self._given: list[str] = []

    def actions(self) -> dict[str, Parser]:
        """Parsers of the actions that this command has, such as ``explain`` of ``places``."""
        groups = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return {name: parser for group in groups for name, parser in group.choices.items()}

    def format_help(self) -> str:
        """Help with the examples at its end."""
        text = super().format_help()
        if not self.examples:
            return text
        formatter = self._get_formatter()
        assert isinstance(formatter, HelpFormatter)
        shown = Text("examples:\n", style="argparse.groups")
        for arguments, meaning in self.examples:
            shown.append(f"  {self.prog} {arguments}".rstrip() + "\n", style="argparse.args")
            shown.append(f"      {meaning}\n", style="argparse.help")
        with formatter.console.capture() as captured:
            # an example is copied: it stays on its line however long
            formatter.console.print(shown, soft_wrap=True, end="", highlight=False)
        return f"{text}\n{captured.get()}"

    # the library's stub has three overloads, for kinds of namespace of which only the first is used here
    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]  # as above
        """As the library's; what was given is kept for the message."""
        self._given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print the usage, the message and what was probably meant; exit code 2."""
        self.print_usage(sys.stderr)
        hints = [f"Did you mean {meant} for {word}?" for word, meant in self._mistyped()]
        lines = [f"{self.prog}: error: {message}", *hints, f"`{self.prog} --help` has every option, with examples."]
        self.exit(2, "\n".join(map(printable, lines)) + "\n")

    def _mistyped(self) -> list[tuple[str, str]]:
        """Options given that do not exist, each with the one that looks like it."""
        visible = [
            option for action in self._actions if action.help != argparse.SUPPRESS for option in action.option_strings
            if option.startswith("--")
        ]
        known = [*visible, *self._option_string_actions]
        words = [word.partition("=")[0] for word in self._given if word.startswith("--") and word != "--"]
        unknown = [word for word in dict.fromkeys(words) if not any(option.startswith(word) for option in known)]
        return [(word, meant) for word in unknown if (meant := nearest(word, visible))]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            meant = nearest(str(value), map(str, action.choices))
            hint = f" Did you mean {meant}?" if meant else ""
            choices = ", ".join(map(str, action.choices))
            raise argparse.ArgumentError(action, f"{value!r} is not one of {choices}.{hint}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a mistyped one was probably meant to be."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def program(name: str, module: str = "") -> str:
    """How this command was called, for its usage line: ``clean.py`` when it was submitted, else ``customs-lake clean``."""
    called = Path(sys.argv[0]).name
    return called if called == f"{module.rpartition('.')[2] or name}.py" else f"customs-lake {name}"
