"""The error tree. `code` is stable: logs, the API and the command line show it.

RolecallError
├── ConfigError            a setting is wrong or missing
├── ScenarioError          a scenario file cannot be used
├── TelephonyError
│   ├── ProtocolError      the carrier sent what its own documentation rules out
│   ├── SignatureError     a request that the carrier did not sign
│   ├── TokenError         a stream token that is unknown, used, late or another call's
│   └── CarrierError       the carrier refused or could not do what we asked
├── EngineError
│   ├── EngineUnavailable  an engine cannot be loaded or reached
│   └── EngineFailed       an engine broke while working
├── StoreError             database, live state or recordings
├── AccountError           an account cannot be made or used
│   ├── NotSignedIn        no token, or one that opens nothing
│   └── NotAllowed         the account's role does not do this
├── NotFound               what is asked for does not exist, or not for who asks
├── ChannelUnavailable     a call cannot be started by this way
├── CallBusy               the persona is still answering
└── CallOver               nothing more can be said in this call
"""

from typing import ClassVar


class RolecallError(Exception):
    """Base class: a `message` that names the thing, and a `hint` that names the way out."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class ConfigError(RolecallError):
    """A setting is wrong, unknown or missing."""

    code = "config"


class ScenarioError(RolecallError):
    """A scenario does not exist or breaks a rule of the scenario format."""

    code = "scenario"


class TelephonyError(RolecallError):
    """Anything that goes wrong between us and a carrier."""

    code = "telephony"


class ProtocolError(TelephonyError):
    """The carrier sent something its own documentation rules out."""

    code = "telephony_protocol"


class SignatureError(TelephonyError):
    """A request or handshake that does not carry the carrier's signature."""

    code = "telephony_signature"


class TokenError(TelephonyError):
    """A stream token that is unknown, used, expired or bound to another call."""

    code = "telephony_token"


class CarrierError(TelephonyError):
    """The carrier refused, or could not be reached for, something we asked of it."""

    code = "telephony_carrier"


class EngineError(RolecallError):
    """Anything that goes wrong in speech recognition, wording or speech synthesis."""

    code = "engine"


class EngineUnavailable(EngineError):
    """An engine cannot be loaded or reached on this machine, and why."""

    code = "engine_unavailable"


class EngineFailed(EngineError):
    """An engine that was loaded broke, or took too long, on one piece of work."""

    code = "engine_failed"


class EngineTimedOut(EngineFailed):
    """An engine did not finish one piece of work in the time that a telephone call has."""

    code = "engine_timed_out"


class StoreError(RolecallError):
    """Database, live state or recordings cannot be read or written."""

    code = "store"


class AccountError(RolecallError):
    """An account cannot be made, found or used."""

    code = "account"


class NotSignedIn(AccountError):
    """A request without a token, or with one that is unknown, expired, revoked or of a disabled account."""

    code = "not_signed_in"


class NotAllowed(AccountError):
    """The account is known, and its role does not do this."""

    code = "not_allowed"


class NotFound(RolecallError):
    """What is asked for does not exist, or is nothing that whoever asks may know of."""

    code = "not_found"


class ChannelUnavailable(RolecallError):
    """A call cannot be started by this way."""

    code = "channel_unavailable"


class CallBusy(RolecallError):
    """The persona is still answering the message before."""

    code = "call_busy"


class CallOver(RolecallError):
    """The call has ended, and nothing more can be said in it."""

    code = "call_ended"
