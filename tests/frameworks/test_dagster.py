import dagster


def test_an_asset_waits_through_a_resource(studio, example):
    assets = example("dagster_assets")
    there = assets.Studio(studio_id="us-west-2-abc", endpoint_url=studio.url)
    with dagster.DagsterInstance.ephemeral() as instance:
        done = dagster.materialize(
            [assets.desks],
            resources={"studio": there},
            run_config={"ops": {"desks": {"config": {"ids": studio.ids}}}},
            instance=instance,
        )
    assert done.output_for_node("desks") == studio.ids
    assert 0 < studio.reads() <= 10
