"""The example's DAG through Airflow itself, on its SQLite database in a folder of its own."""

import urllib.parse

import pytest
from airflow.utils.db import initdb


@pytest.mark.filterwarnings("default")  # Airflow's own are many
def test_a_task_of_a_dag_waits_in_the_triggerer(studio, example, monkeypatch):
    initdb()
    where = urllib.parse.urlencode({"region_name": "us-west-2", "endpoint_url": studio.url})
    monkeypatch.setenv("AIRFLOW_CONN_STUDIO", f"aws://simulated:simulated@/?{where}")
    run = example("airflow_dag").desks_dag.test(run_conf={"ids": studio.ids})
    (greeted,) = [each for each in run.get_task_instances() if each.task_id == "greet"]
    assert greeted.xcom_pull(task_ids="greet") == studio.ids
    assert 0 < studio.reads() <= 10
