"""Airflow: a deferrable operator. While sessions come up no worker is held, only the triggerer.

All tasks of all runs that wait at the same place share one poller in the triggerer, so a mapped
task per session costs no more calls than one task for all of them.
"""

from airflow.sdk import dag, task

from greenroom.airflow import WaitForSessionsOperator


@dag(schedule=None, params={"ids": ["s-1"]}, render_template_as_native_obj=True)
def desks():
    up = WaitForSessionsOperator(
        task_id="up",
        ids="{{ params.ids }}",
        until="READY",
        timeout=1800,
        source="greenroom.sources.nimble.connect",
        source_kwargs={"studio_id": "us-west-2-abc"},
        aws_conn_id="studio",  # credentials, region_name and endpoint_url
        raise_on_failure=False,
    )

    @task
    def greet(outcomes):
        return [id_ for id_, outcome in outcomes.items() if outcome["verdict"] == "success"]

    greet(up.output)


desks_dag = desks()
