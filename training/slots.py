"""What fills the slots of the phrases: names, places, and numbers as people say them."""

import random
from collections.abc import Callable

VALUES: dict[str, tuple[str, ...]] = {
    "name": (
        "Alex", "Dana", "Maria", "John", "Sarah", "David", "Karen", "Michael", "Anna", "Peter", "Linda",
        "James", "Susan", "Robert", "Emily", "Doctor Reyes", "Mister Cole", "Jordan", "Mary", "Tom",
        "Lisa", "Mark", "Laura", "Paul", "Kevin", "Rachel", "Daniel", "Nancy", "Brian", "Carol", "Steve",
        "Julia", "Chris", "Amy", "George", "Helen", "Sam", "Olivia", "Frank", "Grace", "Missus Parker",
        "Miss Young", "Eric", "Diane", "Carlos", "Sofia", "Henry", "Martha", "Ben", "Kim", "Jack", "Rosa",
        "Tony", "Ellen",
    ),
    "surname": (
        "Miller", "Johnson", "Whitfield", "Garcia", "Brown", "Davis", "Wilson", "Martin", "Lopez", "Baker",
        "Turner", "Collins", "Nelson", "Carter", "Murphy", "Reyes", "Cooper", "Bennett", "Price", "Hughes",
    ),
    "company": (
        "Northwind Supply", "Northwind", "Harbor Dental", "Delmar Medical", "Acme Software", "Blue River",
        "City Power", "Green Bank", "Summit Office", "Bright Smile",
    ),
    "agency": (
        "Lakeview Realty", "Oak Tree Homes", "Harbor Realty", "Keystone Homes", "Sunrise Properties",
    ),
    "day": (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "tomorrow",
        "Monday morning", "Friday afternoon", "Saturday evening", "this weekend", "next week",
        "Sunday afternoon", "the day after tomorrow", "next Tuesday", "this Thursday", "tonight",
    ),
    "month": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ),
    "street": (
        "Main Street", "Oak Avenue", "Park Road", "Lake Drive", "Hill Street", "Mill Lane", "Maple Court",
        "Elm Street", "Cedar Lane", "Washington Avenue", "River Road", "Pine Street", "Church Street",
        "Highland Drive", "Sunset Boulevard", "Second Street", "Fifth Avenue", "Lincoln Way",
        "Walnut Street", "Franklin Place", "Jefferson Street", "Willow Lane", "Spring Street",
        "Market Street", "Meadow Drive", "Ridge Road", "Broadway", "Third Street", "Chestnut Street",
        "Forest Avenue",
    ),
    "area": (
        "Riverside", "Oakwood", "the north side", "the old town", "downtown", "Lakeview", "Maple Heights",
        "the west end", "Green Valley", "the harbor", "the suburbs", "Hillcrest",
        "the university district", "Brookside", "the south side", "East Park",
    ),
    "room": (
        "kitchen", "bedroom", "garage", "basement", "bathroom", "living room", "house", "attic", "hallway",
        "dining room", "upstairs bedroom", "apartment", "building", "backyard",
    ),
    "feature": (
        "a yard", "a garage", "a big kitchen", "a pool", "a view", "a balcony", "a fireplace",
        "a home office", "a garden", "a basement", "two bathrooms", "an open floor plan", "a quiet street",
        "new windows", "hardwood floors", "central air", "a good school nearby", "a short commute",
        "parking",
    ),
    "home": ("house", "condo", "apartment", "townhouse", "home", "duplex", "place", "property", "cottage"),
    "person": (
        "he", "she", "your husband", "your mother", "the patient", "the baby", "the driver", "your wife",
        "your father", "your son", "your daughter", "the man", "the woman", "the child", "your friend",
        "your neighbor", "the caller", "your grandmother", "the victim", "your brother", "your sister",
    ),
    "body": (
        "chest", "leg", "arm", "head", "back", "stomach", "neck", "shoulder", "hand", "foot", "face",
        "knee", "belly", "hip", "wrist", "ankle", "throat", "side",
    ),
    "injury": (
        "bleeding", "unconscious", "trapped", "choking", "burned", "in pain", "having a seizure", "awake",
        "conscious", "hurt", "dizzy", "confused", "turning blue", "having trouble breathing", "drowning",
        "sweating", "vomiting", "in labor", "shaking", "not responding", "pale", "diabetic", "pregnant",
    ),
    "incident": (
        "a car accident", "a fire", "a heart attack", "a stroke", "a fall", "an overdose", "a robbery",
        "a gas leak", "a break in", "a shooting", "an allergic reaction", "a drowning", "a stabbing",
        "a crash", "an explosion", "a domestic dispute", "a power line down", "a flood",
    ),
    "unit": (
        "an ambulance", "the police", "the fire department", "an officer", "the paramedics", "help",
        "two units", "a fire truck", "a medic", "the engine crew",
    ),
    "vehicle": ("car", "truck", "van", "bus", "motorcycle", "bicycle", "pickup", "taxi", "sedan"),
    "colour": ("red", "blue", "black", "white", "silver", "green", "gray", "brown", "yellow", "dark blue"),
    "direction": (
        "north", "south", "east", "west", "left", "right", "toward downtown", "toward the highway",
    ),
    "clothing": (
        "jacket", "shirt", "hoodie", "coat", "hat", "pair of jeans", "mask", "sweater", "backpack",
    ),
    "supply": (
        "supplies", "gloves", "masks", "boxes", "orders", "needles", "towels", "cups", "paper", "filters",
    ),
    "letter": ("A", "B", "C", "D", "E", "F", "G"),
}  # fmt: skip

_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = (
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth",
)  # fmt: skip


def in_words(number: int) -> str:
    """0 to 999 999 as Americans say it."""
    if number < 20:
        return _UNITS[number]
    if number < 100:
        tens, unit = divmod(number, 10)
        return _TENS[tens - 2] + (f" {_UNITS[unit]}" if unit else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    high, low = divmod(number, size)
    return f"{in_words(high)} {name}" + (f" {in_words(low)}" if low else "")


def filled(slot: str, rng: random.Random) -> str:
    """Returns one value for the slot."""
    maker = _MADE.get(slot)
    return maker(rng) if maker else rng.choice(VALUES[slot])


def slots() -> list[str]:
    """The names of all slots."""
    return [*VALUES, *_MADE]


def _number(rng: random.Random) -> str:
    return in_words(rng.choice([rng.randint(1, 12), rng.randint(1, 20), rng.randint(10, 99), _round(rng)]))


def _round(rng: random.Random) -> int:
    return rng.choice([rng.randint(1, 9) * 100, rng.randint(2, 9) * 10, rng.randint(100, 999), 1000, 15, 50])


def _few(rng: random.Random) -> str:
    return in_words(rng.randint(1, 12))


def _digits(count: int, rng: random.Random) -> str:
    # "oh" and "zero" are both common in numbers that are read out.
    zero = rng.choice(["zero", "oh", "oh"])
    return " ".join(_UNITS[d] if d else zero for d in (rng.randint(0, 9) for _ in range(count)))


def _code(rng: random.Random) -> str:
    return _digits(rng.randint(2, 6), rng)


def _phone(rng: random.Random) -> str:
    groups = [3, 4] if rng.random() < 0.5 else [3, 3, 4]
    return rng.choice([", ", " ", ", "]).join(_digits(count, rng) for count in groups)


def _house(rng: random.Random) -> str:
    number = rng.choice([rng.randint(1, 99), rng.randint(100, 999), rng.randint(1000, 9999)])
    how = rng.random()
    if number < 100:
        return in_words(number)
    if how < 0.3:
        return _digits(len(str(number)), rng)
    high, low = divmod(number, 100)
    if how < 0.9:
        paired = "hundred" if not low else f"oh {in_words(low)}" if low < 10 else in_words(low)
        return f"{in_words(high)} {paired}"
    return in_words(number)


def _apartment(rng: random.Random) -> str:
    return in_words(rng.randint(1, 30)) + (f" {rng.choice(VALUES['letter'])}" if rng.random() < 0.5 else "")


def _address(rng: random.Random) -> str:
    return f"{_house(rng)} {rng.choice(VALUES['street'])}"


def _price(rng: random.Random) -> str:
    how = rng.random()
    if how < 0.4:
        return f"{in_words(rng.randint(10, 99) * 10)} thousand"
    if how < 0.6:
        return in_words(rng.randint(10, 90) * 10)
    if how < 0.75:
        return rng.choice(["half a million", "a million", "a quarter million", "a million and a half"])
    if how < 0.85:
        return f"{in_words(rng.randint(1, 3))} point {in_words(rng.randint(1, 9))} million"
    return in_words(rng.randint(1, 30) * 100)


def _time(rng: random.Random) -> str:
    hour = in_words(rng.randint(1, 12))
    part = rng.choice(["", "", " in the morning", " in the afternoon", " o'clock", " this evening", " sharp"])
    special = ["noon", "midnight", f"half past {hour}", f"a quarter to {hour}", f"a quarter past {hour}"]
    minutes = in_words(rng.choice([10, 15, 20, 30, 30, 40, 45, 50]))
    return rng.choice([hour + part, hour + part, f"{hour} {minutes}", rng.choice(special)])


def _date(rng: random.Random) -> str:
    day, month = rng.randint(1, 31), rng.choice(VALUES["month"])
    if day <= 20:
        ordinal = _ORDINALS[day - 1]
    else:
        ordinal = {30: "thirtieth", 31: "thirty first"}.get(day, f"twenty {_ORDINALS[day - 21]}")
    return rng.choice([f"{month} {ordinal}", f"the {ordinal} of {month}", f"the {ordinal}"])


_MADE: dict[str, Callable[[random.Random], str]] = {
    "number": _number,
    "few": _few,
    "code": _code,
    "phone": _phone,
    "house": _house,
    "apartment": _apartment,
    "address": _address,
    "price": _price,
    "time": _time,
    "date": _date,
}
