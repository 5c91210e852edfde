"""What a carrier sends on a media stream, as text."""

import base64
import json
from typing import Any

import numpy as np

from audio import ulaw
from telephony.media_stream import MediaStream

CALL = "CA" + "1" * 32
STREAM = "MZ" + "1" * 32
CONNECTED = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
START = json.dumps(
    {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": STREAM,
        "start": {
            "accountSid": "AC" + "1" * 32,
            "callSid": CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    }
)


def started() -> MediaStream:
    """A stream on which the call has begun."""
    stream = MediaStream()
    stream.receive(CONNECTED)
    stream.receive(START)
    return stream


def media(timestamp_ms: int, samples: np.ndarray | None = None) -> str:
    """The trainee's audio from `timestamp_ms` on, int16 at 8 kHz: 20 ms of silence, unless told otherwise."""
    chunk = ulaw.encode(np.zeros(160, np.int16) if samples is None else samples)
    return _message(
        "media",
        media={
            "track": "inbound",
            "chunk": str(timestamp_ms // 20 + 1),
            "timestamp": str(timestamp_ms),
            "payload": base64.b64encode(chunk).decode(),
        },
    )


def mark(name: str) -> str:
    """The receipt for everything sent before the mark."""
    return _message("mark", mark={"name": name})


def key(digit: str) -> str:
    """A key was pressed."""
    return _message("dtmf", dtmf={"track": "inbound_track", "digit": digit})


def stop() -> str:
    """The trainee has hung up."""
    return _message("stop", stop={"accountSid": "AC" + "1" * 32, "callSid": CALL})


def _message(event: str, **content: Any) -> str:
    return json.dumps({"event": event, "sequenceNumber": "2", "streamSid": STREAM, **content})
