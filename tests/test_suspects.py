"""Ids that make calls fail: what is done about them, and what they may cost the others."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import greenroom
from greenroom import Poller, Verdict
from greenroom._suspects import MOST_REMEMBERED, REMEMBERED_FOR, Suspects
from greenroom.testing import ScriptedSource


class Strict(ScriptedSource):
    """A service that fails a whole call for one id that it does not know, as EC2 does."""

    def __init__(self, *args, named=True, refuses=(), **options):
        super().__init__(*args, **options)
        self._named = named
        self._refuses = frozenset(refuses)

    async def describe(self, ids, /):
        seen = await super().describe(ids)
        if refused := [id_ for id_ in ids if id_ in self._refuses]:
            raise greenroom.InvalidRequest("malformed", ids=refused if self._named else [])
        if unknown := [id_ for id_ in ids if id_ not in seen]:
            raise greenroom.NotFound("not known", ids=unknown if self._named else [])
        return seen


def script(ready_at, from_=0.0):
    return [(from_, "CREATE_IN_PROGRESS"), (ready_at, "READY")]


def mixed(source, bad):
    return [call for call in source.calls if bad in call.ids and len(call.ids) > 1]


@pytest.mark.parametrize("named", [True, False])
def test_an_id_that_does_not_exist_costs_the_others_one_failed_call(run, named):
    async def main():
        good = {f"s-{number}": script(20 + number) for number in range(50)}
        source = Strict(good, named=named)
        async with Poller(source) as poller:
            results = await poller.wait_all([*good, "bad"], until="READY", timeout=300)
        assert results["bad"].verdict is Verdict.MISSING
        assert len(results.succeeded) == 50
        late = max(results[f"s-{number}"].elapsed - (20 + number) for number in range(50))
        assert late < 15
        assert len(mixed(source, "bad")) == (1 if named else 6)

    run(main)


def test_ids_that_are_too_young_to_be_known_share_their_calls_until_they_are(run):
    async def main():
        young = {f"s-{number}": script(40, from_=12) for number in range(80)}
        source = Strict(young)
        async with Poller(source) as poller:
            results = await poller.wait_all(young, until="READY", timeout=300)
        assert len(results.succeeded) == 80
        assert len(source.calls) < 20

    run(main)


def test_a_refused_id_ends_its_own_wait_and_is_kept_apart_when_waited_for_anew(run):
    async def main():
        good = {f"s-{number}": script(400) for number in range(20)}
        source = Strict(good, refuses={"bad"})
        async with Poller(source, schedule=greenroom.Every(10)) as poller:
            for _ in range(5):
                results = await poller.wait_all([*good, "bad"], until="READY", timeout=30)
                assert results["bad"].verdict is Verdict.ERROR
                assert len(results.timed_out) == 20
        assert len(mixed(source, "bad")) == 1

    run(main)


def test_what_vanishes_while_others_are_polled_is_found_out_alone(run):
    async def main():
        good = {f"s-{number}": script(200) for number in range(20)}
        source = Strict({**good, "s-gone": [(0, "CREATE_IN_PROGRESS"), (60, None)]})
        async with Poller(source) as poller:
            results = await poller.wait_all([*good, "s-gone"], until="READY", timeout=300)
        assert results["s-gone"].verdict is Verdict.MISSING
        assert results["s-gone"].elapsed < 90
        assert len(results.succeeded) == 20
        assert sum(call.at >= 60 for call in mixed(source, "s-gone")) == 1

    run(main)


def test_where_everybody_is_named_nobody_is_believed_missing_before_it_was_asked_alone(run):
    async def main():
        source = Strict({"s-1": script(90, from_=31), "s-2": script(90, from_=31)})
        async with Poller(source, not_found_grace=60) as poller:
            results = await poller.wait_all(["s-1", "s-2"], until="READY", timeout=300)
        assert len(results.succeeded) == 2

    run(main)


def test_a_source_may_say_for_how_long_not_found_proves_nothing(run):
    async def main():
        source = ScriptedSource({"s-1": script(200, from_=100)})
        source.not_found_grace = 150.0
        result = await greenroom.wait(source, "s-1", until="READY", timeout=400)
        assert result.verdict is Verdict.SUCCESS
        async with Poller(source, not_found_grace=5) as poller:
            results = await poller.wait_all(["s-9"], until="READY", timeout=400)
        assert results["s-9"].verdict is Verdict.MISSING
        assert results["s-9"].elapsed < 10

    run(main)


def test_suspicion_ends_by_being_seen_or_by_time():
    suspects = Suspects()
    suspects.blame(["a", "b", "c"], ["a", "b"], 0.0)
    suspects.answered(["a"], ["a"], 0.5)
    assert not suspects.suspected("a", 1.0)
    assert suspects.suspected("b", REMEMBERED_FOR - 1)
    assert not suspects.suspected("b", REMEMBERED_FOR)


def test_where_nobody_is_named_the_one_who_is_unseen_alone_is_to_blame():
    suspects = Suspects()
    suspects.blame("abcd", (), 0.0)
    assert not any(suspects.suspected(who, 0.0) for who in "abcd")
    suspects.answered("ab", "ab", 1.0)
    suspects.answered("c", (), 1.0)
    suspects.answered("d", "d", 1.0)
    suspects.answered("a", (), 2.0)
    assert [who for who in "abcd" if suspects.suspected(who, 3.0)] == ["c"]


def test_the_oldest_suspicions_are_dropped_where_there_are_too_many():
    suspects = Suspects()
    many = [str(number) for number in range(MOST_REMEMBERED + 5)]
    suspects.blame(many, many, 0.0)
    assert not suspects.suspected("4", 0.0)
    assert suspects.suspected("5", 0.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "soon", "back", "discard", "take"]),
            st.sampled_from("abc"),
            st.floats(0, 100),
        )
    )
)
def test_a_suspect_has_one_turn_at_most_and_none_once_it_was_taken(steps):
    suspects, having = Suspects(), set()
    for what, who, when in steps:
        match what:
            case "put":
                suspects.put(when, who)
                having.add(who)
            case "soon":
                suspects.put_soon(when, who)
                having.add(who)
            case "back":
                suspects.put_back(when, 3, who)
                having.add(who)
            case "discard":
                suspects.discard(who)
                having.discard(who)
            case _:
                taken = suspects.take(2)
                assert len(set(taken)) == len(taken) == min(2, len(having))
                having -= set(taken)
        assert (suspects.due() < math.inf) == bool(having)


def test_to_name_all_of_them_is_not_believed_at_once(run):
    class Vague(Strict):
        async def describe(self, ids, /):
            try:
                return await super().describe(ids)
            except greenroom.NotFound:
                raise greenroom.NotFound("not known", ids=ids) from None

    async def main():
        source = Vague({"good": script(5)})
        async with Poller(source) as poller:
            results = await poller.wait_all(["good", "bad"], until="READY", timeout=60)
        assert results["bad"].verdict is Verdict.MISSING
        assert results["good"].elapsed < 20

    run(main)


def test_what_was_read_before_an_error_is_not_lost(run):
    class Piecemeal(ScriptedSource):
        """Reads five ids a call, and every third call is throttled."""

        attempts = 0

        async def describe_pages(self, ids, pay, /):
            seen = {}
            for number in range(0, len(ids), 5):
                self.attempts += 1
                if self.attempts % 3 == 0:
                    raise greenroom.Throttled("slow down", seen=seen)
                if number:
                    await pay()
                seen |= await self.describe(ids[number : number + 5])
            return seen

    async def main():
        source = Piecemeal({f"s-{number}": [(0, "READY")] for number in range(60)})
        async with Poller(source) as poller:
            results = await poller.wait_all(
                [f"s-{number}" for number in range(60)], until="READY", timeout=300
            )
        assert len(results.succeeded) == 60
        assert source.attempts < 40

    run(main)


def test_what_comes_with_an_error_is_checked_like_an_answer(run):
    class Odd(ScriptedSource):
        async def describe(self, ids, /):
            seen = await super().describe(ids)
            raise greenroom.Throttled("slow down", seen={**seen, "s-9": None, "s-2": "READY"})

    async def main():
        source = Odd({"s-1": [(0, "READY")], "s-2": [(0, "READY")]})
        async with Poller(source) as poller:
            results = await poller.wait_all(["s-1", "s-2"], until="READY", timeout=30)
        assert len(results.timed_out) == 2

    run(main)


def test_access_that_is_denied_to_one_by_name_is_denied_to_no_other(run):
    class Guarded(ScriptedSource):
        async def describe(self, ids, /):
            seen = await super().describe(ids)
            if "secret" in ids:
                raise greenroom.AccessDenied("not this one", ids=["secret"])
            return seen

    async def main():
        source = Guarded({f"s-{number}": script(20) for number in range(30)})
        ids = [*(f"s-{number}" for number in range(30)), "secret"]
        async with Poller(source) as poller:
            results = await poller.wait_all(ids, until="READY", timeout=300)
        assert results["secret"].verdict is Verdict.ERROR
        assert len(results.succeeded) == 30
        assert len(mixed(source, "secret")) == 1

    run(main)
