"""What reaches the recogniser of a telephone call, and who speaks in these tests."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.scenario import load_scenario
from agent.speech import Speech
from audio import ulaw
from audio.resample import Upsampler
from pipelines.engines.telephone import to_telephone

REPOSITORY = Path(__file__).parents[2]
COLD_CALL = load_scenario(REPOSITORY / "scenarios" / "cold-call.yaml")
MODELS = REPOSITORY / "models"
TWO_TONGUES = REPOSITORY / "tests" / "models" / "two-tongues"
"""A Whisper model to which low tones are English and high tones Spanish: see make_two_tongues.py there."""

_PRE_ROLL = np.zeros(2_400, np.int16)


def over_the_telephone(speech: Speech) -> NDArray[np.float32]:
    """`speech` with 0.3 s of silence around it through mu-law at 8 kHz: float32 at 16 kHz."""
    samples = np.concatenate([_PRE_ROLL, to_telephone(speech).samples, _PRE_ROLL])
    return Upsampler().process(ulaw.decode(ulaw.encode(samples))).astype(np.float32) / np.float32(32_768)
