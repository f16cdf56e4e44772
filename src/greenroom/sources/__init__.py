"""Sources, one file a kind. Import the one you need: `from greenroom.sources import nimble`.

Any waiter of botocore is a source, too, by `botocore_waiter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.sources._waiter_source import WaiterSource

__all__ = ["botocore_waiter"]


def botocore_waiter(client: Any, name: str) -> WaiterSource:
    """Return what a waiter of botocore waits for, as a source.

    Its ids are the parameters of the waiter's operation, in words: `DBInstanceIdentifier=db-1`,
    `cluster=prod,services=web`, or a JSON object. Its states are `retry`, `success` and, if the
    waiter knows any, `failure`.

    Args:
        client: An open aiobotocore client, on asyncio or on trio. One whose own retries are off,
            by `AioConfig(retries={"total_max_attempts": 1})`, leaves the budget to the poller.
        name: The waiter's name, such as `db_instance_available` or `DBInstanceAvailable`.

    Raises:
        ConfigurationError: The client is not one, or its service has no such waiter.
    """
    from greenroom.sources._waiters import source_of

    return source_of(client, name)
