"""How a simulated Twilio account is set up."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from agent.errors import ConfigError
from telephony.simulator.conditions import LineConditions
from telephony.simulator.sound import Samples, speech_burst

if TYPE_CHECKING:
    from telephony.simulator.calls import Call


class Outcome(StrEnum):
    """What becomes of a call to a number."""

    ANSWER = "answer"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Destination:
    """A number that can be dialled: what happens, and who drives the handset once it is picked up.

    `ring_ms` is how long it rings first; for a number that does not answer, None is the call's own limit.
    `answer` is cancelled when the call ends.
    """

    outcome: Outcome = Outcome.ANSWER
    ring_ms: int | None = None
    answer: "Callable[[Call], Awaitable[None]] | None" = None


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """One account, and the application that it talks to.

    `public_url`: the origin under which the application believes to be reached, and which is signed;
    `target`: where it really listens, over plain HTTP. `routes`: further such pairs.
    `cps`: calls placed a second; more are queued. `seed`: fixes sids and noise; None draws them.
    `voice`: text to int16 mono at 8 kHz, for `<Say>`; it may block. `status_callback`: of the numbers, so
    for inbound calls. `destinations`: by number; `elsewhere`: every other number, which by default answers
    at once and says nothing.
    `numbers`: those that may call out; none means any. `api_keys`: sid to secret, accepted as credentials.
    """

    account_sid: str
    auth_token: str
    public_url: str
    target: str
    conditions: LineConditions = LineConditions()
    cps: float = 1.0
    seed: int | None = None
    voice_path: str = "/twilio/voice"
    fallback_url: str | None = None
    status_callback: str | None = None
    routes: Mapping[str, str] = field(default_factory=dict)
    voice: Callable[[str], Samples] = speech_burst
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    elsewhere: Destination = Destination()
    numbers: frozenset[str] = frozenset()
    api_keys: Mapping[str, str] = field(default_factory=dict)
    noise_dbfs: float | None = None
    host: str = "127.0.0.1"
    port: int = 0

    def __post_init__(self) -> None:
        if self.cps <= 0:
            raise ConfigError(f"simulator cps={self.cps} is not above 0", hint="1 is Twilio's default")
