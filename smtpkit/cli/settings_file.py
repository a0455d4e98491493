"""Options from a TOML file: each by its long name; what stands on the command line wins."""

import re

__all__ = ["configure", "expand"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from smtpkit.cli.parser import Option, Parser


def configure(parser: "Parser") -> None:
    """Add the option."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help='a TOML file with options by their long names, such as port = 25, lmtp = true, host = [""]',
    )


def expand(parser: "Parser", words: list[str]) -> list[str]:
    """The command line with the options of its --config file in front; without those that it gives itself."""
    path = _value_of("--config", words)
    if path is None:
        return words
    text, settings = _read(parser, path)
    given = {word.partition("=")[0] for word in words}
    found: list[str] = []
    for key, value in settings.items():
        place = f"{path}:{_line_of(key, text)}"
        option = parser.options.get(f"--{key}")
        if option is None or key in ("config", "help"):
            parser.error(f"{place}: there is no option {key!r}")
        if not given.intersection(option.names):
            found += _words(parser, option, key, value, place)
    return [*found, *words]


def _value_of(option: str, words: list[str]) -> str | None:
    for place, word in enumerate(words):
        if word == option and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def _read(parser: "Parser", path: str) -> "tuple[str, dict[str, Any]]":
    from tomllib import TOMLDecodeError, loads

    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return text, loads(text)
    except (TOMLDecodeError, UnicodeDecodeError) as error:
        parser.error(f"{path}: {error}")


def _line_of(key: str, text: str) -> int:
    found = re.search(rf"^[ \t]*\[*[ \t]*[\"']?{re.escape(key)}\b", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found is not None else 1


def _words(parser: "Parser", option: "Option", key: str, value: "Any", place: str) -> "Iterator[str]":
    if option.is_switch:
        if not isinstance(value, bool):
            parser.error(f"{place}: {key} is true or false")
        if value:
            yield f"--{key}"
        return
    several = isinstance(value, list)
    if several and not option.is_repeatable:
        parser.error(f"{place}: {key} is one value, not a list")
    for each in value if several else [value]:
        if isinstance(each, bool) or not isinstance(each, str | int | float):
            parser.error(f"{place}: {key} is text or a number")
        # In one word: a value may begin with a dash.
        yield f"--{key}={each}"
