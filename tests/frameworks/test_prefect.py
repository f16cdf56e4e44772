import asyncio

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # its own sockets
def test_the_tasks_of_a_flow_share_its_poller(studio, example):
    flows = example("prefect_flow")
    with prefect_test_harness():
        ready = asyncio.run(flows.desks("us-west-2-abc", studio.ids))
    assert ready == studio.ids
    assert 0 < studio.reads() <= 10
