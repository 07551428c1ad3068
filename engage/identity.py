"""Who a page may speak for: what a project's identity verification lets through at the door and at an inbox.

`off` refuses nothing and only counts; `inbox` refuses to read a userId's messages without proof; `all` also takes no event
for an unproven userId: it is the anonymous person's, or it is put aside. A server, with the secret key, is believed.
"""

import math
import time
from typing import Any, Final

import msgspec
from msgspec import Raw

from engage.errors import EngageError, Forbidden
from engage.privacy import Policy
from engage.projects import Project
from engage.verification import Proof, Verifier
from engage.verified import INVALID, NONE, VALID, Figure
from engage.wire import LogRecord, WireEvent, identifier, without, without_proof
from rules import SERVER, SIGNED, UNPROVEN

_TIMES: Final = ("timestamp", "originalTimestamp", "sentAt")


class Request:
    """What one request's events have in common, and what becomes of them."""

    __slots__ = ("_proofs", "given_hash", "given_token", "now", "policy", "records", "trusted")

    def __init__(self, trusted: bool, given_hash: Any = None, given_token: Any = None) -> None:
        self.trusted = trusted  # it came with the secret key
        self.given_hash = given_hash
        self.given_token = given_token
        self.now = time.time()
        self.policy: Policy | None = None  # of privacy: what a token says is kept by it too
        self.records: list[LogRecord] = []
        self._proofs: list[Proof] = []

    def say(self, proof: Proof, record: LogRecord, event: WireEvent) -> None:
        """What a token itself says goes before the event that brought it, and bears its time."""
        if proof in self._proofs:
            return
        self._proofs.append(proof)
        times = {name: value for name in _TIMES if (value := getattr(event, name)) is not None}
        for signed in proof.signed:
            said = msgspec.json.encode({**msgspec.json.decode(signed), **times}) if times else signed
            if self.policy is not None:
                said = self.policy.event(said)
            self.records.append(LogRecord(record.p, record.r, Raw(said), s=record.s, v=SIGNED))

    def logged(self) -> None:
        """The records are on disk: what the tokens say need not be said again by this process."""
        for proof in self._proofs:
            proof.signed = ()


class Identity:
    """One project's identity verification in one process. Without a secret everybody is believed and nobody counted."""

    def __init__(self, project: Project) -> None:
        secrets = project.identity_secrets
        self.verifier = Verifier(secrets) if secrets else None
        self.guards_inbox = bool(secrets) and project.identity_enforce != "off"
        self.guards_all = bool(secrets) and project.identity_enforce == "all"
        self.figure = Figure(project.id)

    def admit(self, record: LogRecord, event: WireEvent, request: Request) -> EngageError | None:
        """Adds the record to the request's, as what it may count for; or says why it may not."""
        given_hash, given_token, context = event.userHash, event.userToken, event.context
        if context is not None:
            if given_hash is None:
                given_hash = context.userHash
            if given_token is None:
                given_token = context.userToken
        if given_hash is not None or given_token is not None:
            record.e = Raw(without_proof(bytes(record.e), event))
        if request.trusted:
            record.v = SERVER
        elif self.verifier is not None:
            if given_hash is None:
                given_hash = request.given_hash
            if given_token is None:
                given_token = request.given_token
            if (refusal := self._verify(self.verifier, record, event, given_hash, given_token, request)) is not None:
                return refusal
        request.records.append(record)
        return None

    def _verify(
        self,
        verifier: Verifier,
        record: LogRecord,
        event: WireEvent,
        given_hash: Any,
        given_token: Any,
        request: Request,
    ) -> EngageError | None:
        if record.p.startswith("u:"):
            user = record.p[2:]
            proof = verifier.proof(user, given_hash, given_token, request.now)
            if proof is not None:
                self.figure.note(VALID, user)
                record.v = proof.by
                if proof.signed:
                    request.say(proof, record, event)
            else:
                self.figure.note(NONE if given_hash is None and given_token is None else INVALID, user)
                if self.guards_all:
                    if (anonymous := identifier(event.anonymousId, "anonymousId")) is None:
                        return _in_event(verifier.refusal(user, given_hash, given_token))
                    record.p = "a:" + anonymous
                    record.e = Raw(without(record.e, ("userId",)))
        if self.guards_inbox and (record.k or event.type) == "alias":
            if self.guards_all:
                return _unproven_alias(record, event)
            record.v = record.v or UNPROVEN
        return None

    def reader(self, user: str, given_hash: Any, given_token: Any) -> float:
        """Until when (seconds since the epoch) these let somebody read the user's messages. Raises Forbidden."""
        if self.verifier is None:
            return math.inf
        proof = self.verifier.proof(user, given_hash, given_token, time.time())
        if proof is not None:
            self.figure.note(VALID, user)
            return proof.until if self.guards_inbox else math.inf
        self.figure.note(NONE if given_hash is None and given_token is None else INVALID, user)
        if self.guards_inbox:
            raise self.verifier.refusal(user, given_hash, given_token)
        return math.inf

    def holder(self, person: str, user: Any, given_hash: Any, given_token: Any) -> None:
        """Raises Forbidden for who may not take the person's deliveries: those of a userId are for who proves it."""
        if not self.guards_all or not person.startswith("u:"):
            return
        if user != person[2:]:
            raise Forbidden(
                "the userId that the delivery is for, with its proof",
                "none" if user is None else "another",
                field="userId",
            )
        self.reader(user, given_hash, given_token)


def _in_event(error: Forbidden) -> Forbidden:
    error.field = f"$.{error.field}"
    return error


def _unproven_alias(record: LogRecord, event: WireEvent) -> EngageError | None:
    """A page may give over the history of the anonymous visitor it had, and of nobody else."""
    previous = identifier(event.previousId, "previousId")
    if record.v is not None:
        if previous == identifier(event.anonymousId, "anonymousId"):
            return None
        hint = "send it from your server, with the secret key"
        return Forbidden(
            "the event's own anonymousId: another id is not proven", "another", field="$.previousId", hint=hint
        )
    # Nobody's userId stands here: whatever it names is not linked.
    record.e = Raw(without(record.e, ("previousId",)))
    return None
