"""Launches that outlive the host they were started on: fleets, on Temporal.

    fleet = await launch_fleet(client, specs, id="monday-2026-11-30")     # anywhere
    await fleet_worker(client, studio).run()                              # on every launcher host

A fleet is cut into shards of a hundred workstations or fewer. A shard is one activity: any worker
can bring it up, and another goes on where one was lost. Temporal keeps who has which shard and what
is known of it; what a workstation is, how it is created, waited for and remedied, is a launch like
any other. All shards of a worker share one poller and one budget.

It is told in this order: what travels (`_orders`), what is kept of a shard (`_kept`), who may go on
with it (`_lease`), how it is brought up (`_shard`), by whom (`_worker`), who sees to all of them
(`_workflow`), and how a fleet is begun, looked at and cancelled (`_history`, `_status`, `_fleet`).

Needs the extra: `pip install 'greenroom[temporal]'`. On asyncio only, as Temporal's library is.
"""

try:
    import temporalio  # noqa: F401
except ImportError as error:
    raise ImportError(
        "fleets need Temporal's library: pip install 'greenroom[temporal]'"
    ) from error

from greenroom.temporal._fleet import Fleet, get_fleet, launch_fleet
from greenroom.temporal._orders import Sessions
from greenroom.temporal._status import FleetStatus
from greenroom.temporal._worker import TASK_QUEUE, FleetWorker, fleet_worker

__all__ = [
    "TASK_QUEUE",
    "Fleet",
    "FleetStatus",
    "FleetWorker",
    "Sessions",
    "fleet_worker",
    "get_fleet",
    "launch_fleet",
]
