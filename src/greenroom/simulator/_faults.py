"""Which requests go wrong, and how.

A fault strikes either on the way in, *instead* of the operation, or on the way back: then the
operation is carried out and its answer is *spoilt*. The difference is what client tokens are for.
Only `hang` takes time, and is the simulator's to do.
"""

from __future__ import annotations

import json
from dataclasses import replace
from http.client import responses
from random import Random
from typing import TYPE_CHECKING

from greenroom.simulator._facts import ERRORS, StudioError
from greenroom.simulator._settings import ANY
from greenroom.simulator._wire import JSON, Reply, refuse

if TYPE_CHECKING:
    from greenroom.simulator._settings import Fault

HTML = {"Content-Type": "text/html; charset=utf-8"}


class FaultPlan:
    """The rules in force, and how often each has struck.

    The draws are seeded, and their own: a run with a fault that never strikes is the same run.
    """

    def __init__(self, rules: tuple[Fault, ...], seed: int) -> None:
        self.rules = rules
        self._strikes = [0] * len(rules)
        self._rng = Random(f"{seed}/faults")

    def strike(self, operation: str, elapsed: float) -> Fault | None:
        """Return the first rule that strikes this request, if one does.

        Args:
            operation: The operation that is asked for.
            elapsed: Simulated seconds since the simulator's start.
        """
        for index, rule in enumerate(self.rules):
            if rule.operation not in (operation, ANY):
                continue
            if elapsed < rule.from_s or (rule.until_s is not None and elapsed >= rule.until_s):
                continue
            if rule.times is not None and self._strikes[index] >= rule.times:
                continue
            if self._rng.random() < rule.probability:
                self._strikes[index] += 1
                return rule
        return None


def instead(fault: Fault) -> Reply | None:
    """Return what is answered instead of carrying the request out, or None if it is carried out."""
    if fault.kind in ERRORS:
        return refuse(StudioError(fault.kind, "the simulator was told to answer this"))
    if fault.kind == "html":
        status = fault.status or 503
        page = f"<html><body><h1>{status} {responses.get(status, 'Trouble')}</h1></body></html>"
        return Reply(status, page.encode(), HTML)
    if fault.kind == "wrong_type":
        return Reply(200, b"<html><body><h1>Please sign in</h1></body></html>", HTML)
    if fault.kind == "no_error_header":
        return _named(fault.status or 500, "the simulator was told to answer this")
    if fault.kind == "skewed":
        message = "Signature expired: the date of the request is too far from the service's clock"
        return _named(403, message, "InvalidSignatureException")
    if fault.kind == "blank":
        return Reply(200, b"{}", JSON)
    if fault.kind in ("outage", "hang"):
        return Reply(503, b"", JSON, arrives="nothing")
    return None


def _named(status: int, message: str, name: str | None = None) -> Reply:
    named = {"x-amzn-ErrorType": name} if name else {}
    return Reply(status, json.dumps({"message": message}).encode(), JSON | named)


def spoilt(fault: Fault, reply: Reply) -> Reply:
    """Return what arrives of the answer to a request that was carried out."""
    if fault.kind == "truncated":
        return Reply(200, reply.body[: len(reply.body) // 2], JSON)
    if fault.kind == "empty":
        return Reply(200, b"", JSON)
    if fault.kind == "mislabelled":
        return replace(reply, headers=reply.headers | HTML)
    if fault.kind == "drop":
        return replace(reply, arrives="nothing")
    if fault.kind == "cut":
        return replace(reply, arrives="half")
    return reply
