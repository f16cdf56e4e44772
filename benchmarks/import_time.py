"""What an import costs a fresh process in CPU.

    python benchmarks/import_time.py [--repeat 15]

Each statement is run in processes that do nothing else, by turns, `repeat` times; compiled files
are there already. *CPU* is the process' own, user and system, around the statement, and *process*
that from its start to its end, less the same of one that imports nothing.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from statistics import median

NOTHING = "pass"
STATEMENTS = (
    "import greenroom",
    "import greenroom, backoff, structlog",
    "from greenroom import *",
    "from greenroom.sources import ec2",
    "from greenroom.sources import nimble",
    "import aiobotocore.session",
    "import boto3",
    "import asyncio",
    "import structlog",
    NOTHING,
)
MEASURE = """
import sys, time
before, began = len(sys.modules), time.process_time()
{statement}
print(time.process_time() - began, len(sys.modules) - before)
"""


def once(statement: str) -> tuple[float, float, int]:
    """Return seconds of CPU for the statement and for the process, and how many modules came."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-E", "-c", MEASURE.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent, modules = done.stdout.split()
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(spent), whole, int(modules)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeat", type=int, default=15)
    asked = parser.parse_args()
    for statement in STATEMENTS:
        once(statement)  # which compiles what is not
    runs = [[once(statement) for statement in STATEMENTS] for _ in range(asked.repeat)]
    figures = dict(zip(STATEMENTS, zip(*runs, strict=True), strict=True))
    bare = median(whole for _, whole, _ in figures.pop(NOTHING))
    print("|                                        | CPU, median | least | process | modules |")
    print("| -------------------------------------- | ----------: | ----: | ------: | ------: |")
    for statement, those in figures.items():
        spent, whole, modules = (median(each) for each in zip(*those, strict=True))
        print(
            f"| {f'`{statement}`':<38} | {spent * 1e3:8.0f} ms | {min(those)[0] * 1e3:5.0f} "
            f"| {(whole - bare) * 1e3:4.0f} ms | {modules:7.0f} |"
        )


if __name__ == "__main__":
    main()
