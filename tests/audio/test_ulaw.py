"""G.711 mu-law, against the definition in the Recommendation."""

import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio import ulaw


def test_every_code_survives_decoding_and_encoding() -> None:
    codes = bytes(code for code in range(256) if code != 0x7F)
    assert ulaw.encode(ulaw.decode(codes)) == codes


def test_negative_zero_becomes_positive_zero() -> None:
    assert ulaw.encode(ulaw.decode(b"\x7f")) == b"\xff"


def test_silence_is_zero_and_code_zero_is_full_scale() -> None:
    assert ulaw.decode(b"\xff\x7f\x00\x80").tolist() == [0, 0, -32_124, 32_124]


def test_the_decoder_has_the_output_levels_of_table_2a() -> None:
    levels = sorted(int(level) for level in ulaw.decode(bytes(range(128, 256))))
    assert levels[:4] == [0, 8, 16, 24]
    assert levels[16:18] == [132, 148]
    assert levels[-2:] == [31_100, 32_124]


def test_every_sample_comes_back_within_the_step_of_its_segment() -> None:
    samples = np.arange(-32_768, 32_768, dtype=np.int16)
    magnitude = np.abs(samples.astype(np.int32))
    error = np.abs(ulaw.decode(ulaw.encode(samples)).astype(np.int32) - samples)
    step = (magnitude + 132) / 16
    assert (error <= np.maximum(step, magnitude - 32_124)).all()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop left Python with 3.13")
def test_the_tables_agree_bit_by_bit_with_the_reference_coder_on_everything_there_is() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    every_sample = np.arange(-32_768, 32_768, dtype=np.int16)
    assert ulaw.encode(every_sample) == audioop.lin2ulaw(every_sample.tobytes(), 2)
    assert ulaw.decode(bytes(range(256))).tobytes() == audioop.ulaw2lin(bytes(range(256)), 2)


@given(st.binary(max_size=400))
def test_any_bytes_decode_to_as_many_samples(chunk: bytes) -> None:
    assert ulaw.decode(chunk).shape == (len(chunk),)
