"""A kind that cannot be launched is told when it is built, and not by its hundredth session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from greenroom import ConfigurationError
from greenroom._launch_kind import Deed
from greenroom._specs import WorkstationSpec
from greenroom.sources.ec2 import INSTANCE_LAUNCH, InstanceSpec
from greenroom.sources.nimble import SESSION_LAUNCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked(InstanceSpec):
    zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAnother(WorkstationSpec):
    kind: ClassVar[str] = "sandcastle"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfNone(WorkstationSpec):
    pass


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"made": "pendng"}, "made='pendng' is no state of ec2-instance; did you mean 'pending'"),
        ({"ready": "READY"}, "ready='READY' is no state of ec2-instance; "),
        ({"deaths": frozenset({"dead"})}, "deaths='dead' is no state of ec2-instance; "),
        (
            {"deeds": {"stop": Deed(action="stop", goal="halted")}},
            r"deeds\['stop'\].goal='halted' is no state of ec2-instance; ",
        ),
        (
            {"deeds": {"delete": Deed(action="terminat", goal="terminated")}},
            r"deeds\['delete'\].action='terminat' is no action of the table of ec2-instance; did "
            "you mean 'terminate'",
        ),
        ({"fewer": "Fewer"}, "fewer='Fewer' has no row in the remedies: add one, or leave it out"),
        ({"together": 0}, "together=0"),
        ({"together": 2.5}, "together=2.5"),
        (
            {"spec": OfAnother},
            "spec=OfAnother is of kind 'sandcastle', and the table of 'ec2-instance': say kind = ",
        ),
        ({"spec": OfNone}, "spec=OfNone is of kind None"),
        (
            {"spec": Unchecked},
            r"spec=Unchecked has no check of zone: add one to its checks, as {'zone': an_id}",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(change, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        replace(INSTANCE_LAUNCH, **change)


@pytest.mark.parametrize("kind", [INSTANCE_LAUNCH, SESSION_LAUNCH])
def test_what_fits_together_is_built(kind):
    assert replace(kind, fewer="*", together=1, deaths=frozenset()).name == kind.name
