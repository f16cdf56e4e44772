"""One budget for many hosts: `SharedRateLimiter`, and what it is made of.

To read it: `_script.py` (the bucket in Redis, and who may take from it: the theory), `_contact.py`
(whether this host shares or is on its own, in plain functions), `_line.py` (how Redis is spoken to)
and `_shared_limiter.py` (what a poller holds). Nothing here is imported before a limiter is made
that needs it: redis and pyrate-limiter are the extra `redis`.
"""
