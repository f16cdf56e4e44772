"""Numbers that are taken have to be of use: what begins with them ends, and ends well."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.effort import fuzzed
from tests.fuzz.invariants import hold
from tests.fuzz.runner import run

from greenroom.simulator import Settings, SettingsError, StudioError
from greenroom.simulator import Studio as Model

NUMBERS = (
    *("0", "1e-300", "5e-324", "1e-9", "0.001", "0.5", "1", "2", "100", "1e6", "1e12", "1e300"),
    *("1.7e308", "9" * 12, "9" * 30, "inf", "auto", "none"),
)
DURATIONS = (*NUMBERS, "1ms", "1h", "99999h", "0s", f"{'9' * 300}h")

OFTEN = ("0", "0.5", "1", "100", "1e6", "9" * 12, "9" * 30, "inf", "nan")
"""Numbers with which calls are made: whoever wants thousands a second has to wait for them."""

PLANNED = {
    "--batch": ("1", "2", "10000"),
    "--create-rate": NUMBERS,
    "--canary": ("0", "1", "2", "9" * 30),
    "--timeout": DURATIONS,
    "--rate": NUMBERS,
    "--burst": ("1", "9" * 12, "9" * 30, "9" * 400),
    "--share": ("5e-324", "1e-9", "0.5", "1"),
    "--every": OFTEN,
    "--price": OFTEN,
    "--ceiling": OFTEN,
    "--median": DURATIONS,
    "--sigma": ("0", "5e-324", "0.35", "3"),
    "--failures": ("0", "5e-324", "0.5", "1"),
    "--seed": ("-1", "0", "9" * 400),
}


@given(options=st.dictionaries(st.sampled_from(sorted(PLANNED)), st.integers(0, 99), max_size=4))
@fuzzed(8)
def test_a_plan_with_any_numbers_is_made_or_refused(options: dict[str, int]) -> None:
    words = (f"{each}={PLANNED[each][n % len(PLANNED[each])]}" for each, n in options.items())
    ran = run("plan", "--count", "2", *words, working=True)
    hold(ran)
    assert ran.status in (0, 2)


plain = st.sampled_from(
    (0, 1, -1, 0.5, 1e-300, 5e-324, 1e12, 1e300, 1.7e308, 10**30, 10**400, True, None)
)

laws = st.fixed_dictionaries(
    {}, optional={"median_s": plain, "sigma": st.sampled_from((0, 1e-300, 0.35, 10))}
)


@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("create", "start", "stop", "delete", "stream", "failure"), laws),
            **dict.fromkeys(("create_lag", "read_lag", "forget_after", "session_length"), plain),
            **dict.fromkeys(("stopped_length", "page_size", "max_sessions", "seed"), plain),
        },
    ),
    now=st.sampled_from((0.0, 1.7e9, 1e12)),
)
@fuzzed(60)
def test_a_studio_with_any_settings_behaves(changes: dict[str, Any], now: float) -> None:
    try:
        studio = Model(Settings.from_table(changes))
    except SettingsError:
        return
    try:
        made = studio.create_session(now, launch_profile_id="lp-1")["sessionId"]
        for later in (now, now + 1, now + 1e6, now + 1e15):
            assert json.dumps(studio.get_session(later, made))
            assert studio.list_sessions(later).sessions is not None
        studio.stop_session(now + 1e15, session_id=made)
        studio.truth(now + 2e15)
    except StudioError:
        return
