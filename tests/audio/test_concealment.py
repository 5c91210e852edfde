"""Packet loss concealment: what is heard where nothing arrived."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.blocks import BLOCK, RATE_HZ, Block
from audio.comfort_noise import ComfortNoise
from audio.concealment import CONCEALERS, Concealer
from audio.linear_prediction import predictor
from audio.pitch import likeness, period

METHODS = sorted(CONCEALERS)
MS = RATE_HZ // 1_000


def vowel(blocks: int, pitch_hz: float = 117.0, glide_hz_per_s: float = 0.0) -> Block:
    """Harmonics of a pitch under two formants, at -18 dBFS; shape (blocks, BLOCK)."""
    time_s = np.arange(blocks * BLOCK) / RATE_HZ
    phase = 2 * np.pi * (pitch_hz * time_s + glide_hz_per_s * time_s**2 / 2)
    sound = np.zeros(len(time_s))
    for n in range(1, int(3_400 / pitch_hz)):
        strength = 1 / (1 + ((n * pitch_hz - 600) / 150) ** 2) + 0.3 / (
            1 + ((n * pitch_hz - 1_500) / 200) ** 2
        )
        sound += strength * np.sin(n * phase + n * n)
    return np.asarray(sound * 0.126 / np.sqrt(np.mean(sound**2)), np.float32).reshape(blocks, BLOCK)


def noise(blocks: int, dbfs: float, seed: int = 1) -> Block:
    """Low-pass noise; shape (blocks, BLOCK)."""
    white = np.random.default_rng(seed).standard_normal(blocks * BLOCK + 2)
    sound = white[2:] + 0.8 * white[1:-1] + 0.3 * white[:-2]
    return np.asarray(sound * 10 ** (dbfs / 20) / sound.std(), np.float32).reshape(blocks, BLOCK)


def heard(concealer: Concealer, sent: Block, lost: Iterable[int]) -> Block:
    """What is played of the blocks sent; shape as theirs."""
    gone = set(lost)
    return np.array(
        [concealer.lost() if n in gone else concealer.good(block) for n, block in enumerate(sent)]
    )


def largest_step(sound: Block) -> float:
    return float(np.abs(np.diff(sound.reshape(-1))).max())


def level_dbfs(sound: Block) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


def test_every_method_that_can_be_chosen_adds_no_delay() -> None:
    assert {name: make().delay_samples for name, make in CONCEALERS.items()} == dict.fromkeys(
        ("repeat", "linear", "spectral", "waveform"), 0
    )


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_is_lost_every_block_is_heard_bit_for_bit(method: str) -> None:
    sent = noise(300, -20)
    assert np.array_equal(heard(CONCEALERS[method](), sent, ()), sent)


@pytest.mark.parametrize("method", METHODS)
def test_only_the_first_three_milliseconds_after_a_gap_are_touched(method: str) -> None:
    sent = vowel(20)
    played = heard(CONCEALERS[method](), sent, (8, 12, 13))
    sent[[8, 12, 13]] = played[[8, 12, 13]]
    sent[[9, 14], : 3 * MS] = played[[9, 14], : 3 * MS]
    assert np.array_equal(played, sent)


CONTENTS = st.sampled_from(("silence", "square", "impulses", "noise", "vowel", "loudest"))


def content(kind: str, blocks: int, seed: int) -> Block:
    random = np.random.default_rng(seed)
    found: Any
    match kind:
        case "silence":
            found = np.zeros(blocks * BLOCK)
        case "square":
            found = np.where(np.arange(blocks * BLOCK) // random.integers(1, 90) % 2, 1.0, -1.0)
        case "impulses":
            found = np.where(random.random(blocks * BLOCK) < 0.01, 1.0, 0.0)
        case "noise":
            found = random.uniform(-1, 1, blocks * BLOCK)
        case "vowel":
            found = vowel(blocks, float(random.uniform(60, 400)))
        case _:
            found = np.full(blocks * BLOCK, 1.0)
    return np.asarray(found, np.float32).reshape(blocks, BLOCK)


@settings(max_examples=60, deadline=None)
@given(
    method=st.sampled_from(METHODS),
    kinds=st.lists(CONTENTS, min_size=1, max_size=4),
    pattern=st.lists(st.sampled_from(("good", "lost", "lost, next is here")), min_size=1, max_size=60),
    scale=st.sampled_from((1.0, 1e-3, 1e-20, 1e-38)),
    seed=st.integers(0, 1_000),
)
def test_whatever_is_sent_and_lost_a_block_within_full_scale_is_heard(
    method: str, kinds: list[str], pattern: list[str], scale: float, seed: int
) -> None:
    parts = [content(kind, 1 + len(pattern) // len(kinds), seed + n) for n, kind in enumerate(kinds)]
    sent = np.concatenate(parts) * np.float32(scale)
    concealer = CONCEALERS[method]()
    for n, event in enumerate(pattern):
        following = sent[(n + 1) % len(sent)] if "next" in event else None
        block = concealer.good(sent[n]) if event == "good" else concealer.lost(following)
        assert block.shape == (BLOCK,) and block.dtype == np.float32
        assert np.all(np.abs(block) <= 1), "finite, and not beyond full scale"


@pytest.mark.parametrize("method", ["spectral", "waveform"])
def test_what_is_made_up_of_the_loudest_sound_is_no_louder(method: str) -> None:
    played = [heard(CONCEALERS[method](), content("noise", 20, seed), (6, 7, 12)) for seed in range(30)]
    assert np.abs(played).max() <= 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pitch_hz", [91.0, 117.0, 203.0])
@pytest.mark.parametrize("lost", [(10,), (10, 11), (10, 11, 12, 13, 14, 15)])
def test_neither_loss_nor_return_clicks(method: str, pitch_hz: float, lost: tuple[int, ...]) -> None:
    sent = vowel(24, pitch_hz)
    assert largest_step(heard(CONCEALERS[method](), sent, lost)) < 1.25 * largest_step(sent)


@pytest.mark.parametrize("method", ["spectral", "waveform"])
@pytest.mark.parametrize("pitch_hz", [91.0, 117.0, 160.0])
def test_a_vowel_goes_on_at_its_pitch(method: str, pitch_hz: float) -> None:
    sent = vowel(24, pitch_hz)
    played = heard(CONCEALERS[method](), sent, (12,))[12, : 15 * MS]
    assert np.corrcoef(played, sent[12, : 15 * MS])[0, 1] > 0.9


def test_linear_prediction_knows_the_first_milliseconds() -> None:
    sent = vowel(24)
    played = heard(CONCEALERS["linear"](), sent, (12,))[12, : 2 * MS]
    assert np.corrcoef(played, sent[12, : 2 * MS])[0, 1] > 0.7


def test_a_hiss_does_not_become_a_tone() -> None:
    played = heard(CONCEALERS["spectral"](), noise(24, -20), (12, 13, 14))[12:15].reshape(-1)
    assert likeness(played, 2 * BLOCK, 32, 150).max() < 0.5


@pytest.mark.parametrize("method", METHODS)
def test_a_long_gap_fades_into_the_background(method: str) -> None:
    sent = noise(140, -52)
    sent[40:60] += vowel(20)
    sent[80:100] += vowel(20)
    played = heard(CONCEALERS[method](), sent, range(100, 130))
    assert -56 < level_dbfs(played[108:130]) < -51.5


@pytest.mark.parametrize("method", METHODS)
def test_a_gap_on_a_digitally_silent_line_ends_in_digital_silence(method: str) -> None:
    sent = np.concatenate((np.zeros((80, BLOCK), np.float32), vowel(20), np.zeros((30, BLOCK), np.float32)))
    assert not heard(CONCEALERS[method](), sent, range(100, 120))[108:120].any()


@pytest.mark.parametrize("method", METHODS)
def test_where_no_background_was_heard_yet_a_long_gap_is_silent(method: str) -> None:
    assert not heard(CONCEALERS[method](), noise(30, -30), range(10, 30))[18:].any()


@pytest.mark.parametrize("method", METHODS)
def test_the_background_is_not_forgotten_in_an_outage(method: str) -> None:
    sent = noise(320, -50)
    played = heard(CONCEALERS[method](), sent, [*range(60, 260), *range(264, 300)])
    assert -54 < level_dbfs(played[272:300]) < -49.5


def test_comfort_noise_sounds_like_the_background_and_never_loud() -> None:
    comfort = ComfortNoise()
    comfort.learn(noise(60, -45))
    made = np.concatenate([comfort.next() for _ in range(100)])
    window = np.ones(len(made), np.float32)
    background = noise(100, -45).reshape(-1)
    assert np.allclose(predictor(made, window, 2), predictor(background, window, 2), atol=0.2)
    comfort.learn(noise(60, -10))
    assert level_dbfs(np.concatenate([comfort.next() for _ in range(50)])) < -34


@pytest.mark.parametrize("method", METHODS)
def test_after_a_reset_the_same_call_sounds_the_same(method: str) -> None:
    sent, lost = noise(90, -40), (3, 4, 5, 20, 50, 51, 52, 53, 54, 55, 56, 57)
    concealer = CONCEALERS[method]()
    first = heard(concealer, sent, lost)
    concealer.reset()
    assert np.array_equal(heard(concealer, sent, lost), first)


def error(sent: Block, played: Block) -> float:
    return float(np.mean((sent - played) ** 2))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("glide_hz_per_s", [150.0, -150.0])
def test_the_next_block_tells_where_a_gliding_pitch_went(method: str, glide_hz_per_s: float) -> None:
    sent = vowel(24, 130, glide_hz_per_s)
    blind, seeing = CONCEALERS[method](), CONCEALERS[method]()
    for block in sent[:12]:
        blind.good(block)
        seeing.good(block)
    known = seeing.lost(sent[13])
    share = {"linear": 0.7, "repeat": 0.6, "spectral": 0.25, "waveform": 0.25}[method]
    assert error(sent[12], known) < share * error(sent[12], blind.lost())
    assert np.array_equal(seeing.good(sent[13]), sent[13]), "it was led to already"
    assert largest_step(np.concatenate((sent[11], known, sent[13]))) < 1.25 * largest_step(sent)


@pytest.mark.parametrize("method", METHODS)
def test_it_does_not_click_if_another_block_comes_than_was_announced(method: str) -> None:
    sent = vowel(24)
    concealer = CONCEALERS[method]()
    played = [concealer.good(block) for block in sent[:12]]
    played += [concealer.lost(sent[13]), concealer.lost(), concealer.good(sent[15])]
    assert largest_step(np.array(played)) < 1.25 * largest_step(sent)


@pytest.mark.parametrize("samples", [40, 57, 99, 120])
def test_the_pitch_period_is_found_and_not_its_multiple(samples: int) -> None:
    sound = vowel(4, RATE_HZ / samples).reshape(-1)
    found, alike = period(sound, BLOCK, 32, 150)
    assert found == samples and alike > 0.95


def test_prediction_finds_the_filter_that_made_the_sound() -> None:
    white = np.random.default_rng(2).standard_normal(8_000)
    sound = np.zeros(8_000, np.float32)
    for n in range(2, 8_000):
        sound[n] = 1.2 * sound[n - 1] - 0.8 * sound[n - 2] + white[n]
    assert np.allclose(predictor(sound, np.ones(8_000, np.float32), 2), (1.2, -0.8), atol=0.03)
