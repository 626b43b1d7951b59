"""Somebody plans a trip, in English or Chinese: codes and prices of bookings are needed turns later."""

from dataclasses import dataclass
from random import Random

from benchmarks.transcripts.play import Ask, Say, Scene, Script, use
from benchmarks.transcripts.words import amount, code, digits, earlier


@dataclass(frozen=True, kw_only=True)
class Wording:
    """All that differs between the languages."""

    system: str
    cities: tuple[str, ...]
    opening: str
    ready: str
    fly: str
    stay: str
    flights: str
    booked: str
    cancel: str
    cancelled: str
    bill: str
    billed: str
    member: str
    thanks: str
    hotel: str
    talk: tuple[str, ...]
    answers: tuple[str, ...]


ENGLISH = Wording(
    system="You book trips. Use the tools, and repeat no booking that exists.",
    cities=("Lisbon", "Oslo", "Vienna", "Prague", "Porto", "Lyon", "Turin", "Bergen", "Seville", "Basel"),
    opening="I have to plan a lot of travel. My frequent flyer number is {member}, my colleague's is {other}.",
    ready="Gladly. Where do you want to go first?",
    fly="Book me the cheapest flight from {a} to {b} on {day}.",
    stay="I need a hotel in {a} for {n} nights, with breakfast if you can.",
    flights="Your flight from {a} to {b} is booked.",
    booked="The {hotel} in {a} is booked.",
    cancel="The trip to {b} is off, cancel that booking.",
    cancelled="It is cancelled.",
    bill="Accounting wants the invoice for {b}.",
    billed="The invoice is on its way.",
    member="Put the {b} trip on my frequent flyer account.",
    thanks="The miles are added.",
    hotel="Hotel {a}",
    talk=("What should I eat in {a}?", "Is {a} worth a weekend?", "How do I get to the airport of {a}?"),
    answers=(
        "Go where the menus are short and the tables are full; markets at noon are the best bet.",
        "Two days are enough for the old town and the river, a third for the hills, and a fourth if you like museums.",
        "The train is the quickest, every fifteen minutes from the centre; keep the ticket until the gate.",
    ),
)

CHINESE = Wording(
    system="你是差旅助理。请使用工具预订,不要重复已有的预订。",
    cities=("上海", "北京", "广州", "成都", "杭州", "西安", "厦门", "昆明", "青岛", "大连"),
    opening="我最近出差很多。我的常旅客号码是 {member},同事的号码是 {other}。",
    ready="好的,您想先去哪里?",
    fly="帮我订 {day} 从{a}到{b}最便宜的航班。",
    stay="我在{a}需要住 {n} 晚,最好含早餐。",
    flights="从{a}到{b}的航班已经订好。",
    booked="{a}的{hotel}已经订好。",
    cancel="去{b}的行程取消了,请退掉那个预订。",
    cancelled="已经取消。",
    bill="财务需要{b}那次的发票。",
    billed="发票已经寄出。",
    member="把{b}那次的里程记到我的常旅客账户。",
    thanks="里程已经记入。",
    hotel="{a}大酒店",
    talk=("{a}有什么好吃的?", "{a}周末值得去吗?", "怎么去{a}机场最快?"),
    answers=(
        "去菜单短、客人多的小店就对了,中午逛市场最好,晚上最好提前订位,周末人多的时候要排队。",
        "老城和江边两天足够,第三天可以去山上走走,如果喜欢博物馆还可以多留一天,门票网上预约。",
        "坐地铁最快,市中心每十五分钟一班,记得保留车票,出站的时候还要用,晚上十一点以后只有出租车。",
    ),
)


class Desk:
    """The tools."""

    def __init__(self, rng: Random, words: Wording) -> None:
        self._rng, self._words = rng, words

    def search_flights(self, origin: str, destination: str, date: str) -> list[dict[str, object]]:
        """Flights of a day."""
        rng = self._rng
        return [
            {"flight": f"{code(rng, 2)}{digits(rng, 4)}", "departs": f"{hour:02}:{rng.randrange(6)}5",
             "fare": amount(rng, 60, 700), "fare_code": code(rng, 5), "route": f"{origin}-{destination}", "date": date}
            for hour in sorted(rng.sample(range(6, 23), k=8))
        ]  # fmt: skip

    def book_flight(self, flight: str, fare_code: str, member: str) -> dict[str, object]:
        """Book one of the flights found."""
        return {
            "flight": flight,
            "fare_code": fare_code,
            "member": member,
            "booking": code(self._rng),
            "seat": f"{self._rng.randrange(1, 40)}{self._rng.choice('ACDF')}",
        }

    def search_hotels(self, city: str, nights: int) -> list[dict[str, object]]:
        """Hotels of a city."""
        rng = self._rng
        return [
            {"hotel": self._words.hotel.format(a=rng.choice(self._words.cities)), "hotel_id": f"H{digits(rng, 6)}",
             "where": city, "price": amount(rng, 40, 300), "nights": nights, "stars": rng.randrange(2, 6)}
            for _ in range(6)
        ]  # fmt: skip

    def book_hotel(self, hotel_id: str, nights: int) -> dict[str, object]:
        """Book one of the hotels found."""
        return {"hotel_id": hotel_id, "booking": code(self._rng), "nights": nights}

    def cancel_booking(self, booking: str) -> dict[str, object]:
        """Cancel a flight or a room."""
        return {"booking": booking, "state": "cancelled", "credit": f"CR{digits(self._rng, 7)}"}

    def send_invoice(self, booking: str, amount: float) -> str:
        """Send the invoice of a booking."""
        return f"invoice {digits(self._rng, 6)} over {amount:.2f} for {booking} sent"

    def add_miles(self, booking: str, member: str) -> str:
        """Put a flight on a frequent flyer account."""
        return f"{self._rng.randrange(200, 4000)} miles for {booking} on {member}"


def travel(rng: Random, size: int, words: Wording = ENGLISH) -> Scene:
    desk = Desk(rng, words)
    flights = [desk.search_flights, desk.book_flight, desk.add_miles]
    return Scene(
        name="travel" if words is ENGLISH else "travel-chinese",
        system_prompt=words.system,
        tools=[*flights, desk.search_hotels, desk.book_hotel, desk.cancel_booking, desk.send_invoice],
        script=_script(rng, words, size),
        ids=rng.choice(("unique", "per_reply", "per_turn")),
        json_arguments=rng.random() < 0.5,
        rng=rng,
    )


@dataclass(frozen=True, kw_only=True)
class _Booking:
    where: str
    booking: str
    price: float
    flies: bool


def _script(rng: Random, words: Wording, turns: int) -> Script:
    member, other = f"{code(rng, 2)}-{digits(rng, 7)}", f"{code(rng, 2)}-{digits(rng, 7)}"
    yield Ask(words.talk[0].format(a=rng.choice(words.cities)))
    yield Say(rng.choice(words.answers))
    yield Ask(words.opening.format(member=member, other=other))
    yield Say(words.ready)
    booked: list[_Booking] = []
    for _ in range(turns):
        kind = rng.choices(("fly", "stay", "talk", "again"), weights=(3, 2, 2, 3 if booked else 0))[0]
        place = rng.choice(words.cities)
        if kind == "fly":
            booked.append((yield from _fly(rng, words, place, member)))
        elif kind == "stay":
            booked.append((yield from _stay(rng, words, place)))
        elif kind == "talk":
            yield Ask(rng.choice(words.talk).format(a=place))
            yield Say(" ".join(rng.sample(words.answers, k=2)))
        else:
            yield from _again(rng, words, earlier(rng, booked), member)


def _fly(rng: Random, words: Wording, place: str, member: str) -> Script:
    home, day = rng.choice(words.cities), f"2026-12-{rng.randrange(10, 30)}"
    yield Ask(words.fly.format(a=home, b=place, day=day))
    [found] = yield use("search_flights", origin=home, destination=place, date=day)
    best = min(found, key=lambda flight: flight["fare"])
    [made] = yield use("book_flight", flight=best["flight"], fare_code=best["fare_code"], member=member)
    yield Say(
        words.flights.format(a=home, b=place)
        + (f" {made['booking']}, {best['fare']:.2f}." if rng.random() < 0.4 else "")
    )
    return _Booking(where=place, booking=made["booking"], price=best["fare"], flies=True)


def _stay(rng: Random, words: Wording, place: str) -> Script:
    nights = rng.randrange(2, 9)
    yield Ask(words.stay.format(a=place, n=nights))
    [found] = yield use("search_hotels", city=place, nights=nights)
    room = rng.choice(found)
    [made] = yield use("book_hotel", hotel_id=room["hotel_id"], nights=nights)
    yield Say(
        words.booked.format(a=place, hotel=room["hotel"]) + (f" {made['booking']}." if rng.random() < 0.4 else "")
    )
    return _Booking(where=place, booking=made["booking"], price=room["price"], flies=False)


def _again(rng: Random, words: Wording, trip: _Booking, member: str) -> Script:
    kind = rng.choice(("cancel", "bill", "miles") if trip.flies else ("cancel", "bill"))
    if kind == "cancel":
        yield Ask(words.cancel.format(b=trip.where))
        yield use("cancel_booking", booking=trip.booking)
        yield Say(words.cancelled)
    elif kind == "bill":
        yield Ask(words.bill.format(b=trip.where))
        yield use("send_invoice", booking=trip.booking, amount=trip.price)
        yield Say(words.billed)
    else:
        yield Ask(words.member.format(b=trip.where))
        yield use("add_miles", booking=trip.booking, member=member)
        yield Say(words.thanks)
