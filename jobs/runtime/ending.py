"""How a command ends: a sentence and an exit code for what is explained, a stack trace for a defect.

Nothing here needs Spark: its errors are known by their class where it was loaded.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Callable

from conf.errors import SettingsError
from conf.layouts import LayoutError
from jobs.core.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_NOTHING_TO_DO,
    EXIT_REFUSED,
    EXIT_UNBALANCED,
    CustomsLakeError,
)
from jobs.core.printing import printable
from jobs.core.progress import StepHandler
from jobs.runtime.jars import JarsNotFoundError
from jobs.runtime.java import JavaNotUsableError
from jobs.runtime.machine import explained_os_error, print_anything
from jobs.runtime.surroundings import guarded_command

log = logging.getLogger("customs_lake")

# how Java says that a store or a machine is not there
_SILENT = re.compile(r"java\.net\.(?:Connect|UnknownHost|NoRouteToHost|SocketTimeout)Exception[^\n]*")
# how Spark says that a data file is not what its footer promises
_UNREAD_FILE = re.compile(r"\[(?:FAILED_READ_FILE|CANNOT_READ_FILE)[^\]]*\][^\n]*?(?:file:)?(/\S+?\.parquet)")
_OF_SPARK = (("pyspark.errors", "PySparkException"), ("py4j.protocol", "Py4JJavaError"))
INTERRUPTED = (
    "Interrupted. Nothing half-written stays: what was finished is kept, and the same command goes on from there."
)


def configure_logging() -> None:
    """Log the product's own sentences to standard error, with the time."""
    print_anything()
    if not log.handlers:
        handler = StepHandler(sys.stderr)
        handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False


class PrintableFormatter(logging.Formatter):
    """Log lines without secrets and control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several of a stack trace."""
        return printable(super().format(record))


def conclude(
    act: Callable[[argparse.Namespace], int], arguments: argparse.Namespace,
    first: Callable[[argparse.Namespace], None] = lambda arguments: None,
) -> int:
    """Carry out a command, after what is to be looked at first, and return its exit code."""
    configure_logging()

    def call() -> int:
        first(arguments)
        return act(arguments)

    code = explained(call)
    # nothing new is no failure; a scheduler that wants to know asks for it
    asked = getattr(arguments, "exit_code", False)
    return EXIT_DONE if code == EXIT_NOTHING_TO_DO and not asked else code


def explained(call: Callable[[], int]) -> int:
    """Run a command; an explained error becomes its message and exit code, a defect keeps its stack trace."""
    with guarded_command():
        try:
            return call()
        except KeyboardInterrupt:
            print(f"\n{INTERRUPTED}", file=sys.stderr)
            return EXIT_INTERRUPTED
        except CustomsLakeError as error:
            print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
            return error.exit_code
        except (SettingsError, LayoutError, JavaNotUsableError, JarsNotFoundError) as error:
            print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
            return EXIT_REFUSED
        except OSError as error:
            sentence = explained_os_error(error)
            if sentence is None:
                raise
            print(f"\n{type(error).__name__}: {sentence}", file=sys.stderr)
            return EXIT_REFUSED
        except Exception as error:
            if silent := _SILENT.search(str(error)) if _is_of_spark(error) else None:
                print(
                    f"\nLakeError: a machine does not answer: {silent[0][:300]}. Is the address of --lake and --raw right, and"
                    " the store up? What was complete is kept; run again when it answers.", file=sys.stderr,
                )
                return EXIT_REFUSED
            unread = _UNREAD_FILE.search(str(error)) if _is_of_spark(error) else None
            if unread is None:
                raise
            print(
                f"\nDamagedLakeError: {unread[1]} cannot be read: the disk or someone changed it. `customs-lake fsck --deep`"
                " says what else is damaged, `customs-lake repair` mends it.", file=sys.stderr,
            )
            return EXIT_UNBALANCED


def _is_of_spark(error: Exception) -> bool:
    kinds = [getattr(sys.modules.get(module), name, None) for module, name in _OF_SPARK]
    return any(kind is not None and isinstance(error, kind) for kind in kinds)
