"""What can end a job, each with the exit code a scheduler sees.

0 done, 3 nothing to do (said only with ``--exit-code``, else 0), 4 input refused, 5 does not reconcile or is damaged,
6 quality threshold, 75 locked by another run, 130 interrupted (Ctrl-C); 2 is a wrong command line; anything else is a defect.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_NOTHING_TO_DO = 3
EXIT_REFUSED = 4
EXIT_UNBALANCED = 5
EXIT_QUALITY = 6
EXIT_LOCKED = 75
EXIT_INTERRUPTED = 130


class CustomsLakeError(Exception):
    """Base of all errors that are explained to the user instead of shown as a stack trace."""

    exit_code = EXIT_REFUSED


class InputRefusedError(CustomsLakeError):
    """Raised when delivered files, folders or years are not what the job can take."""


class LakeError(CustomsLakeError):
    """Raised when the lake's folder cannot be used: not a lake, newer than this product, not writable."""


class SurroundingsError(CustomsLakeError):
    """Raised when the machine does not give what a run needs: open files, a temporary folder, a path short enough."""


class SessionError(CustomsLakeError):
    """Raised when Spark does not start: nobody at the master's address, no room on the cluster, Java or a JAR missing."""


class NoDirectAccessError(LakeError):
    """Raised when a store can be opened by Java only: what is looked at without it is left to Spark."""


class DamagedLakeError(LakeError):
    """Raised when files of the lake are not as they were left: cut, gone, changed from outside. ``repair`` mends them."""

    exit_code = EXIT_UNBALANCED


class InvalidRowsError(LakeError):
    """Raised when rows break what their table promises, and none of them was written: a defect of what made them."""

    exit_code = EXIT_UNBALANCED


class NotBalancedError(CustomsLakeError):
    """Raised when records or dollars in differ from kept plus quarantined: a defect in the rules or the tables."""

    exit_code = EXIT_UNBALANCED


class QualityError(CustomsLakeError):
    """Raised after everything is written when a quality metric lies outside its bounds."""

    exit_code = EXIT_QUALITY


class LockedError(CustomsLakeError):
    """Raised when another run holds the lock of a table; wait for it, or end it."""

    exit_code = EXIT_LOCKED
