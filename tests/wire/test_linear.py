"""No input costs a parser of wire/ more than time linear in its length, by counting and by the form of its patterns.

Two methods, neither of which looks at a clock:

- What Python does is counted, line by line, on adversarial inputs of growing length.
- What `re` does cannot be counted, but it follows from the form of a pattern.  `linear()` below refuses each form
  that could try a long stretch of the input more than once.  Every pattern that the sources of wire/ hand to `re`
  is found in their syntax trees, so that none is forgotten.

What other C code does (`split`, `find`, `decode`) is linear in what one call is given; each is called by a line.
"""

import ast
import re
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

import smtpkit.wire
from smtpkit.errors import ParseError
from smtpkit.wire import addresses, capabilities, commands, literals, parameters, proxy, replies, status, xtext
from smtpkit.wire.parameters import PARAMETERS

# What Python does

UNITS = (
    *' ."\\+=,;@<>[]:-\t\r\na9\xe9',
    *(' "', '\\"', '""', "+4", "+41", "\\x{41}", "\\x{", "a.", "a@", "@a,", "@a.b,@[1.2.3.4]:", "a=", "a=b ", "X=1 "),
    *("a;", "SUCCESS,", "\r\n", "250-\r\n", "250-2.0.0 a\r\n", "AUTH=a b\n", "AUTH c\n", "a b\n", "::", "1:", "1."),
    "\u0915\u094d",
)
LINES = (
    *("", "X ", "EHLO ", "NOOP ", 'NOOP "', "VRFY ", 'VRFY "', "BDAT ", "AUTH ", "AUTH PLAIN ", "ETRN ", "XCLIENT A="),
    *("MAIL FROM:<", "MAIL FROM:", "MAIL FROM:<@", 'RCPT TO:<"', "RCPT TO:<a@", "RCPT TO:<a@b.example> "),
)


def _command(text, *, line, strict):
    commands.parse_command((line + text).encode(), strict=strict)


def _reply(text):
    bytes(replies.parse_reply(b"250-x\r\n" + text.encode() + b"\r\n250 x\r\n"))


def _capabilities(text):
    offered = capabilities.Capabilities.parse(replies.Reply(250, ["mx", *text.replace("\r", "").split("\n")]))
    assert offered.limits is not None
    assert offered.auth is not None


def _proxy(text):
    proxy.parse_proxy_header(b"PROXY TCP4 " + text.encode())


PARSERS = {
    **{
        f"parse_command({line!r}, strict={strict})": partial(_command, line=line, strict=strict)
        for line in LINES
        for strict in (True, False)
    },
    "parse_reply": _reply,
    "Capabilities": _capabilities,
    "parse_proxy_header": _proxy,
    "EnhancedStatus.parse": status.EnhancedStatus.parse,
    "Mailbox.parse": addresses.Mailbox.parse,
    "Mailbox": lambda text: addresses.Mailbox(text, "b.example"),
    "Mailbox, domain": lambda text: addresses.Mailbox("a", text),
    "domain_or_literal": addresses.domain_or_literal,
    "address_literal": literals.address_literal,
    "literal_address": lambda text: literals.literal_address(f"[{text}]"),
    "literal_address, IPv6": lambda text: literals.literal_address(f"[IPv6:{text}]"),
    "xtext_decode": xtext.xtext_decode,
    "xtext_encode": xtext.xtext_encode,
    "utf8_xtext_decode": xtext.utf8_xtext_decode,
    "utf8_xtext_encode": xtext.utf8_xtext_encode,
    "parse_parameters": lambda text: parameters.parse_parameters("MAIL", text),
    **{f"parameter {codec.keyword}": codec.parse for known in PARAMETERS.values() for codec in known.values()},
}


def operations(parse, text):
    """The lines of Python that a parser runs to take an input, or to refuse it."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        parse(text)
    except ParseError:
        pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", PARSERS)
def test_operations_grow_no_faster_than_the_input(name):
    for unit in UNITS:
        few, many = (operations(PARSERS[name], unit * (length // len(unit))) for length in (1600, 6400))
        assert many <= 4 * few + 200, (unit, few, many)


@pytest.mark.parametrize("keyword", ["AUTH", "AUTH=x", "LIMITS", "SIZE"])
def test_lines_of_an_ehlo_reply_are_merged_in_linear_time(keyword):
    def offer(lines):
        return "\n".join(f"{keyword} {' '.join(f'A{line}-{number}=1' for number in range(9))}" for line in range(lines))

    few, many = (operations(_capabilities, offer(lines)) for lines in (50, 400))
    assert many <= 8 * few + 200


# What `re` does

LIMIT = 300  # octets: what is never wider costs a constant
UNANCHORED = {"search", "sub", "subn", "split", "findall", "finditer"}
OTHERS = (0x100, 0xD800, 0x1F600)  # for all that is beyond Latin-1: no class tells more apart
ALL = frozenset((*range(256), *OTHERS))
ONE_CHARACTER = {"LITERAL", "NOT_LITERAL", "ANY", "IN", "CATEGORY"}

# Patterns in local variables: the module, the name, and what it may be.
LOCAL = {
    ("commands", "pattern"): [row[3] for row in commands.TOLERANCES if row[4] is not None],
    ("xtext", "pattern"): [xtext._NO_QCHAR, xtext._NO_QCHAR_IN_ASCII],
}


def patterns():
    """Each pattern of wire/, with where it stands and whether it is looked for at every place of the input."""
    for path in sorted(Path(smtpkit.wire.__file__).parent.glob("*.py")):
        module = import_module(f"smtpkit.wire.{path.stem}")
        tree = ast.parse(path.read_text())
        called_later = {id(node.value): node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.module == "re"), "patterns are looked for as re.…()"
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re"):
                continue
            method = node.func.attr
            if method == "compile":
                method = called_later.get(id(node), "search")
            argument = node.args[0]
            local = isinstance(argument, ast.Name) and LOCAL.get((path.stem, argument.id))
            expression = compile(ast.Expression(argument), path.name, "eval")
            for pattern in local or [eval(expression, vars(module))]:
                yield f"{path.name}:{node.lineno}", pattern, method in UNANCHORED


def linear(pattern, *, unanchored):
    """Say why a pattern could take more than linear time, or nothing.

    A repeat of a long stretch gives nothing back: it is possessive, or what follows it begins with a character that
    begins none of its turns, so that each turn given back fails at once.  Groups repeat in the second way: Python
    before 3.11.5 forgets where a possessive group stood before the turn that failed.  One such repeat may stand in
    another if each of its turns either moves on or fails at its first characters.  An alternative in a repeat that
    may go far before it fails begins with a character that begins no later alternative: its failure ends the repeat.
    A pattern that is looked for everywhere fails at its first characters too, or begins with \\A.
    """
    tree = re._parser.parse(pattern)
    problems = list(_problems(tree, 0, frozenset()))
    begins = tree.data[0] if tree.data else None
    anchored = begins is not None and str(begins[0]) == "AT" and str(begins[1]) == "AT_BEGINNING_STRING"
    if unanchored and not anchored and _fails_late(tree):
        problems.append("it is looked for everywhere, and may go far before it fails")
    return problems


def _problems(sequence, depth, following):
    for index, (operation, value) in enumerate(sequence):
        name = str(operation)
        parts = _parts(name, value)
        behind = _behind(sequence[index + 1 :], following)
        if name.endswith("_REPEAT"):
            again = _first(value[2]) if value[1] > 1 else frozenset()
            if _is_long(_width(name, value)):
                yield from _problems_of_repeat(name, value, depth, behind)
                depth_inside = depth + (value[1] > 1)
            else:
                depth_inside = depth
            behind |= again
        else:
            depth_inside = depth
        if name in ("ASSERT", "ASSERT_NOT") and any(_is_long(part.getwidth()[1]) for part in parts):
            yield "it looks far ahead"
        if name in ("GROUPREF", "GROUPREF_EXISTS"):
            yield "it refers to a group"
        if name == "BRANCH" and depth:
            for number, part in enumerate(parts):
                later = frozenset().union(*(_first(other) for other in parts[number + 1 :]))
                if _is_long(part.getwidth()[1]) and _first(part) & later:
                    yield "in a repeat, two alternatives begin alike, the first of them long"
        for part in parts:
            yield from _problems(part, depth_inside, behind)


def _behind(rest, following):
    """The characters with which what follows may begin; none at the end of the input."""
    begins = frozenset()
    for operation, value in rest:
        name = str(operation)
        if name == "AT":
            return begins if str(value) == "AT_END_STRING" else begins | following
        if name in ("ASSERT", "ASSERT_NOT"):
            continue
        if name in ONE_CHARACTER:
            return begins | _first([(operation, value)])
        parts = _parts(name, value)
        if not parts:
            return ALL  # it refers to a group
        begins |= frozenset().union(*(_first(part) for part in parts))
        if min(part.getwidth()[0] for part in parts) and not (name.endswith("_REPEAT") and not value[0]):
            return begins
    return begins | following


def _problems_of_repeat(name, value, depth, behind):
    _, most, body = value
    if most > 1 and name != "POSSESSIVE_REPEAT" and _first(body) & behind:
        yield "a long repeat gives back"
    if most == 1 and depth:
        yield "in a repeat, a long part is optional"
    if depth and _fails_late(body):
        yield "a repeat in a repeat may go far before it fails"


def _fails_late(sequence):
    """Whether it may take a long stretch and fail after it."""
    long = False
    for operation, value in sequence:
        name = str(operation)
        least = value[0] if name.endswith("_REPEAT") else 1
        if (long and least) or any(_fails_late(part) for part in _parts(name, value)):
            return True
        long = long or _is_long(_width(name, value))
    return False


def _parts(name, value):
    if name == "BRANCH":
        return value[1]
    if name == "SUBPATTERN":
        return [value[3]]
    if name.endswith("_REPEAT"):
        return [value[2]]
    if name in ("ASSERT", "ASSERT_NOT"):
        return [value[1]]
    return [value] if name == "ATOMIC_GROUP" else []


def _width(name, value):
    widest = max([part.getwidth()[1] for part in _parts(name, value)], default=1)
    return widest * value[1] if name.endswith("_REPEAT") else widest


def _is_long(width):
    return width > LIMIT


def _first(sequence):
    """The characters with which it may begin, in either case; all if it may be empty."""
    for operation, value in sequence:
        name = str(operation)
        if name in ONE_CHARACTER:
            return {other for code in ALL if _holds(name, value, code) for other in _cases(code)}
        if name in ("AT", "ASSERT", "ASSERT_NOT"):
            continue
        parts = _parts(name, value)
        if min(part.getwidth()[0] for part in parts) and not (name.endswith("_REPEAT") and not value[0]):
            return frozenset().union(*(_first(part) for part in parts))
        break
    return ALL


def _holds(name, value, code):
    if name == "IN":
        negated = str(value[0][0]) == "NEGATE"
        return negated is not any(_holds(str(kind), member, code) for kind, member in value[negated:])
    if name == "RANGE":
        return value[0] <= code <= value[1]
    if name in ("LITERAL", "NOT_LITERAL"):
        return (value == code) is (name == "LITERAL")
    return True  # of a category, or a dot, nothing is known


def _cases(code):
    return (code, ord(chr(code).swapcase())) if code < 128 else (code,)


def test_no_pattern_of_wire_backtracks():
    found = list(patterns())
    assert len(found) > 30
    wrong = {
        f"{place} {pattern!r}": reasons
        for place, pattern, all_places in found
        if (reasons := linear(pattern, unanchored=all_places))
    }
    assert not wrong


@pytest.mark.parametrize(
    ("pattern", "unanchored"),
    [
        (r"(a+)+b", False),
        (r"[a-z]*[a-z]*", False),
        (r"(?:a+|b)*+", False),
        (r"(?:a++b|a)*+", False),
        (r"(?:x(?:[ax]++b)*+a?)*+", False),
        (r"(?:(?:a++b)?a)*+", False),
        (r"(?:a(?=.*b))*+", False),
        (r"(a*+)\1", False),
        (r"(?:a++b|A)*+", False),
        (r'"[^"]*+"', True),
        (r"[^}]{2,}+}", True),
    ],
)
def test_forms_that_may_take_longer_are_recognized(pattern, unanchored):
    assert linear(pattern, unanchored=unanchored)


@pytest.mark.parametrize("pattern", [r"\A[^}]++}", r"a{1,63}b", r"\r\n\.", r"x++", r"(?:a++|b++c)*+"])
def test_forms_that_cannot_are_let_pass(pattern):
    assert not linear(pattern, unanchored=pattern.startswith("\\"))
