"""Telling a cancellation of ours from one that leaked out of somebody else's code.

On asyncio anything may raise CancelledError: awaiting a future that a library has cancelled does.
Let through, it would look to every scope around it like a cancellation that nobody asked for, and
silently end what runs there. A task that is really being cancelled knows it. On trio only trio
raises Cancelled.
"""

from __future__ import annotations


def is_ours() -> bool:
    """Return whether the current task is really being cancelled, inside `except` of the error."""
    import asyncio  # whoever runs on trio alone does without until now

    try:
        task = asyncio.current_task()
    except RuntimeError:  # no asyncio loop: this is trio
        return True
    return task is None or task.cancelling() > 0
