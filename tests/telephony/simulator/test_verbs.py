import io
import wave

import numpy as np
import pytest
from starlette.responses import Response

from telephony.simulator import Call, HungUp, Simulator
from telephony.simulator.measure import segments
from telephony.simulator.sound import noise
from tests.telephony.simulator.application import (
    NUMBER,
    ON_THE_MODULES_LOOP,
    PUBLIC_URL,
    TRAINEE,
    Application,
    open_carrier,
)

pytestmark = ON_THE_MODULES_LOOP


async def run(carrier: Simulator, application: Application, verbs: str) -> Call:
    application.twiml["/twilio/voice"] = f"<Response>{verbs}</Response>"
    call = await carrier.dial(TRAINEE, NUMBER)
    await call.ended
    return call


async def test_a_call_rings_until_its_document_says_otherwise(
    application: Application, carrier: Simulator
) -> None:
    call = await run(carrier, application, "<Hangup/>")
    voice = application.received[0]
    assert voice.signed
    assert (voice.fields["CallStatus"], voice.fields["Direction"]) == ("ringing", "inbound")
    assert (voice.fields["From"], voice.fields["To"]) == (TRAINEE, NUMBER)
    (status,) = application.at("/status")
    assert (status.fields["CallStatus"], status.fields["CallSid"]) == ("completed", call.sid)


async def test_say_is_heard(application: Application, carrier: Simulator) -> None:
    call = await run(carrier, application, '<Say loop="2">Hi.</Say>')
    (heard,) = segments(call.handset.line_heard)
    assert heard.end_ms - heard.start_ms == pytest.approx(740, abs=150)


async def test_play_fetches_a_wav_file_or_presses_keys(application: Application, carrier: Simulator) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8_000)
        writer.writeframes(noise(200, -20.0, seed=1).tobytes())
    application.twiml["/beep.wav"] = Response(file.getvalue(), media_type="audio/wav")
    call = await run(carrier, application, '<Play>/beep.wav</Play><Play digits="W1"/>')
    beep, key = segments(call.handset.line_heard)
    assert beep.end_ms - beep.start_ms == pytest.approx(200, abs=20)
    assert key.end_ms - key.start_ms == pytest.approx(100, abs=20)
    assert application.at("/beep.wav")[0].method == "GET"
    assert call.errors == []


async def test_a_sound_that_is_not_there_is_logged_and_skipped(
    application: Application, carrier: Simulator
) -> None:
    application.twiml["/beep.wav"] = Response(status_code=404)
    call = await run(
        carrier, application, "<Play>/beep.wav</Play><Play>/voice.mp3</Play><Redirect>/x</Redirect>"
    )
    assert call.errors == [11200, 12300]
    assert len(application.at("/x")) == 1


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_a_rejected_call_is_never_answered(
    application: Application, carrier: Simulator, reason: str, status: str
) -> None:
    call = await run(carrier, application, f'<Reject reason="{reason}"/>')
    assert call.status == status
    assert (call.started_at, call.duration_s) == (None, None)
    assert application.at("/status")[0].fields["CallStatus"] == status
    with pytest.raises(HungUp):
        await call.handset.wait(20)


async def test_gathered_digits_go_to_the_action(application: Application, carrier: Simulator) -> None:
    prompt = "<Say>A long prompt that the keys cut short.</Say>"
    gather = f'<Gather action="/pin" numDigits="3">{prompt}</Gather>'
    application.twiml["/twilio/voice"] = f"<Response>{gather}<Redirect>/nothing</Redirect></Response>"
    call = await carrier.dial(TRAINEE, NUMBER)
    await call.handset.wait(60)
    await call.handset.press("123")
    await call.ended
    assert application.at("/pin")[0].signed
    assert application.at("/pin")[0].fields["Digits"] == "123"
    assert application.at("/nothing") == []
    assert len(call.handset.line_heard) < 8_000


async def test_the_finish_key_ends_a_number_and_is_not_part_of_it(
    application: Application, carrier: Simulator
) -> None:
    application.twiml["/twilio/voice"] = '<Response><Gather action="/pin" timeout="30"/></Response>'
    call = await carrier.dial(TRAINEE, NUMBER)
    await call.handset.wait(20)
    await call.handset.press("42#")
    await call.ended
    fields = application.at("/pin")[0].fields
    assert (fields["Digits"], fields["FinishedOnKey"]) == ("42", "#")


async def test_without_digits_gather_falls_through(application: Application, carrier: Simulator) -> None:
    await run(carrier, application, '<Gather action="/pin" timeout="0"/><Redirect>/nothing</Redirect>')
    assert application.at("/pin") == []
    assert len(application.at("/nothing")) == 1


async def test_without_digits_the_action_is_asked_where_that_is_wanted(
    application: Application, carrier: Simulator
) -> None:
    await run(carrier, application, '<Gather action="/pin" timeout="0" actionOnEmptyResult="true"/>')
    assert application.at("/pin")[0].fields["Digits"] == ""


async def test_a_failing_application_is_replaced_by_the_fallback(
    application: Application, carrier: Simulator
) -> None:
    application.twiml["/twilio/voice"] = Response(status_code=500)
    call = await carrier.dial(TRAINEE, NUMBER)
    await call.ended
    fields = application.at("/fallback")[0].fields
    assert (fields["ErrorCode"], fields["ErrorUrl"]) == ("11200", f"{PUBLIC_URL}/twilio/voice")
    assert call.errors == [11200]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response("{}", media_type="application/json"), 12300),
        (Response("<Response>", media_type="text/xml"), 12100),
    ],
)
async def test_what_is_no_twiml_ends_in_an_apology(
    application: Application, answer: Response, code: int
) -> None:
    application.twiml["/twilio/voice"] = answer
    async with open_carrier(application, voice=lambda text: noise(100, -20.0, seed=len(text))) as carrier:
        call = await carrier.dial(TRAINEE, NUMBER)
        assert await call.ended == "completed"
    assert call.errors == [code]
    assert np.any(call.handset.line_heard)


async def test_unknown_verbs_are_logged_and_skipped(application: Application, carrier: Simulator) -> None:
    call = await run(carrier, application, "<Conference>x</Conference><Redirect>/next</Redirect>")
    assert call.errors == [12100]
    assert len(application.at("/next")) == 1


async def test_a_loop_of_redirects_is_given_up(application: Application, carrier: Simulator) -> None:
    call = await run(carrier, application, "<Redirect>/twilio/voice</Redirect>")
    assert call.log[-3].detail == "gave up after 100 documents"


async def test_hanging_up_while_it_rings_cancels_the_call(
    application: Application, carrier: Simulator
) -> None:
    application.twiml["/twilio/voice"] = '<Response><Pause length="60"/><Hangup/></Response>'
    call = await carrier.dial(TRAINEE, NUMBER)
    call.handset.hang_up()
    assert await call.ended == "canceled"
