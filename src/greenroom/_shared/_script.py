"""The bucket that all hosts share, as Redis runs it.

pyrate-limiter's token bucket decides: its own script, unchanged, on its own store. It is GCRA, and
keeps one number, the *theoretical arrival time* (`tat1`), in a hash of Redis: a call may be made
once that is no later than now and a burst, and moves it on by the interval between two calls. What
a quota for many hosts needs besides stands around that script, in the same hash and in one step
with it, so that no host ever acts on what another has just changed:

- **The time is that of Redis.** pyrate-limiter takes the caller's. A host whose clock is two
  seconds fast moves the arrival time two seconds ahead of everybody else's, and gets every call:
  302 to 1. An offset that each host measured would mend most of that, until its clock jumps. TIME,
  asked for by the script, leaves nothing to measure and costs no call. Where Redis itself goes back
  in time, as after a failover, an arrival time further ahead than any can be is an empty bucket.
- **Hosts take turns.** pyrate-limiter tells who is turned away when to come back, and then whoever
  is nearest to Redis is first, every time. So who is turned away is noted, and another host may
  take a token before it only if that leaves one for everybody who has waited longer. A host that
  does not come back loses its turn `LATE` seconds after it was due.
- **The rate can be cut** (`cut_part`, `cut_at`), by the rule of `RateLimiter` and once for all
  hosts. pyrate-limiter takes its interval as an argument, and here it is that of the cut rate. An
  arrival time says how much of the bucket is used by an interval, so one changes with the other.
  Emptying the bucket, Retry-After and giving back a call move the arrival time. After a Retry-After
  the bucket holds one call, and not a burst: many hosts have been waiting for that moment.
- **The bucket rests after it stood full**, as that of `RateLimiter` does, and for the same reason
  (`SKEW`): it shows the scripts the time of the first grant until the rest is over.
- **Hosts are counted** (`host:...`), so that each knows its part when Redis goes away.

Scripts ask for the time before they write, which Redis allows since version 5.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from pyrate_limiter import Rate, TokenBucket

from greenroom._limiter import CUT, CUT_INTERVAL, LEAST, RECOVERY, SKEW
from greenroom._shared._contact import ALIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

LATE = 0.5
"""Seconds by which a host may be late for its turn."""

_LIMIT = 1000  # calls in the interval by which a rate is told; a rate may have a fraction


def rate_of(max_rate: float, burst: int) -> Rate:
    """Return a rate as pyrate-limiter takes it: whole calls in whole milliseconds."""
    return Rate(_LIMIT, math.ceil(1000 * _LIMIT / max_rate), burst)


def lifetime(max_rate: float, burst: int) -> int:
    """Return the milliseconds after which an unused bucket is sure to be full, and at full rate."""
    return math.ceil(1000 * max(2 * ALIVE, 2 * RECOVERY, 2 * burst / (LEAST * max_rate)))


class SharedBucket(TokenBucket):
    """pyrate-limiter's token bucket, with what many hosts need besides.

    Args:
        host: A number that no other limiter has, but its copies in forked processes.
    """

    def __init__(self, host: int) -> None:
        self._host = host

    @property
    def host(self) -> int:
        """Who takes from it: not who made it, where the process was forked since."""
        return self._host ^ os.getpid()

    def redis_script(self) -> str:
        """Return what decides on one call."""
        return f"{_HEAD}{_TURN}local function bucket(ARGV)\n{super().redis_script()}\nend\n{_TAKE}"

    def redis_args(self, rates: list[Rate]) -> list[int | float]:
        """Return what it is to know of the rate and of the host."""
        return [*super().redis_args(rates), self.host]

    def adjust_args(self, rates: list[Rate], lifetime: int, *what: float) -> Sequence[int | float]:
        """Return the arguments of `ADJUST`, of which the first are those of `redis_script`."""
        return [0, 1, lifetime, len(rates), *self.redis_args(rates), *what]


_HEAD = f"""
local SKEW, ALIVE, LATE = {SKEW * 1e6:.0f}, {ALIVE * 1e6:.0f}, {LATE * 1e6:.0f}
local CUT, CUT_INTERVAL = {CUT}, {CUT_INTERVAL * 1e6:.0f}
local RECOVERY, LEAST = {RECOVERY * 1e6:.0f}, {LEAST}
local now = tonumber(ARGV[1]) * 1000  -- microseconds, as everywhere here; 0 asks for those of Redis
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end
local ttl, full, burst = ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
local me = 'host:' .. ARGV[7]

local state, hosts = {{}}, {{}}
local stored = redis.call('HGETALL', KEYS[1])
for i = 1, #stored, 2 do
    local seen, since, until_ = stored[i + 1]:match('^(%d+) (%d+) (%d+)$')
    if not seen then
        state[stored[i]] = tonumber(stored[i + 1])
    elseif tonumber(seen) >= now - ALIVE then
        hosts[stored[i]] = {{since = tonumber(since), until_ = tonumber(until_)}}
    else
        redis.call('HDEL', KEYS[1], stored[i])
    end
end

local function put(field, number)
    redis.call('HSET', KEYS[1], field, string.format('%.0f', number))
end

local part = 1
if state.cut_at then
    local since = math.max(0, now - state.cut_at)
    part = math.min(1, state.cut_part / 1e6 + since / RECOVERY)
end
local interval = math.ceil(full / part)
local tat, blocked = state.tat1 or 0, state.blocked or 0
if tat > math.max(now, blocked) + burst * full / LEAST + SKEW then
    tat = now + burst * interval
end
if state.interval and tat > now then  -- a bucket holds as many calls at another rate as before
    tat = now + (tat - now) * interval / state.interval
end
if blocked > now then
    tat = math.max(tat, blocked + (burst - 1) * interval)
end
if tat ~= (state.tat1 or 0) then
    put('tat1', tat)
end
if interval ~= state.interval then
    put('interval', interval)
end
"""

_TURN = """
local clock, rest = now, 0
if state.first and state.first <= now and now < state.first + SKEW then
    clock, rest = state.first, state.first + SKEW - now
elseif state.first then
    tat = tat + SKEW
    put('tat1', tat)
    redis.call('HDEL', KEYS[1], 'first')
end

local function waits(host)
    return host and host.since > 0 and host.since <= now and host.until_ >= now
end
local since = waits(hosts[me]) and hosts[me].since or now
local ahead, given_up = 0, math.huge
for name, host in pairs(hosts) do
    if name ~= me and waits(host)
        and (host.since < since or (host.since == since and name < me)) then
        ahead = ahead + 1
        given_up = math.min(given_up, host.until_)
    end
end
"""

_TAKE = """
local token = tat + (1 - burst) * interval
local mine = token + ahead * interval
local reply
if ahead > 0 and mine > clock then
    local pause = math.min(mine - clock, math.max(token - clock, given_up - now))
    reply = {0, math.ceil(math.max(1, pause) / 1000)}
else
    reply = bucket({clock / 1000, ARGV[2], ttl, 1, interval, burst})
end

if reply[1] < 0 then
    redis.call('HSET', KEYS[1], me, string.format('%.0f 0 0', now))
    if rest == 0 and ((burst > 1 and tat <= now) or tat <= now - SKEW) then
        put('first', now)
    end
else
    reply[2] = reply[2] + math.ceil(rest / 1000)
    local until_ = now + reply[2] * 1000 + LATE
    redis.call('HSET', KEYS[1], me, string.format('%.0f %.0f %.0f', now, since, until_))
end
return reply
"""

ADJUST = (
    _HEAD
    + """
local cut, empty, pause, refunds =
    tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
if cut == 1 and math.abs(now - (state.cut_at or 0)) >= CUT_INTERVAL then
    part = math.max(LEAST, CUT * part)
    interval = math.ceil(full / part)
    put('interval', interval)
    put('cut_at', now)
    put('cut_part', part * 1e6)
    empty = 1
end
if pause > 0 then
    blocked = math.max(blocked, now + pause * 1e6)
    put('blocked', blocked)
end
if (empty == 1 or pause > 0) and state.first then
    tat = tat + SKEW
    redis.call('HDEL', KEYS[1], 'first')
end
tat = tat - refunds * interval
if empty == 1 then
    tat = math.max(tat, now + burst * interval)
end
if tat > 0 then
    put('tat1', tat)
end
local ahead = math.max(tat, blocked) - now
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(tonumber(ttl), 2 * ahead / 1000)))
local count = hosts[me] and 0 or 1
for _ in pairs(hosts) do
    count = count + 1
end
return {math.floor(part * 1e6), count}
"""
)
"""Changes the bucket, by four numbers: whether to cut the rate, whether to empty the bucket, for
how many seconds nothing is to be granted, and how many calls come back. Returns the part of the
rate that is left, in millionths, and how many hosts there are, with this one."""
