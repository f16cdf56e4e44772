"""A studio, simulated: sessions and streams that come and go as the service's would.

The studio is pure. It reads no clock and opens no socket: every method takes the time as its first
argument, in simulated epoch seconds, and times must not decrease from call to call. Whatever it
answers is a plain dict in the service's own words, times as epoch seconds; whatever it refuses
raises `StudioError`.

What happens to a session is drawn from the seed and the session's number alone. Reads draw from a
generator of their own. So two clients may be compared on the very same run, however differently
they look at it.

Two kinds of delay separate what is true from what is shown, as in the real service: for
`create_lag` seconds a new session is not found, and a read shows the state as it was up to
`read_lag` seconds ago. Actions are judged by the truth.

A `client_token` makes an action safe to repeat: a repeated request changes nothing, and returns the
session or stream as it is now. A token that comes again with other parameters is refused with
ConflictException, one that is empty or longer than 64 characters with ValidationException.
"""

from __future__ import annotations

import string
from random import Random
from typing import TYPE_CHECKING, Any

from greenroom.simulator._facts import (
    INSTANCE_TYPES,
    RESOURCE_KINDS,
    RETENTION_MODES,
    StudioError,
)
from greenroom.simulator._sessions import USER, Page, Session, Stream, paginate
from greenroom.simulator._settings import Settings
from greenroom.simulator._timeline import SESSION_ACTIONS, Timeline, plan_session, plan_stream

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from greenroom.simulator._facts import ActionName, KindName
    from greenroom.simulator._timeline import Change

STUDIO_ID = "us-west-2-simulated"
"""The studio's id, as long as the settings name no studios."""

_ALPHABET = string.ascii_letters + string.digits


class Studio:
    """One studio and its sessions.

    Attributes:
        settings: How it behaves. May be replaced at any time: what is planned already stays.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        region: str = "us-west-2",
        account_id: str = "123456789012",
    ) -> None:
        """Open a studio without sessions. Its place is part of the ARNs, and means nothing else."""
        self.settings = settings or Settings()
        self._place = f"{region}:{account_id}"
        self._sessions: dict[str, Session] = {}
        self._streams: dict[tuple[str, str], Stream] = {}
        self._requests = Requests()
        self._names = Random(f"{self.settings.seed}/names/{self._place}")
        self._reads = Random(f"{self.settings.seed}/reads")

    @property
    def studio_id(self) -> str:
        """The id to ask for: the first of the settings' studios, or a name of its own."""
        return next(iter(self.settings.studios or ()), STUDIO_ID)

    def create_session(
        self,
        now: float,
        *,
        launch_profile_id: str,
        streaming_image_id: str | None = None,
        instance_type: str | None = None,
        owner: str | None = None,
        tags: Mapping[str, str] | None = None,
        client_token: str | None = None,
    ) -> dict[str, Any]:
        """Create a session, and return it: CREATE_IN_PROGRESS.

        Without an image it streams one that always exists; without an instance type it runs on the
        smallest; without an owner it belongs to whoever asks.

        Raises:
            StudioError: ValidationException for a value out of its range;
                ResourceNotFoundException for a launch profile or image that is not there, and
                ConflictException if it is not READY; ServiceQuotaExceededException if there are
                too many sessions.
        """
        asked = (
            launch_profile_id,
            streaming_image_id,
            instance_type,
            owner,
            tuple(sorted((tags or {}).items())),
        )
        repeated: Session | None = self._requests.repeated(client_token, "create", asked)
        if repeated:
            return repeated.describe(now)
        _check_choice("ec2InstanceType", instance_type, INSTANCE_TYPES)
        if streaming_image_id is not None:
            _check_image_id(streaming_image_id)
            self._require_ready("streaming_images", streaming_image_id)
        self._require_ready("launch_profiles", launch_profile_id)
        self._check_quota(now)
        rng = Random(f"{self.settings.seed}/session/{len(self._sessions)}")
        session_id = self._name()
        session = Session(
            arn=self._arn("streaming-session", session_id),
            session_id=session_id,
            owner=owner or USER,
            launch_profile_id=launch_profile_id,
            streaming_image_id=streaming_image_id or "simulated-image",
            instance_type=instance_type or INSTANCE_TYPES[0],
            tags=dict(tags or {}),
            terminates=self.settings.stopped_length is not None,
            rng=rng,
            timeline=Timeline(plan_session("create", now, self.settings, rng)),
        )
        self._sessions[session_id] = session
        self._requests.remember(client_token, "create", asked, session)
        return session.describe(now)

    def start_session(
        self,
        now: float,
        session_id: str,
        *,
        backup_id: str | None = None,
        client_token: str | None = None,
    ) -> dict[str, Any]:
        """Start a STOPPED session, and return it: START_IN_PROGRESS.

        Any `backup_id` is accepted: backups are not modelled.

        Raises:
            StudioError: ResourceNotFoundException if there is no such session;
                ConflictException if it is in another state.
        """
        session = self._existing(session_id, now)
        if not self._act("start", session, now, client_token, backup_id):
            session.backup_id = backup_id
        return session.describe(now)

    def stop_session(
        self,
        now: float,
        session_id: str,
        *,
        retention_mode: str | None = None,
        client_token: str | None = None,
    ) -> dict[str, Any]:
        """Stop a READY session, and return it: STOP_IN_PROGRESS.

        `retention_mode` says what becomes of its volume, RETAIN or DELETE; None leaves it at that.

        Raises:
            StudioError: ValidationException for another retention mode;
                ResourceNotFoundException if there is no such session; ConflictException if it is
                in another state.
        """
        _check_choice("volumeRetentionMode", retention_mode, RETENTION_MODES)
        session = self._existing(session_id, now)
        repeated = self._act("stop", session, now, client_token, retention_mode)
        if retention_mode is not None and not repeated:
            session.retention_mode = retention_mode
        return session.describe(now)

    def delete_session(
        self, now: float, session_id: str, *, client_token: str | None = None
    ) -> dict[str, Any]:
        """Delete a session that is in no transition, and return it: DELETE_IN_PROGRESS.

        Raises:
            StudioError: ResourceNotFoundException if there is no such session;
                ConflictException if it is in a state that cannot be deleted from.
        """
        session = self._existing(session_id, now)
        self._act("delete", session, now, client_token, None)
        return session.describe(now)

    def get_session(self, now: float, session_id: str) -> dict[str, Any]:
        """Return a session, as a read shows it.

        Raises:
            StudioError: ResourceNotFoundException if there is no such session, not yet, or not
                any more.
        """
        session = self._sessions.get(session_id)
        if session is None or not self._shown(session, now):
            raise _missing("session", session_id)
        return session.describe(self._seen_at(session, now))

    def list_sessions(
        self,
        now: float,
        *,
        session_ids: str | None = None,
        created_by: str | None = None,
        owned_by: str | None = None,
        next_token: str | None = None,
    ) -> Page:
        """Return a page of sessions, oldest first or in the order of the ids asked for.

        `session_ids` are separated by commas; unknown ones are left out. A list of given ids costs
        what those ids cost, however many sessions there are. `created_by` and `owned_by` leave only
        the sessions of that user; `next_token` is where the page before ended.

        Raises:
            StudioError: ValidationException for a token that no list with these filters gave.
        """
        filters = (session_ids, created_by, owned_by)
        if session_ids is None or self.settings.ignore_filter:
            candidates = list(self._sessions)
        else:
            asked = dict.fromkeys(each.strip() for each in session_ids.split(","))
            candidates = list(asked)

        def shown(session_id: str) -> dict[str, Any] | None:
            session = self._sessions.get(session_id)
            if session is None or not self._shown(session, now):
                return None
            if created_by not in (None, USER) or owned_by not in (None, session.owner):
                return None
            return session.describe(self._seen_at(session, now))

        return paginate(candidates, shown, self.settings.page_size, filters, next_token)

    def create_stream(
        self,
        now: float,
        session_id: str,
        *,
        expiration: int | None = None,
        client_token: str | None = None,
    ) -> dict[str, Any]:
        """Create a stream of a READY session, and return it: CREATE_IN_PROGRESS.

        Once READY, it can be opened for `expiration` seconds, 60 to 3600; None for the longest.

        Raises:
            StudioError: ValidationException for another expiration; ResourceNotFoundException if
                there is no such session; ConflictException if it is not READY.
        """
        if expiration is not None and not 60 <= expiration <= 3600:
            raise _invalid("expirationInSeconds must be between 60 and 3600")
        session = self._existing(session_id, now)
        target = ("stream", session_id)
        repeated: Stream | None = self._requests.repeated(client_token, target, expiration)
        if repeated:
            return repeated.describe(now)
        if (state := session.timeline.at(now).state) != "READY":
            raise StudioError("ConflictException", f"session {session_id} is {state}, not READY")
        lasts = expiration or 3600
        stream_id = self._name()
        stream = Stream(
            stream_id=stream_id,
            session=session,
            url=f"https://{self.studio_id}.stream.invalid/{stream_id}?key={self._name(48)}",
            lasts=lasts,
            timeline=Timeline(plan_stream(now, lasts, self.settings, session.rng)),
        )
        self._streams[session_id, stream_id] = stream
        self._requests.remember(client_token, target, expiration, stream)
        return stream.describe(now)

    def get_stream(self, now: float, session_id: str, stream_id: str) -> dict[str, Any]:
        """Return a stream, with its secret URL while it is READY.

        Raises:
            StudioError: ResourceNotFoundException if there is no such stream, or not any more.
        """
        stream = self._streams.get((session_id, stream_id))
        if stream is None or self._forgotten(stream.at(now), now):
            raise _missing("stream", stream_id)
        return stream.describe(now)

    def get_resource(self, kind: KindName, resource_id: str) -> dict[str, Any]:
        """Return a launch profile, streaming image, studio component or studio.

        `kind` is the settings' name of its table, such as `launch_profiles`.

        Raises:
            StudioError: ResourceNotFoundException if the settings name others but not this one.
        """
        facts = RESOURCE_KINDS[kind]
        return {
            "arn": self._arn(facts.arn_type, resource_id),
            facts.identifier: resource_id,
            "state": self._resource_state(kind, resource_id),
        }

    def truth(self, now: float) -> dict[str, tuple[Change, ...]]:
        """Return, by session id, every change that has happened by `now`.

        Sessions that reads do not show yet, or no longer, are included.
        """
        return {
            session_id: session.timeline.until(now)
            for session_id, session in self._sessions.items()
            if session.timeline.first.at <= now
        }

    def _act(
        self, action: ActionName, session: Session, now: float, token: str | None, asked: Hashable
    ) -> bool:
        target = (action, session.session_id)
        if self._requests.repeated(token, target, asked):
            return True
        state = session.timeline.at(now).state
        if state not in (allowed := SESSION_ACTIONS[action].allowed_in):
            raise StudioError(
                "ConflictException",
                f"session {session.session_id} is {state}; "
                f"{action} is possible in {', '.join(sorted(allowed))}",
            )
        plan = plan_session(action, now, self.settings, session.rng)
        session.timeline.redirect(now, plan)
        self._requests.remember(token, target, asked, session)
        return False

    def _existing(self, session_id: str, now: float) -> Session:
        session = self._sessions.get(session_id)
        if session is None or self._forgotten(session.timeline.at(now), now):
            raise _missing("session", session_id)
        return session

    def _shown(self, session: Session, now: float) -> bool:
        born = session.timeline.first.at
        return now - born >= self.settings.create_lag and not self._forgotten(
            session.timeline.at(now), now
        )

    def _forgotten(self, change: Change, now: float) -> bool:
        return change.state == "DELETED" and now - change.at >= self.settings.forget_after

    def _seen_at(self, session: Session, now: float) -> float:
        lag = self._reads.uniform(0.0, self.settings.read_lag)
        return max(session.timeline.first.at, now - lag)

    def _check_quota(self, now: float) -> None:
        quota = self.settings.max_sessions
        if quota is None or len(self._sessions) < quota:
            return
        states = (session.timeline.at(now).state for session in self._sessions.values())
        if sum(state != "DELETED" for state in states) >= quota:
            raise StudioError(
                "ServiceQuotaExceededException", f"this studio may have {quota} sessions at once"
            )

    def _resource_state(self, kind: KindName, resource_id: str) -> str:
        seeded = self.settings.states(kind)
        if seeded is None:
            return "READY"
        if resource_id not in seeded:
            raise _missing(RESOURCE_KINDS[kind].noun, resource_id)
        return seeded[resource_id]

    def _require_ready(self, kind: KindName, resource_id: str) -> None:
        if (state := self._resource_state(kind, resource_id)) != "READY":
            noun = RESOURCE_KINDS[kind].noun
            raise StudioError("ConflictException", f"{noun} {resource_id} is {state}, not READY")

    def _name(self, length: int = 22) -> str:
        return "".join(self._names.choices(_ALPHABET, k=length))

    def _arn(self, noun: str, resource_id: str) -> str:
        return f"arn:aws:nimble:{self._place}:{noun}/{resource_id}"


class Requests:
    """The requests that came with a client token, to tell a repeated one from a new one.

    A client that gets no answer cannot know whether its request was carried out. It sends the same
    request again, with the same token, and the service answers as if it had been asked once.
    Tokens are separate for every target: what a request acts on, and how.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Hashable, str], tuple[Hashable, Any]] = {}

    def repeated(self, token: str | None, target: Hashable, asked: Hashable) -> Any:
        """Return what the first request with this token was about, or None if this is the first.

        `asked` are the request's parameters. Without a token, every request is a new one.

        Raises:
            StudioError: ValidationException for a token that is too long or empty;
                ConflictException for one that came before with other parameters.
        """
        if token is None:
            return None
        if not 1 <= len(token) <= 64:
            raise _invalid("a client token has 1 to 64 characters")
        before, subject = self._known.get((target, token), (asked, None))
        if before != asked:
            raise StudioError(
                "ConflictException", "this client token was used with other parameters before"
            )
        return subject

    def remember(self, token: str | None, target: Hashable, asked: Hashable, subject: Any) -> None:
        """Keep what a request was about, to be returned when it is repeated."""
        if token is not None:
            self._known[target, token] = (asked, subject)


def _invalid(message: str) -> StudioError:
    return StudioError("ValidationException", message)


def _missing(noun: str, resource_id: str) -> StudioError:
    return StudioError("ResourceNotFoundException", f"there is no {noun} {resource_id}")


def _check_choice(member: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise _invalid(f"{member} {value!r} must be one of {', '.join(known)}")


def _check_image_id(value: str) -> None:
    if not (len(value) <= 22 and set(value) <= {*_ALPHABET, "-", "_"}):
        raise _invalid(
            f"streamingImageId {value!r} must have at most 22 letters, digits, hyphens "
            "and underscores"
        )
