"""Making a failing program small: fewer steps, less in each, a more usual world, no pauses.

Programs are plain data and playing one takes milliseconds, so trying every small simplification
until none helps any more is quick, and comes to programs that a person can read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from typing import Any

from tests.campaign.judge import judge
from tests.campaign.program import Program, Step, World
from tests.campaign.stage import play


def failure(program: Program, backend: str) -> BaseException | None:
    """Return what is broken when a program is played, if anything."""
    try:
        judge(play(program, backend))
    except Exception as error:  # noqa: BLE001  # a crash of the engine is a finding as well
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        return cause
    return None


def shrunk(program: Program, backend: str) -> Program:
    """Return a program that fails in the same way, and of which nothing can be left out.

    One that does not fail again is returned as it is.
    """
    broken = failure(program, backend)
    best, kind, improving = program, type(broken), broken is not None
    while improving:
        improving = False
        for simpler in _simpler(best):
            if type(failure(simpler, backend)) is kind:
                best, improving = simpler, True
                break
    return best


def _simpler(program: Program) -> Iterator[Program]:
    steps = program.steps
    size = len(steps) // 2
    while size:
        for first in range(0, len(steps), size):
            yield replace(program, steps=steps[:first] + steps[first + size :])
        size //= 2
    usual = World()
    for one in fields(World):
        if getattr(program.world, one.name) != getattr(usual, one.name):
            yield replace(
                program, world=replace(program.world, **{one.name: getattr(usual, one.name)})
            )
    for place, step in enumerate(steps):
        for simpler in _simpler_steps(step):
            yield replace(program, steps=(*steps[:place], simpler, *steps[place + 1 :]))
        pause = step.at - (steps[place - 1].at if place else 0.0)
        if pause:
            earlier = tuple(replace(one, at=one.at - pause) for one in steps[place:])
            yield replace(program, steps=steps[:place] + earlier)


def _simpler_steps(step: Step) -> Iterator[Step]:
    for one in fields(step):
        value: Any = getattr(step, one.name)
        if one.default is not MISSING and value != one.default:
            yield replace(step, **{one.name: one.default})
        if one.name in ("ids", "goal") and len(value) > 1:
            for place in range(len(value)):
                yield replace(step, **{one.name: value[:place] + value[place + 1 :]})
        if one.name == "calls" and value > 1:
            yield replace(step, **{one.name: value - 1})
