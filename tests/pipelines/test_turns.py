"""Voice and melody: that all calls share the models, and each is heard as if alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.metrics.metrics import TurnMetricsData

from pipelines.turns import SmartTurn, TurnModels, VoiceDetector, load_turn_models
from tests.pipelines.trainee_audio import COMPLETE, UNFINISHED, blocks, samples, wide


@pytest.fixture(scope="module")
def models() -> Iterator[TurnModels]:
    with ThreadPoolExecutor(1) as thread:
        yield load_turn_models(thread)


def test_twenty_calls_add_no_model(models: TurnModels) -> None:
    for _ in range(20):
        assert SmartTurn(models)._analyzer._session is models.turn
        assert VoiceDetector(models)._model.session is models.vad


async def test_the_shared_turn_model_judges_as_pipecats_own_does(models: TurnModels) -> None:
    own, shared = LocalSmartTurnAnalyzerV3(), SmartTurn(models)
    own.set_sample_rate(16_000)
    for text in (COMPLETE, UNFINISHED):
        own.clear()
        for block in blocks(wide(text)):
            own.append_audio(block, is_speech=True)
        _, metrics = await own.analyze_end_of_turn()
        assert isinstance(metrics, TurnMetricsData)
        assert await shared.probability(samples(wide(text))) == pytest.approx(metrics.probability, abs=1e-3)
    await own.cleanup()


async def test_nothing_said_can_be_judged(models: TurnModels) -> None:
    assert 0.0 <= await SmartTurn(models).probability(np.zeros(0, np.float32)) <= 1.0


def test_the_end_of_a_sound_is_noticed_within_two_blocks(models: TurnModels) -> None:
    detector = VoiceDetector(models)
    speech = blocks(wide(COMPLETE))
    heard = [detector.process(block) for block in speech + [bytes(640)] * 20]
    loud = [index for index, block in enumerate(speech) if np.abs(samples(block)).max() > 0.02]
    last = max(index for index, sounding in enumerate(heard) if sounding)
    assert abs(last - loud[-1]) <= 2


def test_silence_and_line_noise_are_no_speech(models: TurnModels) -> None:
    generator = np.random.default_rng(1)
    noise = np.rint(generator.normal(0, 60, 16_000 * 5)).astype(np.int16).tobytes()
    for audio in (bytes(16_000 * 4), noise):
        detector = VoiceDetector(models)
        assert not any(detector.process(block) for block in blocks(audio))


def test_callers_who_speak_at_the_same_time_are_heard_as_if_each_were_alone(models: TurnModels) -> None:
    audio = [blocks(wide(text) + bytes(16_000)) for text in (COMPLETE, UNFINISHED)]
    alone = []
    for each in audio:
        detector = VoiceDetector(models)
        alone.append([detector.process(block) for block in each])
    shared = [VoiceDetector(models) for _ in audio]
    heard: list[list[bool]] = [[], []]
    for step in range(max(map(len, audio))):
        for caller, detector in enumerate(shared):
            if step < len(audio[caller]):
                heard[caller].append(detector.process(audio[caller][step]))
    assert heard == alone
    assert all(any(each) and not each[-1] for each in heard)
