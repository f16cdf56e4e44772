"""The instances of a region: their states, their status checks, and what is done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.sources._aws_source import AwsSource
from greenroom.sources._ec2_actions import InstanceActions

if TYPE_CHECKING:
    from greenroom.sources._aws_kind import AwsKind


class Instances(AwsSource, InstanceActions):
    """EC2's instances, as `ec2.connect` yields them.

    Args:
        client: An open aiobotocore client of EC2.
        kind: The kind of the instances.
        checks: The kind of their status checks.

    Attributes:
        status_checks: The source of what the instances' status checks say.
    """

    def __init__(self, client: Any, kind: AwsKind, checks: AwsKind) -> None:
        super().__init__(client, kind)
        self.status_checks = self.of(checks)
