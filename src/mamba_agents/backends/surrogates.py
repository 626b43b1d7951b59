"""Makes a request encodable that holds half of a surrogate pair, as text from a terminal or a broken file may."""

from typing import cast


def encodable(value: object) -> object:
    """Give the same JSON value with U+FFFD for each lone surrogate, which UTF-8 cannot carry."""
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            return value
        case list():
            return [encodable(item) for item in cast("list[object]", value)]
        case dict():
            return {key: encodable(item) for key, item in cast("dict[str, object]", value).items()}
        case _:
            return value
