"""What can be done to instances, one API call each: run many, start, stop, terminate.

A RunInstances that got no answer may have been carried out all the same. Repeat it with the same
client token: EC2 then answers as if it had been asked once. The other actions do no harm when they
are carried out twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jmespath

from greenroom._errors import SourceError, Unavailable
from greenroom._launch_kind import LaunchKind
from greenroom._specs import Choice
from greenroom.sources._aws import call
from greenroom.sources._ec2_launch import INSTANCE_LAUNCH, InstanceSpec

_RUN = "RunInstances"

_TOKEN_IS_SPENT = ("IdempotentParameterMismatch", "IdempotentInstanceTerminated")
"""Errors by which EC2 says that a token has made instances, and does not say which."""


class InstanceActions:
    """The actions of EC2. Each raises `SourceError` where there is no good answer.

    Attributes:
        client: The open aiobotocore client.
        launches: What a launch has to know.
    """

    client: Any
    launches: ClassVar[LaunchKind] = INSTANCE_LAUNCH

    @property
    def place(self) -> str:
        """The region: a client token means nothing in another one."""
        region: str = self.client.meta.region_name
        return region

    async def create_sessions(
        self, spec: InstanceSpec, choice: Choice, *, count: int, client_token: str
    ) -> Mapping[int, str]:
        """Ask for at most `count` instances, at least one, and return their ids by place.

        Args:
            spec: What they are like.
            choice: The type and the subnet, by `instance_type` and `subnet_id`; what is left out
                the spec or its template says.
            count: How many.
            client_token: 1 to 64 characters that name this request.
        """
        counts = {"MinCount": 1, "MaxCount": count, "ClientToken": client_token}
        try:
            answer = await call(self.client, _RUN, spec.members(choice) | counts)
        except SourceError as error:
            if error.code not in _TOKEN_IS_SPENT:
                raise
            answer = {"Instances": await self._made_by(client_token)}
            if not answer["Instances"]:
                raise
        made = _placed(answer.get("Instances"), count)
        if made is None:
            raise Unavailable(
                f"{_RUN}: {self.client.meta.endpoint_url} answered 200, but without the instances "
                "and their launch indices",
                operation=_RUN,
            )
        return made

    async def _made_by(self, client_token: str) -> list[Any]:
        """Return the instances that a token has made, where EC2 will not say it of the request."""
        by_token = {"Filters": [{"Name": "client-token", "Values": [client_token]}]}
        answer = await call(self.client, "DescribeInstances", by_token)
        made: list[Any] = jmespath.search("Reservations[].Instances[]", answer) or []
        return made

    async def start_session(self, session_id: str, *, client_token: str) -> None:  # noqa: ARG002  # takes none
        """Start a stopped instance."""
        await self._act("StartInstances", session_id)

    async def stop_session(self, session_id: str, *, client_token: str) -> None:  # noqa: ARG002
        """Stop a running instance."""
        await self._act("StopInstances", session_id)

    async def delete_session(self, session_id: str, *, client_token: str) -> None:  # noqa: ARG002
        """Terminate an instance."""
        await self._act("TerminateInstances", session_id)

    async def _act(self, operation: str, session_id: str) -> None:
        await call(self.client, operation, {"InstanceIds": [session_id]}, ids=[session_id])


def _placed(instances: Any, count: int) -> dict[int, str] | None:
    """Return the ids of instances by launch index; None where the answer makes no sense."""
    made: dict[int, str] = {}
    for each in instances if isinstance(instances, list) else ():
        known = each if isinstance(each, dict) else {}
        place, id_ = known.get("AmiLaunchIndex"), known.get("InstanceId")
        if not isinstance(place, int) or place not in range(count) or place in made:
            return None
        if not isinstance(id_, str) or not id_:
            return None
        made[place] = id_
    return made or None
