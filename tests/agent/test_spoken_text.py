"""Text as it is said on the phone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.spoken_text import spoken


def said(text: str) -> str:
    return " ".join(reading for _, reading in spoken(text) if reading)


READINGS = {
    "numbers": {
        "2,500 units": "two thousand five hundred units",
        "12 of 3.5": "twelve of three point five",
        "0.5 or .5": "zero point five or zero point five",
        "1500 calls": "fifteen hundred calls",
        "1,000,000": "one million",
        "-5 to +5": "minus five to plus five",
        "007": "zero zero seven",
        "½ cup": "one half cup",
        "the 21st": "the twenty first",
    },
    "money": {
        "We pay $4,500 a month.": "We pay four thousand five hundred dollars a month.",
        "$4.50, $0.99 and $1": "four dollars and fifty cents, ninety nine cents and one dollar",
        "about $4.5 million.": "about four point five million dollars.",
        "a $500 deposit": "a five hundred dollar deposit",
        "$5k or $2M": "five thousand dollars or two million dollars",
        "$20/month": "twenty dollars per month",
        "$5-10": "five to ten dollars",
        "€30, £1": "thirty euros, one pound",
    },
    "percentages": {
        "15% off": "fifteen percent off",
        "3.5%": "three point five percent",
        "10-15%": "ten to fifteen percent",
    },
    "times": {
        "at 10:30": "at ten thirty",
        "10:05 a.m. today": "ten oh five A-M today",
        "at 3pm.": "at three P-M.",
        "at 10:00": "at ten o'clock",
        "10 am, not 10:00": "ten A-M, not ten o'clock",
        "9am-5pm": "nine A-M to five P-M",
        "from 10:30-11:00": "from ten thirty to eleven",
        "15:30": "fifteen thirty",
    },
    "dates": {
        "March 14, 2026": "March fourteenth, twenty twenty six",
        "on Mar. 3rd": "on March third",
        "on 3/14": "on March fourteenth",
        "2026-03-14": "March fourteenth twenty twenty six",
        "3/14/2026": "March fourteenth twenty twenty six",
        "the 5 March": "the fifth of March",
        "in 1905 and the 1990s": "in nineteen oh five and the nineteen nineties",
        "Mon-Fri": "Monday to Friday",
    },
    "phone numbers": {
        "(555) 123-4567": "five five five, one two three, four five six seven",
        "555-0199 now": "five five five, zero one nine nine now",
        "1-800-555-0199": "one, eight hundred, five five five, zero one nine nine",
        "+1 555 123 4567": "plus one, five five five, one two three, four five six seven",
        "5551234567": "five five five, one two three, four five six seven",
        "Call 911!": "Call nine one one!",
    },
    "addresses": {
        "1420 W 5th St, Apt 3B": "fourteen twenty west fifth street, apartment three B",
        "204 N. Elm Ave. today": "two oh four north Elm avenue today",
        "1600 Pennsylvania Ave NW": "sixteen hundred Pennsylvania avenue northwest",
        "Austin, TX 78701": "Austin, Texas seven eight seven zero one",
        "Room 204, Suite 1200": "Room two oh four, Suite twelve hundred",
        "12345 Oak Dr.": "one two three four five Oak drive.",
        "on I-95": "on I ninety five",
    },
    "titles and streets": {
        "Dr. Reyes": "Doctor Reyes",
        "near St. Mary's on Main St.": "near Saint Mary's on Main Street.",
        "on Oak Dr. near Mr. Lee": "on Oak Drive near Mister Lee",
        "Mrs. Jones & Ms. Lee": "Missus Jones and Miz Lee",
    },
    "units": {
        "3.5 mg vs. 1 kg": "three point five milligrams versus one kilogram",
        "20mg, 100°F": "twenty milligrams, one hundred degrees Fahrenheit",
        "5 lbs and 2 ft": "five pounds and two feet",
        "60 mph": "sixty miles per hour",
        "He is 5'10\" tall": "He is five foot ten tall",
        "500 sqft, 3 kWh": "five hundred square feet, three kilowatt hours",
        "20m², 1x and 3x": "twenty square meters, one time and three times",
    },
    "abbreviations": {
        "approx. five, e.g. now": "approximately five, for example now",
        "our CRM, API and SLA": "our C-R-M, A-P-I and S-L-A",
        "three APIs": "three A-P-I's",
        "the U.S. team": "the U-S team",
        "AT&T": "A-T and T",
        "NASA said STOP": "NASA said STOP",
        "No. 5? No.": "number five? No.",
        "b/c he can't w/o it": "because he can't without it",
    },
    "ranges and parts": {
        "10-15 minutes": "ten to fifteen minutes",
        "2019-2023": "twenty nineteen to twenty twenty three",
        "a 3-year-old": "a three year old",
        "3/4 of it, 9/10": "three quarters of it, nine out of ten",
        "24/7": "twenty four seven",
    },
    "the internet": {
        "dana@harbor-dental.com": "dana at harbor dash dental dot com",
        "https://www.example.com/a": "W-W-W dot example dot com slash a",
    },
    "versions and codes": {
        "v2.1.3": "version two point one point three",
        "PIN 4821": "PIN four eight two one",
        "account number 12345": "account number one two three four five",
        "COVID-19, B2B, Q3": "COVID nineteen, B two B, Q three",
        "X-200": "X two zero zero",
        "192.168.0.1": "one nine two dot one six eight dot zero dot one",
    },
}


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        pytest.param(*pair, id=f"{group}: {pair[0]}")
        for group, pairs in READINGS.items()
        for pair in pairs.items()
    ],
)
def test_text_is_read_as_people_say_it(written: str, heard: str) -> None:
    assert said(written) == heard


def test_each_written_word_has_its_own_reading() -> None:
    assert spoken("Pay $4.5 million by 5 p.m., Dr. Lee.") == [
        ("Pay", "Pay"),
        ("$4.5", "four point five"),
        ("million", "million dollars"),
        ("by", "by"),
        ("5", "five"),
        ("p.m.,", "P-M,"),
        ("Dr.", "Doctor"),
        ("Lee.", "Lee."),
    ]


def test_emphasis_is_not_read_out() -> None:
    assert said("That is **not** _my_ *$500*.") == "That is not my five hundred dollars."


def test_an_abbreviation_at_the_end_of_a_sentence_leaves_the_pause() -> None:
    assert (
        said("We close at 5 p.m. The door is on Main St.")
        == "We close at five P-M. The door is on Main Street."
    )


@pytest.mark.parametrize("language", ["de", "es-MX", "fr"])
def test_other_languages_are_left_alone(language: str) -> None:
    text = "Das kostet $4,500 bis 10:30 Uhr, St. 5."
    assert spoken(text, language) == [(word, word) for word in text.split()]


PLAIN = st.lists(
    st.sampled_from(
        ("hello", "there", "well,", "no.", "why?", "it's", "fine;", "son's", "(old)", "“car”", "—", "over.")
    ),
    max_size=12,
).map(" ".join)
WRITTEN = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.one_of(
            st.sampled_from([text for pairs in READINGS.values() for text in pairs]),
            st.sampled_from(
                ["St.", "#", "$", "²", "٣", "Apt", "401(k)", "00:00", "13/13/13", ",", "&", "1e9"]
            ),
            st.text("0123456789.,:/-$%#apmkxStv ()'°", max_size=8),
        ),
        max_size=6,
    ).map("".join),
)


@given(PLAIN)
def test_plain_words_are_left_as_they_are(text: str) -> None:
    assert spoken(text) == [(word, word) for word in text.split()]


@settings(max_examples=500, deadline=None)
@given(WRITTEN)
def test_whatever_is_written_has_a_reading_for_each_word_without_a_digit(text: str) -> None:
    pairs = spoken(text)
    assert [word for word, _ in pairs] == text.split()
    assert not any(character.isdigit() for _, reading in pairs for character in reading)


@pytest.mark.parametrize("text", [text for pairs in READINGS.values() for text in pairs])
def test_what_was_made_words_is_not_changed_again(text: str) -> None:
    assert said(said(text)) == said(text)


def test_a_very_long_number_is_read_digit_by_digit() -> None:
    assert len(said("9" * 5_000).replace(",", "").split()) == 5_000
