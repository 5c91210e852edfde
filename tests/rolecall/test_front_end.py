"""Which engines the front end of a call is given."""

import pytest

from agent.errors import EngineUnavailable
from audio.speexdsp import SpeexDsp
from rolecall.front_end import ChosenFrontEnd, choose_front_end
from rolecall.settings import Audio


def not_installed() -> SpeexDsp | None:
    return None


def served(chosen: ChosenFrontEnd) -> dict[str, str]:
    return {rung.part: rung.name for rung in chosen.rungs}


def test_without_libspeexdsp_our_own_engines_serve_and_say_why() -> None:
    chosen = choose_front_end(Audio(), not_installed)
    assert served(chosen) == {"echo_cancellation": "adaptive", "noise_reduction": "spectral"}
    assert chosen.settings.filters.echo_canceller == "adaptive"
    assert [rung.passed_over for rung in chosen.rungs] == [(("speex", "libspeexdsp is not installed"),)] * 2


@pytest.mark.parametrize("setting", ["echo_canceller", "noise_reducer"])
def test_a_named_engine_that_is_not_here_stops_the_start_with_the_way_out(setting: str) -> None:
    with pytest.raises(EngineUnavailable, match="libspeexdsp is not installed") as refusal:
        choose_front_end(Audio.model_validate({setting: "speex"}), not_installed)
    assert "apt install libspeexdsp1" in refusal.value.hint


def test_a_named_engine_serves_because_it_was_named() -> None:
    chosen = choose_front_end(Audio(echo_canceller="adaptive", noise_reducer="spectral"))
    assert served(chosen) == {"echo_cancellation": "adaptive", "noise_reduction": "spectral"}
    assert all(rung.reason.startswith("named in the settings") for rung in chosen.rungs)


def test_a_filter_that_is_off_has_no_engine() -> None:
    assert served(choose_front_end(Audio(filters=("rumble", "echo")), not_installed)) == {
        "echo_cancellation": "adaptive"
    }
    assert choose_front_end(Audio(filters=()), not_installed).rungs == ()
