"""Twilio's Media Streams protocol, sans-IO: text in, events out; intents in, text out.

Source: https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

import binascii
import json
import re
from dataclasses import dataclass, field

from agent.errors import ProtocolError

MAX_MESSAGE_BYTES = 65_536
"""Longest message that is read, in bytes of UTF-8; a server in front should refuse longer ones too."""

MAX_AHEAD_MS = 600_000
"""How far beyond the latest audio a message may lie: a hole in the audio that is still believed."""

MAX_BEHIND_MS = 5_000
"""How far before the latest audio a message may lie: late by reordering, not by a broken clock."""

MAX_TIMESTAMP_MS = 86_400_000
"""The longest call Twilio allows (24 h); no audio is later than that."""

_MAX_NUMBER = 2**53
_SID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_KEYS = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Connected:
    """The socket speaks the protocol, in this version; no call is known yet."""

    version: str


@dataclass(frozen=True, slots=True)
class Started:
    """Whose call this is. `parameters` come from our TwiML, a token among them, so `repr` omits them."""

    stream_sid: str
    call_sid: str
    account_sid: str
    tracks: tuple[str, ...]
    parameters: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Audio:
    """A chunk of the caller's voice: G.711 mu-law at 8000 Hz, mono, never empty, of any length.

    `timestamp_ms` is where it begins on the stream's media clock. `chunk` counts media messages and
    `sequence` all messages, each by one from 1: a gap in `chunk` is audio that was lost.
    """

    ulaw: bytes = field(repr=False)
    timestamp_ms: int
    sequence: int
    chunk: int
    track: str


@dataclass(frozen=True, slots=True)
class Played:
    """Everything sent before this mark has been played, or was dropped by `clear`."""

    mark: str


@dataclass(frozen=True, slots=True)
class Digit:
    """The caller pressed a key: 0-9, *, #, A-D."""

    digit: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The carrier ended the stream; it says no more."""

    call_sid: str


Event = Connected | Started | Audio | Played | Digit | Stopped


class MediaStream:
    """One bidirectional stream: `connected`, `start`, then media, marks and keys, then `stop`.

    A `ProtocolError` changes nothing: the next message is judged as if the bad one had not come.

    Refused: a binary frame; a message over `MAX_MESSAGE_BYTES`; what is not one JSON object with an `event`
    (NaN and Infinity, bottomless nesting and endless numbers are not JSON); a field that is missing, of
    the wrong type or out of range; anything but mu-law at 8000 Hz, mono; a payload that is empty or not
    base64; `start` before `connected`, either of them twice, anything else before `start`; another stream's
    `streamSid`, another call's `stop`; audio more than `MAX_BEHIND_MS` before or `MAX_AHEAD_MS` after the
    latest, or in the future; anything at all after `stop`.

    Tolerated: numbers as strings and strings as numbers where the field is a number; fields we do not use,
    whatever they hold; repeated, skipped and reordered sequence numbers and chunks (a jitter buffer's
    business); `customParameters` beside `start` instead of inside, or absent; marks that we never sent or
    no longer care for. Ignored, and counted in `ignored`: events we do not know, audio of other tracks.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self._connected = False
        self._started: Started | None = None
        self._stopped = False
        self._latest_ms = 0
        self._media_head = ""

    @property
    def started(self) -> Started | None:
        """Whose call this is, once `start` has come."""
        return self._started

    def receive(self, text: str | bytes, *, until_ms: int | None = None) -> Event | None:
        """Reads one websocket message; None if it was ignored. Raises ProtocolError.

        `until_ms`: no audio can begin later than that on the media clock, if the caller knows.
        """
        if self._stopped:
            raise ProtocolError("a message came after stop")
        message = _object_of(text)
        match message.get("event"):
            case "media":
                return self._media(message, until_ms)
            case "mark":
                self._our_stream(message)
                return Played(_text(_object(message, "mark"), "name"))
            case "dtmf":
                return self._dtmf(message)
            case "connected":
                return self._connect(message)
            case "start":
                return self._start(message)
            case "stop":
                return self._stop(message)
            case str():
                self.ignored += 1
                return None
            case _:
                raise ProtocolError("the message has no event name")

    def play(self, ulaw: bytes) -> str:
        """The message that queues mu-law audio (8000 Hz, mono, no file header) behind what was sent before.

        Raises ProtocolError before `start`, and if there is no audio in it.
        """
        if self._started is None:
            raise ProtocolError("audio cannot be sent before start")
        if not ulaw:
            raise ProtocolError("there is no audio to play")
        return f'{self._media_head}{binascii.b2a_base64(ulaw, newline=False).decode("ascii")}"}}}}'

    def mark(self, name: str) -> str:
        """The message whose echo says that everything sent before it has been played.

        The echo comes at once if nothing is waiting. Raises ProtocolError before `start`, and without a name.
        """
        if not name:
            raise ProtocolError("a mark needs a name")
        return self._intent({"event": "mark", "mark": {"name": name}})

    def clear(self) -> str:
        """The message that drops unplayed audio; the marks behind it are then echoed as if played.

        Raises ProtocolError before `start`.
        """
        return self._intent({"event": "clear"})

    def _intent(self, message: dict[str, object]) -> str:
        if self._started is None:
            raise ProtocolError("nothing can be sent before start")
        return json.dumps({**message, "streamSid": self._started.stream_sid})

    def _our_stream(self, message: dict[str, object]) -> Started:
        if self._started is None:
            raise ProtocolError("a message of the call came before start")
        if message.get("streamSid") != self._started.stream_sid:
            raise ProtocolError("streamSid is missing or another stream's")
        return self._started

    def _connect(self, message: dict[str, object]) -> Connected:
        if self._connected:
            raise ProtocolError("connected came twice")
        event = Connected(version=_text(message, "version"))
        self._connected = True
        return event

    def _start(self, message: dict[str, object]) -> Started:
        if not self._connected:
            raise ProtocolError("start came before connected")
        if self._started is not None:
            raise ProtocolError("start came twice")
        start = _object(message, "start")
        stream_sid = _sid(message, "streamSid")
        if start.get("streamSid", stream_sid) != stream_sid:
            raise ProtocolError("start names two streams")
        _require_telephone_audio(_object(start, "mediaFormat"))
        self._started = Started(
            stream_sid=stream_sid,
            call_sid=_sid(start, "callSid"),
            account_sid=_sid(start, "accountSid"),
            tracks=_texts(start, "tracks"),
            parameters=_parameters(start if "customParameters" in start else message),
        )
        self._media_head = f'{{"event":"media","streamSid":"{stream_sid}","media":{{"payload":"'
        return self._started

    def _media(self, message: dict[str, object], until_ms: int | None) -> Audio | None:
        self._our_stream(message)
        media = _object(message, "media")
        track = _text(media, "track")
        if track != "inbound":
            self.ignored += 1
            return None
        timestamp_ms = _number(media, "timestamp", MAX_TIMESTAMP_MS)
        if not self._latest_ms - MAX_BEHIND_MS <= timestamp_ms <= self._latest_ms + MAX_AHEAD_MS:
            raise ProtocolError("timestamp leaps away from the audio before it")
        if until_ms is not None and timestamp_ms > until_ms:
            raise ProtocolError("timestamp lies in the future")
        event = Audio(
            ulaw=_base64(media, "payload"),
            timestamp_ms=timestamp_ms,
            sequence=_number(message, "sequenceNumber"),
            chunk=_number(media, "chunk"),
            track=track,
        )
        self._latest_ms = max(self._latest_ms, timestamp_ms)
        return event

    def _dtmf(self, message: dict[str, object]) -> Digit:
        self._our_stream(message)
        digit = _text(_object(message, "dtmf"), "digit")
        if digit not in _KEYS:
            raise ProtocolError("digit is no key of a telephone")
        return Digit(digit)

    def _stop(self, message: dict[str, object]) -> Stopped:
        started = self._our_stream(message)
        if _object(message, "stop").get("callSid") != started.call_sid:
            raise ProtocolError("stop is missing its callSid or names another call")
        self._stopped = True
        return Stopped(started.call_sid)


def _not_json(constant: str) -> float:
    raise ValueError(constant)


_JSON = json.JSONDecoder(parse_constant=_not_json)


def _object_of(text: str | bytes) -> dict[str, object]:
    if not isinstance(text, str):
        raise ProtocolError("a binary frame came", hint="Media Streams sends text frames only")
    if _length_bytes(text) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message is longer than {MAX_MESSAGE_BYTES} bytes")
    try:
        message = _JSON.decode(text)
    except (ValueError, RecursionError):
        # The cause would quote the message, and with it the caller's voice or a token.
        raise ProtocolError("a message is not JSON") from None
    if not isinstance(message, dict):
        raise ProtocolError("a message is not a JSON object")
    return message


def _length_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _object(fields: dict[str, object], name: str) -> dict[str, object]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise ProtocolError(f"{name} is missing or not an object")
    return value


def _string(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"{name} is missing or not a string")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ProtocolError(f"{name} holds half a character")
    return value


def _text(fields: dict[str, object], name: str) -> str:
    text = _string(fields.get(name), name)
    if not text:
        raise ProtocolError(f"{name} is empty")
    return text


def _texts(fields: dict[str, object], name: str) -> tuple[str, ...]:
    values = fields.get(name)
    if not isinstance(values, list):
        raise ProtocolError(f"{name} is missing or not a list")
    return tuple(_string(value, name) for value in values)


def _sid(fields: dict[str, object], name: str) -> str:
    sid = _text(fields, name)
    if not _SID.fullmatch(sid):
        raise ProtocolError(f"{name} is no identifier")
    return sid


def _number(fields: dict[str, object], name: str, maximum: int = _MAX_NUMBER) -> int:
    value = fields.get(name)
    if isinstance(value, str) and len(value) <= 16 and value.isascii() and value.isdecimal():
        value = int(value)
    if type(value) is not int:
        raise ProtocolError(f"{name} is missing or not a whole number")
    if not 0 <= value <= maximum:
        raise ProtocolError(f"{name} is out of range")
    return value


def _base64(fields: dict[str, object], name: str) -> bytes:
    try:
        octets = binascii.a2b_base64(_text(fields, name), strict_mode=True)
    except ValueError:
        raise ProtocolError(f"{name} is not base64") from None
    if not octets:
        raise ProtocolError(f"{name} is empty")
    return octets


def _parameters(fields: dict[str, object]) -> dict[str, str]:
    if "customParameters" not in fields:
        return {}
    parameters = _object(fields, "customParameters")
    return {
        _string(name, "customParameters"): _string(value, "customParameters")
        for name, value in parameters.items()
    }


def _require_telephone_audio(media_format: dict[str, object]) -> None:
    encoding = _text(media_format, "encoding")
    rate_hz, channels = _number(media_format, "sampleRate"), _number(media_format, "channels")
    if (encoding, rate_hz, channels) != ("audio/x-mulaw", 8000, 1):
        raise ProtocolError(
            "mediaFormat is not audio/x-mulaw at 8000 Hz with 1 channel",
            hint="leave audioFormat and sampleRate out of <Stream>",
        )
