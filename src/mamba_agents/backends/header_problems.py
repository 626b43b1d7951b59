"""What may stand in the headers of a request."""

import re

# RFC 9110: a token for a name; a value without control characters and outer spaces, here in ASCII only.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_KEY = re.compile(r"[!-~]*")


def key_problem(key: str) -> str | None:
    """Say why a key cannot be sent, without showing it, or give None when it can."""
    if _KEY.fullmatch(key):
        return None
    return (
        "the key contains a space, a line break or a character that is not ASCII; copy it anew, and nothing around it."
    )


def header_problem(name: str, value: str) -> str | None:
    """Say why a header cannot be sent, without showing its value, or give None when it can."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is no header's name; write letters, digits and hyphens only, such as 'X-Team'."
    if not _VALUE.fullmatch(value):
        return f"the value of {name!r} has a line break, outer space or non-ASCII character; give plain ASCII text."
    return None
