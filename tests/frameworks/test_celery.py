from celery.contrib.testing.worker import start_worker


def test_the_tasks_of_a_worker_share_its_poller(studio, example, monkeypatch):
    monkeypatch.setenv("BROKER_URL", "memory://")
    monkeypatch.setenv("RESULT_BACKEND", "cache+memory://")
    tasks = example("celery_tasks")
    ids = [*studio.ids, "no id"]
    with start_worker(tasks.app, pool="threads", concurrency=len(ids), perform_ping_check=False):
        *ready, refused = [tasks.ready.delay(id_) for id_ in ids]
        assert {each.get(timeout=60) for each in ready} == {"READY"}
        assert "no id" in str(refused.get(timeout=60, propagate=False))
    assert 0 < studio.reads() <= 10
