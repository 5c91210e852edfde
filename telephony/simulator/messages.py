"""The messages of Twilio Media Streams, seen from the carrier.

https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from telephony.simulator.sound import FRAME_MS

INVALID_MESSAGE = 31951
BINARY_MESSAGE = 31950

_AUDIO_FILE_HEADERS = {b"RIFF": "RIFF (wav)", b"ID3": "ID3 (mp3)", b"OggS": "Ogg", b"fLaC": "FLAC"}


@dataclass(frozen=True, slots=True)
class PlayMedia:
    """Audio for the handset: raw mu-law at 8 kHz."""

    ulaw: bytes


@dataclass(frozen=True, slots=True)
class SetMark:
    """A request for a receipt once everything sent before has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class ClearBuffer:
    """A request to drop what has not been played."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message from the application was not obeyed.

    `code` is the warning that Twilio writes once a stream; `wrong_stream` tells a stale `streamSid` apart.
    """

    reason: str
    code: int = INVALID_MESSAGE
    wrong_stream: bool = False


def read_message(message: str | bytes, stream_sid: str) -> PlayMedia | SetMark | ClearBuffer | Refusal:
    """Judges what the application sent on the stream `stream_sid`."""
    if isinstance(message, bytes):
        return Refusal("a binary message", BINARY_MESSAGE)
    try:
        document = json.loads(message)
    except (ValueError, RecursionError):
        return Refusal("not JSON")
    if not isinstance(document, dict):
        return Refusal("not a JSON object")
    event = document.get("event")
    if event not in ("media", "mark", "clear"):
        return Refusal(f"event {event!r:.40} is none of media, mark, clear")
    if not isinstance(document.get("streamSid"), str):
        return Refusal(f"{event} without streamSid")
    if document["streamSid"] != stream_sid:
        return Refusal(f"{event} for another stream, {document['streamSid']!r:.40}", wrong_stream=True)
    if event == "clear":
        return ClearBuffer()
    body = document.get(event)
    if not isinstance(body, dict):
        return Refusal(f"{event} without its {event} object")
    return _read_media(body) if event == "media" else _read_mark(body)


def _read_media(body: Mapping[str, object]) -> PlayMedia | Refusal:
    payload = body.get("payload")
    if not isinstance(payload, str):
        return Refusal("media without payload")
    try:
        return PlayMedia(base64.b64decode(payload, validate=True))
    except (binascii.Error, ValueError):
        return Refusal("media payload is not base64")


def _read_mark(body: Mapping[str, object]) -> SetMark | Refusal:
    name = body.get("name")
    return SetMark(name) if isinstance(name, str) and name else Refusal("mark without name")


def audio_file_header(ulaw: bytes) -> str | None:
    """The kind of audio file that a payload starts with, which is heard as a click; None if it is raw."""
    return next((kind for start, kind in _AUDIO_FILE_HEADERS.items() if ulaw.startswith(start)), None)


@dataclass(frozen=True, slots=True)
class StreamIdentity:
    """Who a stream is. `tracks` are "inbound" and/or "outbound"; `name` defaults to the sid."""

    account_sid: str
    call_sid: str
    stream_sid: str
    tracks: tuple[str, ...] = ("inbound",)
    parameters: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


class Announcer:
    """Words the carrier's messages of one stream, with their counters.

    The documentation leaves open whether the tracks of a fork share counters; here `chunk` counts the
    messages of both, and `timestamp` is the presentation time of each.
    """

    def __init__(self, identity: StreamIdentity) -> None:
        self._identity = identity
        self._sequence = 0
        self._chunk = 0

    def connected(self) -> str:
        """The first message; it has neither sid nor sequence number."""
        return json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self) -> str:
        """What the stream is."""
        identity = self._identity
        return self._message(
            "start",
            {
                "accountSid": identity.account_sid,
                "callSid": identity.call_sid,
                "streamSid": identity.stream_sid,
                "tracks": list(identity.tracks),
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": dict(identity.parameters),
            },
        )

    def media(self, track: str, frame_index: int, ulaw: bytes) -> str:
        """One 20 ms frame of `track`, the `frame_index`th since the stream began."""
        self._chunk += 1
        return self._message(
            "media",
            {
                "track": track,
                "chunk": str(self._chunk),
                "timestamp": str(frame_index * FRAME_MS),
                "payload": base64.b64encode(ulaw).decode(),
            },
        )

    def dtmf(self, digit: str) -> str:
        """A key pressed on the handset. The track's name has a suffix here and nowhere else."""
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        """The receipt for a mark."""
        return self._message("mark", {"name": name})

    def stop(self) -> str:
        """The end of the stream, when the carrier ends it."""
        return self._message(
            "stop", {"accountSid": self._identity.account_sid, "callSid": self._identity.call_sid}
        )

    def _message(self, event: str, body: Mapping[str, object]) -> str:
        self._sequence += 1
        return json.dumps(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                "streamSid": self._identity.stream_sid,
                event: body,
            }
        )
