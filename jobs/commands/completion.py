"""Completion: what makes bash, zsh or fish ask this program what may follow on the line."""

from __future__ import annotations

import argparse

from jobs.core.errors import EXIT_DONE


def run_command(arguments: argparse.Namespace) -> int:
    """Print the shell's part; the answers are given by jobs/commands/start.py."""
    import argcomplete

    print(argcomplete.shellcode(["customs-lake"], shell=arguments.shell))
    return EXIT_DONE
