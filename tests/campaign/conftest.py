from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture
def strace() -> None:
    """Make sure that system calls can be watched, and refused."""
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("needs strace")
        pytest.skip("needs strace")
