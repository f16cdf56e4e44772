"""What CI installs is locked, by version and hash, and the lock fits what is asked for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / ".ci" / "requirements.txt").read_text("utf-8")
ENTRY = re.compile(r"^([\w.-]+)==(\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M)


def locked() -> dict[str, str]:
    return {match[1]: match[2] for match in ENTRY.finditer(LOCK)}


def test_everything_that_is_asked_for_is_locked_in_a_version_that_fits() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = told["project"]["optional-dependencies"]
    asked = [
        Requirement(each)
        for each in (
            *told["project"]["dependencies"],
            *told["build-system"]["requires"],
            *(each for extra in extras.values() for each in extra),
        )
    ]
    pins = locked()
    assert len(pins) > 80
    for each in asked:
        if each.name != "greenroom":
            assert each.specifier.contains(pins[each.name]), f"{each}: run .ci/lock"


def test_the_lock_holds_versions_and_hashes_and_nothing_else() -> None:
    rest = ENTRY.sub("", LOCK)
    assert all(line.strip().startswith("#") for line in rest.splitlines() if line.strip()), rest
    assert "://" not in LOCK


def test_ci_installs_the_lock_and_then_what_the_readme_says() -> None:
    steps = (ROOT / ".ci" / "run").read_text("utf-8")
    install = "\npip install --require-hashes --no-deps -r .ci/requirements.txt\n"
    assert steps.index(install) < steps.index("PIP_NO_INDEX=1") < steps.index('eval "$tests"')
