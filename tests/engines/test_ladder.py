import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from huggingface_hub import constants

from agent.errors import ConfigError, EngineUnavailable
from agent.events import EngineChosen
from agent.speech import Voice
from pipelines.engines.budget import BudgetSpent
from pipelines.engines.factories import RECOGNISERS, SYNTHESISERS
from pipelines.engines.ladder import (
    choose_recogniser,
    choose_synthesiser,
    recognisers_below,
    recognisers_for,
    synthesisers_below,
    synthesisers_for,
)
from pipelines.engines.loading import RecogniserSettings, SynthesiserSettings
from pipelines.engines.whisper import Whisper, WhisperOptions
from pipelines.engines.whisper_models import TRAINEE_MODEL
from tests.engines.fake_coqui import FakeSpeaker, open_server, until
from tests.engines.fake_elevenlabs import KEY, open_fake_elevenlabs
from tests.engines.lines import COLD_CALL, MODELS, TWO_TONGUES
from tests.engines.local_hub import address_of_no_hub, open_hub, open_silent_hub


@pytest.fixture
def resources() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The cache of whoever runs the tests is not looked at, nor is the real hub asked."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address_of_no_hub())


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path / "models"


def trainee_files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (MODELS / TRAINEE_MODEL).iterdir()}


def test_best_engine_first() -> None:
    assert list(RECOGNISERS) == ["server", "whisper", "sphinx"]
    assert list(SYNTHESISERS) == ["elevenlabs", "coqui", "piper", "espeak"]


def test_with_nothing_on_disk_the_built_in_engines_serve_and_say_why(
    empty: Path, resources: ExitStack
) -> None:
    hearing = choose_recogniser(RecogniserSettings(empty), resources)
    assert (hearing.part, hearing.name, hearing.engine.engine) == ("speech_to_text", "sphinx", "sphinx")
    assert hearing.passed_over == (("whisper", f"no Whisper model is in {empty} or in the hub's cache"),)
    speaking = choose_synthesiser(SynthesiserSettings(empty), resources)
    assert (speaking.part, speaking.name, speaking.reason) == ("text_to_speech", "espeak", "built in")
    assert speaking.passed_over == (("piper", f"the Piper voice en_US-lessac-medium is not in {empty}"),)
    assert isinstance(speaking.event(at_ms=5), EngineChosen)


def test_the_engines_that_were_chosen_work(empty: Path, resources: ExitStack) -> None:
    hearing = choose_recogniser(RecogniserSettings(empty), resources)
    assert hearing.engine.for_call(COLD_CALL.version, COLD_CALL.expected_lines()).engine == "sphinx"
    speaking = choose_synthesiser(SynthesiserSettings(empty), resources)
    assert speaking.engine.synthesise("Hello.", Voice()).samples.size


def test_a_voice_on_disk_is_spoken_by_piper(voices: Path, resources: ExitStack) -> None:
    chosen = choose_synthesiser(SynthesiserSettings(voices), resources)
    assert (chosen.name, chosen.model, chosen.passed_over) == ("piper", "en_US-plain-tiny", ())
    assert chosen.reason == f"found in {voices}"


def test_piper_serves_only_with_a_voice_of_every_persona_that_names_some(
    voices: Path, resources: ExitStack
) -> None:
    wanted = SynthesiserSettings(voices, voices=(("en_US-timed-tiny",), ("en_US-amy-medium",)))
    chosen = choose_synthesiser(wanted, resources)
    assert chosen.name == "espeak"
    assert chosen.passed_over == (("piper", f"the Piper voice en_US-amy-medium is not in {voices}"),)


def test_a_persona_whose_first_voice_is_missing_or_broken_is_served_with_the_next(
    voices: Path, empty: Path, resources: ExitStack
) -> None:
    shutil.copytree(voices, empty)
    (empty / "en_US-broken-tiny.onnx").write_bytes(b"no model")
    shutil.copy(empty / "en_US-plain-tiny.onnx.json", empty / "en_US-broken-tiny.onnx.json")
    names = ("en_US-amy-medium", "en_US-broken-tiny", "en_US-timed-tiny")
    chosen = choose_synthesiser(SynthesiserSettings(empty, voices=(names,)), resources)
    assert chosen.name == "piper"
    assert chosen.engine.synthesise("Hello.", Voice(piper=names)).samples.size


def test_a_model_in_the_folder_is_found_without_naming_it(empty: Path, resources: ExitStack) -> None:
    shutil.copytree(MODELS / TRAINEE_MODEL, empty / "our-own")
    chosen = choose_recogniser(RecogniserSettings(empty, device="cpu"), resources)
    assert (chosen.name, chosen.model, chosen.reason) == (
        "whisper",
        "our-own",
        f"found in {empty}, runs on cpu",
    )


def test_the_usual_models_come_before_others_in_the_folder(empty: Path, resources: ExitStack) -> None:
    for name in ("a-model", "small.en", "base.en"):
        shutil.copytree(MODELS / TRAINEE_MODEL, empty / name)
    assert choose_recogniser(RecogniserSettings(empty, device="cpu"), resources).model == "base.en"


def test_people_are_not_left_to_the_model_of_simulated_trainees(resources: ExitStack) -> None:
    assert choose_recogniser(RecogniserSettings(MODELS), resources).name == "sphinx"


def test_the_model_of_simulated_trainees_serves_where_it_is_named(resources: ExitStack) -> None:
    settings = RecogniserSettings(MODELS, engine="whisper", model=TRAINEE_MODEL, device="cpu")
    chosen = choose_recogniser(settings, resources)
    assert (chosen.name, chosen.model) == ("whisper", TRAINEE_MODEL)
    assert chosen.reason == f"named in the settings; found in {MODELS}, runs on cpu"


def test_a_model_can_be_named_by_its_folder(empty: Path, resources: ExitStack) -> None:
    settings = RecogniserSettings(empty, "whisper", str(MODELS / TRAINEE_MODEL), device="cpu")
    assert choose_recogniser(settings, resources).model == TRAINEE_MODEL


def test_a_model_in_the_hubs_cache_is_found(empty: Path, tmp_path: Path, resources: ExitStack) -> None:
    cached = tmp_path / "cache" / "models--Systran--faster-whisper-small.en"
    shutil.copytree(MODELS / TRAINEE_MODEL, cached / "snapshots" / "0123abc")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0123abc")
    chosen = choose_recogniser(RecogniserSettings(empty, device="cpu"), resources)
    assert (chosen.model, chosen.reason) == ("small.en", "found in the hub's cache, runs on cpu")


def test_a_model_is_downloaded_where_that_is_allowed(
    empty: Path, resources: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"Systran/faster-whisper-base.en/{name}": content for name, content in trainee_files().items()}
    settings = RecogniserSettings(empty, device="cpu", allow_download=True)
    with open_hub(files) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        chosen = choose_recogniser(settings, resources)
    assert (chosen.model, chosen.reason) == ("base.en", f"downloaded to {empty}, runs on cpu")
    assert choose_recogniser(settings, resources).reason == f"found in {empty}, runs on cpu"


def test_a_voice_is_downloaded_where_that_is_allowed(
    voices: Path, empty: Path, resources: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "rhasspy/piper-voices/en/en_US/plain/tiny/en_US-plain-tiny.onnx"
    files = {path + end: (voices / f"en_US-plain-tiny.onnx{end}").read_bytes() for end in ("", ".json")}
    with open_hub(files) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        settings = SynthesiserSettings(empty, voices=(("en_US-plain-tiny",),), allow_download=True)
        chosen = choose_synthesiser(settings, resources)
    assert (chosen.name, chosen.reason) == ("piper", f"downloaded to {empty}")


def test_without_a_network_the_ladders_say_so(empty: Path, resources: ExitStack) -> None:
    hearing = choose_recogniser(RecogniserSettings(empty, allow_download=True), resources)
    speaking = choose_synthesiser(SynthesiserSettings(empty, allow_download=True), resources)
    for (_, why), lacking in ((hearing.passed_over[0], "base.en"), (speaking.passed_over[0], "lessac")):
        assert lacking in why
        assert "cannot be reached" in why
        assert "refused" in why


def test_both_ladders_decide_within_five_seconds_where_the_hub_never_answers(
    empty: Path, resources: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_silent_hub() as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        started = time.monotonic()
        hearing = choose_recogniser(RecogniserSettings(empty, allow_download=True), resources)
        speaking = choose_synthesiser(SynthesiserSettings(empty, allow_download=True), resources)
        assert time.monotonic() - started < 5
    assert (hearing.name, speaking.name) == ("sphinx", "espeak")


@pytest.mark.parametrize("model", ["", "base.en", "owner/name", "no such model", "../../etc", "a/b/c"])
def test_a_named_engine_that_cannot_load_names_the_way_out(
    empty: Path, resources: ExitStack, model: str
) -> None:
    with pytest.raises(EngineUnavailable) as failure:
        choose_recogniser(RecogniserSettings(empty, engine="whisper", model=model), resources)
    assert model in failure.value.message
    assert "allow downloads" in failure.value.hint


def test_a_named_synthesiser_that_cannot_load_names_the_way_out(empty: Path, resources: ExitStack) -> None:
    with pytest.raises(EngineUnavailable, match="allow downloads"):
        choose_synthesiser(SynthesiserSettings(empty, engine="piper"), resources)


def test_a_package_that_is_not_installed_is_a_reason_too(
    voices: Path, resources: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "pipelines.engines.piper", raising=False)
    monkeypatch.setitem(sys.modules, "piper", None)
    chosen = choose_synthesiser(SynthesiserSettings(voices), resources)
    assert chosen.name == "espeak"
    assert "the package of piper is not installed" in chosen.passed_over[0][1]


def test_an_engine_that_does_not_exist_is_a_fault_of_the_settings(empty: Path, resources: ExitStack) -> None:
    with pytest.raises(ConfigError, match=r"'vosk' .* auto or server or whisper or sphinx"):
        choose_recogniser(RecogniserSettings(empty, engine="vosk"), resources)


def test_a_language_that_nobody_understands_stops_the_start(empty: Path, resources: ExitStack) -> None:
    with pytest.raises(EngineUnavailable, match=r"whisper: no Whisper model .* sphinx: .* English only"):
        choose_recogniser(RecogniserSettings(empty, languages=("de",)), resources)


def test_the_rungs_below_stand_by_for_the_rest_of_a_call(empty: Path, resources: ExitStack) -> None:
    recognisers, synthesisers = RecogniserSettings(empty), SynthesiserSettings(empty)
    assert [one.engine for one in recognisers_below("whisper", recognisers, resources)] == ["sphinx"]
    assert [one.engine for one in synthesisers_below("piper", synthesisers, resources)] == ["espeak"]
    assert recognisers_below("sphinx", recognisers, resources) == []
    german = RecogniserSettings(empty, languages=("de",))
    assert recognisers_below("whisper", german, resources) == []


def test_an_engine_that_does_not_understand_a_scenario_is_left_out_of_its_calls(
    empty: Path, resources: ExitStack
) -> None:
    sphinx = choose_recogniser(RecogniserSettings(empty, engine="sphinx"), resources).engine
    tongues = Whisper(TWO_TONGUES, "two-tongues", WhisperOptions(device="cpu"))
    bilingual = COLD_CALL.model_copy(update={"languages": ("en", "es")})
    german = COLD_CALL.model_copy(update={"languages": ("de",)})
    for scenario, engines in ((COLD_CALL, ["whisper", "sphinx"]), (bilingual, ["whisper"])):
        assert [one.engine for one in recognisers_for([tongues, sphinx], scenario)] == engines
    with pytest.raises(EngineUnavailable, match="two-tongues understands 2 languages, not 'de'"):
        recognisers_for([tongues, sphinx], german)


def test_engines_that_nobody_configured_are_not_worth_a_word(empty: Path, resources: ExitStack) -> None:
    chosen = choose_synthesiser(SynthesiserSettings(empty), resources)
    assert [name for name, _ in chosen.passed_over] == ["piper"]


@pytest.mark.parametrize(
    ("engine", "way_out"), [("coqui", "coqui_url"), ("elevenlabs", "ELEVENLABS_API_KEY")]
)
def test_naming_an_engine_that_nobody_configured_says_what_to_set(
    empty: Path, resources: ExitStack, engine: str, way_out: str
) -> None:
    with pytest.raises(EngineUnavailable) as failure:
        choose_synthesiser(SynthesiserSettings(empty, engine=engine), resources)
    assert way_out in failure.value.hint


def test_premium_voices_come_first_then_coqui_then_what_is_built_in(
    empty: Path, resources: ExitStack
) -> None:
    eleven, coqui = premium(empty, resources), resources.enter_context(open_server(FakeSpeaker))
    until(lambda: httpx.get(f"{coqui}/ready", trust_env=False).status_code == 200)
    settings = replace(eleven, coqui_url=coqui)
    chosen = choose_synthesiser(settings, resources)
    assert (chosen.name, chosen.model, chosen.passed_over) == ("elevenlabs", "eleven_flash_v2_5", ())
    assert chosen.reason == "the key is good, up to 1000 characters a day"
    below = synthesisers_below("elevenlabs", settings, resources)
    assert [engine.engine for engine in below] == ["coqui", "espeak"]
    free = choose_synthesiser(replace(settings, elevenlabs_key=""), resources)
    assert (free.name, free.model, free.reason) == ("coqui", "vctk", f"ready at {coqui}")


def premium(models: Path, resources: ExitStack) -> SynthesiserSettings:
    server = resources.enter_context(open_fake_elevenlabs())
    return SynthesiserSettings(
        models,
        elevenlabs_url=server.service.url,
        elevenlabs_key=KEY,
        elevenlabs_daily_characters=1000,
        elevenlabs_call_characters=100,
    )


@pytest.mark.parametrize("limit", ["elevenlabs_daily_characters", "elevenlabs_call_characters"])
def test_a_key_without_a_budget_is_not_used(empty: Path, resources: ExitStack, limit: str) -> None:
    settings = replace(premium(empty, resources), **{limit: 0})  # type: ignore[arg-type]
    chosen = choose_synthesiser(settings, resources)
    assert chosen.name == "espeak"
    assert chosen.passed_over[0] == ("elevenlabs", "ElevenLabs has no budget")


def test_servers_that_do_not_answer_are_passed_over(empty: Path, resources: ExitStack) -> None:
    nowhere = address_of_no_hub()
    settings = replace(premium(empty, resources), elevenlabs_url=nowhere, coqui_url=nowhere)
    chosen = choose_synthesiser(settings, resources)
    assert chosen.name == "espeak"
    assert [name for name, why in chosen.passed_over if "refused" in why] == ["elevenlabs", "coqui"]


def test_a_call_is_spoken_by_the_engines_that_have_its_personas_voice(
    empty: Path, resources: ExitStack
) -> None:
    settings = premium(empty, resources)
    engines = [choose_synthesiser(settings, resources).engine]
    engines += synthesisers_below("elevenlabs", settings, resources)
    rich, plain = Voice(elevenlabs=("rachel",)), Voice()
    assert [one.engine for one in synthesisers_for(engines, rich)] == ["elevenlabs", "espeak"]
    assert [one.engine for one in synthesisers_for(engines, plain)] == ["espeak"]
    with pytest.raises(EngineUnavailable, match="elevenlabs: the persona names no voice"):
        synthesisers_for(engines[:1], plain)


def test_each_call_has_a_budget_of_its_own(empty: Path, resources: ExitStack) -> None:
    settings = replace(premium(empty, resources), elevenlabs_call_characters=10)
    engines = [choose_synthesiser(settings, resources).engine]
    rich = Voice(elevenlabs=("rachel",))
    for _ in range(2):
        (synthesiser,) = synthesisers_for(engines, rich)
        assert synthesiser.synthesise("Hello.", rich).words
        with pytest.raises(BudgetSpent):
            synthesiser.synthesise("Hello.", rich)
