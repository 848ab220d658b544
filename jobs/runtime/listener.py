"""Send events to a lineage listener so that it can neither end nor hold up a run, nor learn more than it is sent.

All sending of a process may take :data:`LIMIT_SECONDS` at most beyond what answers at once: a listener that fails once,
however it does (no answer, a reset, junk, a redirect, an answer that drips), is reported once and not asked again. A
redirect is not followed: the key would travel to another host.
"""

from __future__ import annotations

import logging
import os
import threading
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from conf.secrets import remember

LIMIT_SECONDS = 5.0

log = logging.getLogger("customs_lake")

_given_up: set[str] = set()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def send_event(listener: str, body: str, *, shown: str, limit: float | None = None) -> bool:
    """Post one event; tell whether it was taken.

    Parameters
    ----------
    listener : str
        Base address, or the whole one ending in ``/lineage``.
    body : str
        The event as JSON.
    shown : str
        The listener's address without secrets, for the message.
    limit : float, optional
        Seconds; :data:`LIMIT_SECONDS` when not given.
    """
    if listener in _given_up:
        return False
    reason = within(LIMIT_SECONDS if limit is None else limit, lambda: _post(address_of(listener), body))
    if reason:
        _given_up.add(listener)
        log.warning("the lineage listener %s did not take an event: %s; no further events are sent to it", shown, reason)
    return not reason


def address_of(listener: str) -> str:
    """Where events go: the path of the OpenLineage API below a base address."""
    address = listener.rstrip("/")
    return address if urlsplit(address).path.endswith("/lineage") else f"{address}/api/v1/lineage"


def within(seconds: float, call: Callable[[], str]) -> str:
    """What a call returns, or that it took too long; the call is then left to itself and ends with the process."""
    answer: list[str] = []

    def work() -> None:
        try:
            answer.append(call())
        except Exception as error:  # whatever a stranger's server brings about, it must not end a load
            # the text of other errors may repeat a header, and with it the key
            cause = str(getattr(error, "reason", "") or error.strerror or "") if isinstance(error, OSError) else ""
            answer.append(f"{type(error).__name__}{f': {cause}' if cause else ''}".splitlines()[0][:200])

    thread = threading.Thread(target=work, name="lineage", daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else f"no answer within {seconds:g} s"


def _post(address: str, body: str) -> str:
    headers = {"Content-Type": "application/json"}
    key = os.environ.get("OPENLINEAGE_API_KEY")
    if key:
        headers["Authorization"] = f"Bearer {remember(key)}"
    request = urllib.request.Request(address, data=body.encode("utf-8", "replace"), headers=headers, method="POST")
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        # the answer's body says nothing that is needed
        with opener.open(request, timeout=LIMIT_SECONDS):
            return ""
    except HTTPError as error:
        error.close()
        if 300 <= error.code < 400:
            host = urlsplit(error.headers.get("Location", "")).hostname or "another place"
            return f"it redirects to {host} ({error.code}); give the final address"
        return f"it answered {error.code}"
