"""Names and phrases that the scenes draw from, and numbers that look alike."""

from random import Random

FIRST = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kamila",
    "Liam",
    "Mei",
    "Nadia",
    "Omar",
    "Priya",
    "Quentin",
    "Rosa",
    "Sven",
    "Tara",
]
LAST = [
    "Adler",
    "Baptiste",
    "Costa",
    "Dvorak",
    "Ekström",
    "Fischer",
    "Gupta",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
]
CITIES = [
    "Lisbon",
    "Oslo",
    "Vienna",
    "Prague",
    "Porto",
    "Lyon",
    "Ghent",
    "Turin",
    "Malmö",
    "Gdansk",
    "Bergen",
    "Graz",
    "Seville",
    "Basel",
    "Leeds",
    "Cork",
]
STREETS = [
    "Harbour Road",
    "Mill Lane",
    "Station Street",
    "Chapel Row",
    "Orchard Avenue",
    "Castle Hill",
    "Bridge Street",
    "Elm Court",
]

# What is sold, and how somebody who does not remember its name speaks of it.
ITEMS: dict[str, str] = {
    "desk lamp": "the light for the study",
    "espresso machine": "the coffee maker",
    "hiking boots": "the shoes for the mountains",
    "noise-cancelling headphones": "the thing for the ears",
    "carbon road bike": "the bicycle",
    "cast iron skillet": "the heavy pan",
    "winter parka": "the warm jacket",
    "mechanical keyboard": "the loud typing thing",
    "standing desk": "the table that goes up and down",
    "robot vacuum": "the little cleaning machine",
    "trail tent": "the two-person tent",
    "air purifier": "the filter for the bedroom",
    "ceramic teapot": "the pot for tea",
    "inflatable kayak": "the boat",
    "telescope": "the stargazing kit",
    "yoga mat": "the mat",
}

POLICY = [
    "Refunds go back to the card that paid and take five to seven working days to show, a little longer over holidays.",
    "We ship on working days before noon; parcels to islands take two more days and cannot be rerouted once scanned.",
    "An exchange is a return and a new order, because stock is only reserved once payment has gone through.",
    "Gift cards cannot be paid out, but they never run out and can be used for several orders.",
    "Large items come with a carrier who calls a day before; if nobody is at home they try twice.",
]

CHAT = [
    "What do you think makes a good start to a week?",
    "Give me a short paragraph on why people keep diaries.",
    "How do I get better at saying no to meetings?",
    "Explain compound interest to a teenager.",
    "What is a good soup for a cold evening?",
    "Tell me something surprising about lighthouses.",
    "How much water should a balcony herb garden get?",
    "Is it better to run in the morning or at night?",
]

PROSE = [
    "That depends on what you want from it, but a small habit that survives a bad day beats a large one that does not.",
    "People tend to overrate the first attempt and underrate the tenth, so leave room for the boring middle.",
    "A simple rule is to decide the evening before, put things in your way, and start with five minutes.",
    "The short answer is yes; the long answer has to do with light, sleep and how much of the day is really yours.",
    "Start with onions and patience. Add stock, whatever is in season, a little acid, and taste before salting.",
    "They were often kept by the same family for generations, and the logbooks read like novels without verbs.",
    "Think of it as a snowball: the slope matters less than how long you let it roll, and fees are stones on the way.",
    "Write down what you would do with the hour instead. If the list is empty, the meeting may be the better deal.",
]


def name(rng: Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def digits(rng: Random, count: int) -> str:
    """A number without a leading zero."""
    return str(rng.randrange(10 ** (count - 1), 10**count))


def code(rng: Random, length: int = 6) -> str:
    """Such as an airline's booking code."""
    return "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=length))


def amount(rng: Random, low: int = 10, high: int = 900) -> float:
    return rng.randrange(low * 100, high * 100) / 100


def prose(rng: Random, sentences: int) -> str:
    return " ".join(rng.choice(PROSE) for _ in range(sentences))


def earlier[T](rng: Random, seen: list[T]) -> T:
    """One of those seen: often among the last three, sometimes a while ago, sometimes from long ago.

    The shares (half, three tenths, a fifth) are an assumption about real conversations, not a measurement.
    """
    reach = rng.choices((3, 12, len(seen)), weights=(5, 3, 2))[0]
    return rng.choice(seen[-reach:])
