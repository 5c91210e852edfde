"""A trainee's voice as the detectors hear it: 16-bit PCM at 16 kHz in blocks of 20 ms."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from audio.resample import Upsampler
from tests.phone import spoken

COMPLETE = "Who do you order from today?"
UNFINISHED = "I wanted to ask you about the"
BLOCK_BYTES = 640


@cache
def wide(text: str) -> bytes:
    """`text`, with a tenth of a second of silence around it."""
    silence = np.zeros(800, np.int16)
    audio = Upsampler().process(np.concatenate([silence, spoken(text), silence])).tobytes()
    return audio + bytes(-len(audio) % BLOCK_BYTES)


def blocks(audio: bytes) -> list[bytes]:
    """The audio, block by block."""
    return [audio[at : at + BLOCK_BYTES] for at in range(0, len(audio), BLOCK_BYTES)]


def samples(audio: bytes) -> NDArray[np.float32]:
    """The audio as float32 in [-1, 1]."""
    return np.frombuffer(audio, np.int16).astype(np.float32) / np.float32(32_768)
