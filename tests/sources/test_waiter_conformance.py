"""Every waiter of the installed botocore, judged by botocore's own acceptors and by ours.

Answers are generated from the shape of the operation's answer, as far as the acceptors' paths can
see into it, with what the acceptors expect, other words of the enums, members that are missing,
null, empty or of the wrong type, and with errors of all kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.waiter import AcceptorConfig, is_valid_waiter_error
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from greenroom._errors import InvalidRequest, Unavailable
from greenroom.sources import _waiters
from greenroom.sources._waiter_source import WaiterSource
from greenroom.sources._waiters import Waiter, batched_waiters, services, waiter_kind, waiter_names
from greenroom.testing import run

ANSWERS = 100
TOGETHER = 10

generated = settings(
    max_examples=ANSWERS // TOGETHER,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

ODD = st.sampled_from([None, "text", "", 0, 1, True, [], {}, [None], [[]], ["text"], {"Code": "x"}])
STATUSES = (200, 301, 400, 403, 404, 429, 500, 503)
VALUES = tuple(f"thing-{number}" for number in range(6))
CODES = ("ThrottlingException", "ResourceNotFoundException", "InternalError", "404", "")


def model(service: str) -> Any:
    return _waiters._service_model(service)


def config(waiter: Waiter) -> Mapping[str, Any]:
    return _waiters._waiters(_waiters._loader(), model(waiter.service))[waiter.name]


def nodes(tree: Any) -> Iterator[Any]:
    yield tree
    for child in tree["children"]:
        if isinstance(child, dict):
            yield from nodes(child)


class Answers:
    """What one operation may answer, as far as the paths of one waiter see."""

    def __init__(self, waiter: Waiter) -> None:
        self.output = model(waiter.service).operation_model(waiter.operation).output_shape
        seen = [node for tree in waiter.acceptors.expressions for node in nodes(tree)]
        self.names = {node["value"] for node in seen if node["type"] == "field"}
        literals = [node["value"] for node in seen if node["type"] == "literal"]
        lines = config(waiter)["acceptors"]
        self.words = [
            word
            for word in [*literals, *(line["expected"] for line in lines if "argument" in line)]
            if isinstance(word, str)
        ]
        expected = {matcher: [] for matcher in ("status", "error")}
        for line in lines:
            expected.get(line["matcher"], []).append(line["expected"])
        codes = [code for code in expected["error"] if isinstance(code, str)]
        self.every_code = [*codes, *(f"{code}s" for code in codes), *CODES]
        self.every_status = [*expected["status"], *STATUSES]
        self.codes = st.sampled_from(self.every_code)
        self.statuses = st.sampled_from(self.every_status)

    def value(self, shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
        """Values of a shape, sometimes missing or wrong."""
        kind = shape.type_name
        if kind == "structure":
            sound = self.structure(shape, depth)
        elif kind == "list":
            sound = st.lists(self.value(shape.member, depth + 1), max_size=3)
        elif kind == "map":
            inner = self.value(shape.value, depth + 1)
            sound = st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
        elif kind == "string":
            return st.sampled_from([*self.words * 3, *shape.enum[:8], "other", "", None, 1, []])
        elif kind == "boolean":
            return st.sampled_from([True, False, None])
        else:
            return st.sampled_from([0, 1, 2, None, "text"])
        return st.one_of(sound, sound, sound, ODD)

    def structure(self, shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
        members = {
            name: self.value(member, depth + 1)
            for name, member in shape.members.items()
            if name in self.names and depth < 6
        }
        return st.fixed_dictionaries({}, optional=members)

    def everything(self) -> st.SearchStrategy[Any]:
        """Answers and errors, and what is neither or both."""
        noise = {name: st.sampled_from(["noise", [], {}, 0]) for name in [*self.output.members][:2]}
        metadata = st.fixed_dictionaries(
            {}, optional={"HTTPStatusCode": self.statuses, "RequestId": st.text(max_size=4)}
        )
        good = st.fixed_dictionaries({"ResponseMetadata": metadata, "noise": st.integers(0, 999)})
        error = st.one_of(
            st.fixed_dictionaries({"Code": self.codes, "Message": st.text(max_size=3)}),
            st.fixed_dictionaries({}, optional={"Code": self.codes}),
        )
        bad = st.fixed_dictionaries({"Error": error, "ResponseMetadata": metadata})
        shown = self.structure(self.output)
        aimed = st.builds(self.filled, st.sampled_from([*self.words, "other"]), st.integers(0, 7))
        whole = st.fixed_dictionaries(
            {"ResponseMetadata": metadata, "noise": st.integers(0, 999)}, optional=noise
        )
        return st.one_of(
            st.builds(dict.__or__, good, aimed),
            st.builds(dict.__or__, good, shown),
            st.builds(dict.__or__, whole, shown),
            st.builds(dict.__or__, good, shown),
            bad,
            st.builds(dict.__or__, bad, shown),
        )

    def aimed(self) -> Iterator[Any]:
        """Answers that say one word wherever they can, and every error and status by itself."""
        for word in dict.fromkeys([*self.words, "other"]):
            for bits in range(8):
                yield self.filled(word, bits)
        for code in dict.fromkeys(self.every_code):
            yield {"Error": {"Code": code, "Message": "no"}}
        for status in dict.fromkeys(self.every_status):
            yield {"ResponseMetadata": {"HTTPStatusCode": status}}

    def filled(self, word: str, bits: int) -> Any:
        """An answer that says one word wherever it can, to be sure that each is tried."""
        return self.filling(self.output, word, bits, 0)

    def filling(self, shape: Any, word: str, bits: int, depth: int) -> Any:
        kind = shape.type_name
        if kind == "structure":
            return {
                name: self.filling(member, word, bits, depth + 1)
                for name, member in shape.members.items()
                if name in self.names and depth < 6
            }
        if kind in ("list", "map"):
            inner = shape.member if kind == "list" else shape.value
            some = [self.filling(inner, word, bits, depth + 1)] * (bits % 4)
            return some if kind == "list" else dict(zip("abc", some, strict=False))
        if kind == "string":
            return word
        return bool(bits & 4) if kind == "boolean" else bits // 4


def botocores_verdict(acceptors: list[AcceptorConfig], answer: Mapping[str, Any]) -> Any:
    """What `botocore.waiter.Waiter.wait` makes of an answer, and by which acceptor."""
    try:
        for number, acceptor in enumerate(acceptors):
            if acceptor.matcher_func(answer):
                return acceptor.state, number
    except JMESPathError:
        return "cannot be judged"
    return "ends in an error" if is_valid_waiter_error(answer) else ("retry", None)


def our_verdict(waiter: Waiter, answer: Mapping[str, Any]) -> Any:
    try:
        judged = waiter.acceptors.judge(answer)
    except JMESPathError:
        return "cannot be judged"
    if judged.state is None:
        return "ends in an error"
    assert judged.state in waiter.table.states
    for told in (judged.reason, judged.message):
        assert told is None or isinstance(told, str)
    if judged.acceptor is None:
        return judged.state, None
    return judged.state, [each is judged.acceptor for each in waiter.acceptors.all].index(True)


def compared(waiter: Waiter) -> list[Any]:
    """Compare the verdicts on generated answers, and return them."""
    acceptors = [AcceptorConfig(line) for line in config(waiter)["acceptors"]]
    verdicts: list[Any] = []

    def agree(answer: Any) -> None:
        verdict = botocores_verdict(acceptors, answer)
        verdicts.append(verdict)
        assert our_verdict(waiter, answer) == verdict, waiter.table.kind

    answers = Answers(waiter)
    several = st.tuples(*[answers.everything()] * TOGETHER)

    @generated
    @given(several)
    def all_agree(several: Any) -> None:
        for answer in several:
            agree(answer)

    all_agree()
    assert len(verdicts) >= ANSWERS, waiter.table.kind
    for answer in answers.aimed():
        agree(answer)
    return verdicts


@pytest.mark.parametrize("service", services())
def test_every_answer_is_judged_as_botocore_judges_it(service: str) -> None:
    for name in waiter_names(service):
        waiter = waiter_kind(service, name)
        verdicts = compared(waiter)
        decided = {verdict[1] for verdict in verdicts if isinstance(verdict, tuple)}
        assert decided >= set(range(len(waiter.acceptors.all))), waiter.table.kind


class Account:
    """A service that answers about some of the values, or all, alone or in company, in pages.

    Attributes:
        things: The members that the answer has for each value; none where there is no such thing.
    """

    def __init__(self, waiter: Waiter, client: Any, things: Any, page: int, together: int) -> None:
        assert waiter.batch is not None
        self.batch = waiter.batch
        self.things = things
        self.page, self.together = page, together
        self.calls: list[Mapping[str, Any]] = []
        self.source = WaiterSource(client(**{waiter.operation: self.answer}), waiter)

    def answer(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append(parameters)
        (name,) = parameters.keys() & self.batch.parameters.keys()
        values = parameters[name]
        listed = [member for value in values for member in self.things[value]]
        answer: dict[str, Any] = {
            failures: [
                {"arn": value, "reason": "MISSING"} for value in values if not self.things[value]
            ]
            for failures in self.batch.failures
        }
        if self.batch.token and len(values) > 1:
            asked, told = self.batch.token
            begin = int(parameters.get(asked) or 0)
            if begin + self.page < len(listed):
                answer[told] = str(begin + self.page)
            listed = listed[begin : begin + self.page]
        answer["ResponseMetadata"] = {"HTTPStatusCode": 200}
        return {**answer, self.batch.path[0]: self.packed(listed)}

    def packed(self, listed: list[Any]) -> list[Any]:
        if len(self.batch.path) == 1:
            return listed
        each = range(0, len(listed), self.together)
        return [{self.batch.path[1]: listed[at : at + self.together]} for at in each]


def things(waiter: Waiter, parameter: str) -> st.SearchStrategy[Any]:
    """For each of six values, what there is of it."""
    answers, batch = Answers(waiter), waiter.batch
    assert batch is not None
    shape = answers.output
    for name in batch.path:
        shape = shape.members[name].member
    fields = batch.parameters[parameter]
    words = st.sampled_from([*answers.words, "other"])
    aimed = st.builds(
        lambda word, bits: answers.filling(shape, word, bits, 0), words, st.integers(1, 7)
    )
    member = st.one_of(aimed, aimed, answers.structure(shape))

    def named(value: str) -> st.SearchStrategy[Any]:
        field = st.sampled_from(fields)
        arn = st.sampled_from([value, f"arn:aws:any:::{value}", f"arn:aws:any:::x/{value}"])

        def called(listed: list[Any], field: str, arn: str) -> Any:
            name = arn if field.lower().endswith("arn") else value
            return [{**one, field: name} for one in listed]

        several = st.one_of(st.lists(member, max_size=2), st.lists(member, min_size=1, max_size=1))
        return st.builds(called, several, field, arn)

    return st.fixed_dictionaries({value: named(value) for value in VALUES})


@pytest.mark.parametrize("waiter", batched_waiters(), ids=lambda waiter: waiter.table.kind)
def test_in_company_everything_is_judged_as_alone(waiter: Waiter, fake_client: Any) -> None:
    assert waiter.batch is not None
    compared = {"success": 0, "failure": 0, "retry": 0}

    @settings(generated, max_examples=30)
    @given(st.data())
    def agree(data: st.DataObject) -> None:
        parameter = data.draw(st.sampled_from([*waiter.batch.parameters]))
        given = data.draw(things(waiter, parameter))
        few = st.integers(1, 4)
        account = Account(waiter, fake_client, given, data.draw(few), data.draw(few))
        ids = {value: f"{parameter}={value}" for value in given}

        async def main() -> None:
            async def pay() -> None:
                pass

            try:
                together = await account.source.describe_pages(list(ids.values()), pay)
            except Unavailable:
                return
            except InvalidRequest as error:  # some have failed, and are to be asked for alone
                assert waiter.batch.failures
                together = error.seen
            for value, id_ in ids.items():
                if id_ in together:
                    alone = (await account.source.describe([id_]))[id_]
                    assert together[id_] == alone
                    compared[alone.state] += 1
                elif given[value]:
                    assert not {*map(str, given[value][0].values())} & {value}

        run(main)

    agree()
    for acceptor in waiter.acceptors.all:
        if acceptor.matcher != "error" and not acceptor.argument.startswith("failures"):
            assert compared[acceptor.state] > 0, compared


def test_every_waiter_of_botocore_compiles() -> None:
    every = [waiter_kind(service, name) for service in services() for name in waiter_names(service)]

    assert len(every) >= 392
    assert len({waiter.table.kind for waiter in every}) == len(every)
