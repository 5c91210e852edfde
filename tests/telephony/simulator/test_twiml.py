import pytest
from twilio.twiml.voice_response import Connect, Gather, Start, VoiceResponse

from telephony.simulator.twiml import Document, Problem, accepts, read_document


def document(twiml: str) -> Document:
    read = read_document(twiml)
    assert isinstance(read, Document)
    return read


def test_what_the_official_library_writes_is_read_without_complaint() -> None:
    response = VoiceResponse()
    gather = Gather(num_digits=6, action="/pin", finish_on_key="#", action_on_empty_result=True)
    gather.say("Your number, please.", voice="alice")
    response.append(gather)
    start = Start()
    start.stream(url="wss://voice.example.test/fork", track="both_tracks", name="monitor")
    response.append(start)
    connect = Connect(action="/after")
    stream = connect.stream(
        url="wss://voice.example.test/media", status_callback="https://voice.example.test/s"
    )
    stream.parameter(name="token", value="t1")
    response.append(connect)
    response.redirect("/again", method="POST")
    response.hangup()
    read = document(str(response))
    assert read.problems == ()
    assert [verb.name for verb in read.verbs] == ["Gather", "Start", "Connect", "Redirect", "Hangup"]
    assert read.verbs[0].number("numDigits", 0) == 6
    assert read.verbs[0].flag("actionOnEmptyResult")
    assert read.verbs[2].children[0].children[0].get("value") == "t1"


@pytest.mark.parametrize("twiml", ["", "hello", "<Response><Say>", "<Say>hi</Say>", "<Response>&</Response>"])
def test_a_document_that_cannot_be_read_is_12100(twiml: str) -> None:
    problem = read_document(twiml)
    assert isinstance(problem, Problem)
    assert problem.code == 12100


def test_an_unknown_verb_is_logged_and_skipped() -> None:
    read = document("<Response><Conference/><say>hi</say><Hangup/></Response>")
    assert [verb.name for verb in read.verbs] == ["Hangup"]
    assert [problem.code for problem in read.problems] == [12100, 12100]


def test_unknown_attributes_and_misplaced_nouns_are_warnings() -> None:
    read = document('<Response><Say pitch="1">hi</Say><Connect><Say>no</Say></Connect></Response>')
    assert [problem.code for problem in read.problems] == [12200, 12200]
    assert read.verbs[1].children == ()


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("", 5), ("-1", 5), ("3.5", 5), ("99", 10)])
def test_numbers_keep_within_their_limits(text: str, number: int) -> None:
    verb = document(f'<Response><Gather timeout="{text}"/></Response>').verbs[0]
    assert verb.number("timeout", 5, most=10) == number


@pytest.mark.parametrize(
    ("content_type", "accepted"),
    [("text/xml", True), ("application/xml; charset=utf-8", True), ("application/json", False), ("", False)],
)
def test_only_xml_is_twiml(content_type: str, accepted: bool) -> None:
    assert accepts(content_type) is accepted
