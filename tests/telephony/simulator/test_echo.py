"""The echo of a simulated handset."""

import numpy as np
import pytest

from telephony.simulator.echo import Echo, EchoPath
from telephony.simulator.handset import Handset
from telephony.simulator.line import Line
from telephony.simulator.sound import FRAME_BYTES, SILENT_FRAME, decode_ulaw, encode_ulaw, noise


def carried(path: EchoPath, heard: np.ndarray, said: np.ndarray | None = None) -> np.ndarray:
    """What the line carries away while the handset hears, and says, something."""
    echo = Echo(path)
    said = np.zeros_like(heard) if said is None else said
    frames = range(0, len(heard), FRAME_BYTES)
    away = [
        echo.mix(encode_ulaw(said[at : at + FRAME_BYTES]), encode_ulaw(heard[at : at + FRAME_BYTES]))
        for at in frames
    ]
    return decode_ulaw(b"".join(away)).astype(np.float64)


@pytest.mark.parametrize(("loss_db", "delay_ms"), [(6, 0), (10, 180), (20, 613)])
def test_what_is_heard_comes_back_later_and_quieter_by_as_much_as_asked(loss_db: int, delay_ms: int) -> None:
    heard = noise(4_000, -15.0, seed=1)
    back = carried(EchoPath(loss_db, delay_ms, tail_ms=1), heard)
    delay = delay_ms * 8
    assert not back[:delay].any()
    found, true = back[delay:], decode_ulaw(encode_ulaw(heard))[: len(heard) - delay].astype(np.float64)
    assert 20 * np.log10(true.std() / found.std()) == pytest.approx(loss_db, abs=0.7)
    assert np.corrcoef(found, true)[0, 1] > 0.8


def test_the_trainee_is_heard_through_the_echo() -> None:
    said, heard = noise(1_000, -20.0, seed=2), noise(1_000, -20.0, seed=3)
    both = carried(EchoPath(30, 0), heard, said)
    assert np.corrcoef(both, said)[0, 1] > 0.98


def test_an_echo_dies_away_and_leaves_the_line_as_it_was() -> None:
    heard = np.concatenate([noise(400, -15.0, seed=4), np.zeros(8_000, np.int16)])
    assert not carried(EchoPath(6, 100), heard)[-1_600:].any()


def test_the_echo_is_on_the_line_and_not_in_what_the_trainee_said() -> None:
    class Persona:
        def play(self) -> bytes:
            return encode_ulaw(noise(20, -15.0, seed=5))

    class Ear:
        def __init__(self) -> None:
            self.heard = bytearray()

        def frame(self, said: bytes, heard: bytes) -> None:
            self.heard += said

    handset, ear = Handset(), Ear()
    line = Line(handset, EchoPath(10, 40))
    line.source = Persona()
    line.attach(ear)
    for _ in range(20):
        line.tick()
    assert bytes(ear.heard[: 2 * FRAME_BYTES]) == 2 * SILENT_FRAME
    assert decode_ulaw(ear.heard).any() and not handset.line_said.any()
