"""Celery: one poller in each worker process, shared by all of its task threads.

    export BROKER_URL=redis://broker.example:6379/0 RESULT_BACKEND=redis://broker.example:6379/1
    export STUDIO_URL=http://127.0.0.1:8080  # greenroom simulator --port 8080
    celery --app celery_tasks worker --pool threads --concurrency 200

BROKER_URL says where the queue of tasks is, RESULT_BACKEND where their results go, and STUDIO_URL
where the service of the studio answers.

Threads wait at no cost and share the poller's calls. It is opened when the worker starts and closed
when it ends. With `--pool prefork` the signals are `worker_process_init` and
`worker_process_shutdown`, which come after the fork; each process then waits for one task at a
time, with its part of the quota: `RateLimiter(10, share=1 / processes)`.
"""

import os
from contextlib import ExitStack

from celery import Celery, signals

from greenroom import GreenroomError, RateLimiter, sync
from greenroom.sources import nimble

app = Celery("studio", broker=os.environ["BROKER_URL"], backend=os.environ["RESULT_BACKEND"])
opened = ExitStack()


@signals.worker_init.connect
def open_poller(**_):
    global poller
    sessions = nimble.connect(studio_id="us-west-2-abc", endpoint_url=os.environ["STUDIO_URL"])
    poller = opened.enter_context(sync.Poller(sessions, limiter=RateLimiter(10, burst=20)))


@signals.worker_shutdown.connect
def close_poller(**_):
    opened.close()


@app.task
def ready(session_id):
    try:
        return poller.wait(session_id, until="READY", timeout=1800).state
    except GreenroomError as error:  # whose evidence a result backend cannot carry
        raise RuntimeError(str(error)) from error
