"""Dagster: a poller as a resource, open while a run is, and shared by its ops.

A resource is opened in each process that runs steps: in one with `in_process_executor` or within a
single op, as here, all sessions share its calls. With `multiprocess_executor` give each process its
part of the quota: `RateLimiter(10, share=1 / processes)`.
"""

from contextlib import contextmanager

import dagster

from greenroom import RateLimiter, sync
from greenroom.sources import nimble


class Studio(dagster.ConfigurableResource):
    studio_id: str
    endpoint_url: str

    @contextmanager
    def yield_for_execution(self, context):
        sessions = nimble.connect(studio_id=self.studio_id, endpoint_url=self.endpoint_url)
        with sync.Poller(sessions, limiter=RateLimiter(10, burst=20)) as self._poller:
            yield self

    def wait_all(self, ids):
        return self._poller.wait_all(ids, until="READY", timeout=1800)


class Wanted(dagster.Config):
    ids: list[str]


@dagster.asset
def desks(context: dagster.AssetExecutionContext, config: Wanted, studio: Studio) -> list[str]:
    results = studio.wait_all(config.ids)
    for result in results.failed:
        context.log.warning(result.explanation)
    context.add_output_metadata({"ready": len(results.succeeded), "asked": len(results)})
    return [result.id for result in results.succeeded]
