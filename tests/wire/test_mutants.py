"""Every rule of dots and lines is held by a test: each change of one, listed here, is found."""

import runpy
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import smtpkit.wire

model = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("transparency.py"))))
WIRE = Path(smtpkit.wire.__file__).parent

# The rule that is broken, what states it, and what stands there instead.
DOTS = [
    (
        "the DATA line begins the first line to stuff",
        "_begun = _CRLF  # what of CRLF the",
        '_begun = b""  # what of CRLF the',
    ),
    ("the DATA line is half of an end", "_begun = _CRLF  # what of CRLF.CRLF", '_begun = b""  # what of CRLF.CRLF'),
    ("a dot behind CRLF of the piece before is stuffed", 'if begun and chunk[0] in b".\\n"', "if False"),
    (
        "an LF behind CR of the piece before completes it",
        'if begun and chunk[0] in b".\\n"',
        'if begun and chunk[0] in b"."',
    ),
    ("what was given is not given again by the stuffer", "return chunk[given:]", "return chunk"),
    (
        "one dot more, and only one",
        ".join(_split_at_leading_dots(chunk))",
        '.join(_split_at_leading_dots(chunk)) + b""[:0] + b"."',
    ),
    ("stuffed lines keep their CRLF", 'b"\\r\\n..".join', 'b"\\n..".join'),
    ("a dot is doubled, not tripled", 'b"\\r\\n..".join', 'b"\\r\\n...".join'),
    ("a dot is doubled", 'b"\\r\\n..".join', 'b"\\r\\n.".join'),
    ("a body without its CRLF gets one", 'else b"\\r\\n.\\r\\n"', 'else b".\\r\\n"'),
    ("a body with its CRLF gets no other", 'return b".\\r\\n" if self._begun == _CRLF else', "return"),
    ("the end-of-data line is dot, CRLF", 'return b".\\r\\n" if', 'return b".\\n" if'),
    ("CR at the end of a body is no line end", "if self._begun == _CRLF", "if self._begun"),
    ("an empty chunk of a body changes nothing", "if not chunk:", "if False:"),
    ("an empty piece of a payload changes nothing", "if not octets:", "if False:"),
    ("after the end nothing is content", "if self.eof:\n", "if False:\n"),
    ("octets after the end are kept", "self._behind.append(octets)", "self._behind = [octets]"),
    (
        "octets after the end are copied once",
        "self._behind.append(octets)",
        "self._behind = [self._behind[0] + octets]",
    ),
    (
        "unused_data may be read again",
        '        self._behind = [b"".join(self._behind)]\n        return self._behind[0]',
        "        return self._behind.pop(0)",
    ),
    ("there are three policies", 'if bare_newlines not in ("reject", "normalize", "keep"):', "if False:"),
    ("64 dots are no more than 64", "len(pieces) > 64", "len(pieces) >= 64"),
    ("the offset is that of the end", "len(octets) - len(unstuffer.unused_data)", "len(unstuffer.unused_data)"),
    (
        "a dot behind CRLF of the piece before is removed",
        'if len(begun) > 2 or (begun and octets[0] in b".\\n")',
        "if len(begun) > 2",
    ),
    ("a dot and what follows it may be in two pieces", "if len(begun) > 2 or (begun and", "if (begun and"),
    ("what was given is not given again", "given = min(len(begun), 2)", "given = 0"),
    ("the dot is never content", "given = min(len(begun), 2)", "given = min(len(begun), 1)"),
    ("a CR held back is given later", "given = min(len(begun), 2)", "given = len(begun)"),
    ("the quick look finds the end", 'min(pieces) < b"\\r\\x0b"', 'min(pieces) < b"\\r"'),
    ("the quick look takes no line for the end", "(end := _piece_behind_end(pieces))", "(end := 1)"),
    ("the CRLF before the end is content", 'pieces[end:] = [b""]', "pieces[end:] = []"),
    ("nothing behind the end is content", 'pieces[end:] = [b""]', 'pieces[end + 1 :] = [b""]'),
    ("the end is noted", "self.eof = True\n            self._behind = [octets", "self._behind = [octets"),
    ("the end alone is noted", "self.eof = True\n            self._behind = [pieces", "self._behind = [pieces"),
    ("octets behind the end alone are counted from it", "[pieces[1][2:]]", "[pieces[1][1:]]"),
    ("the end alone gives only what is new", "return (pieces[0] + _CRLF)[given:]", "return pieces[0] + _CRLF"),
    ("octets behind the end are counted from it", "len(content) + end + 2 :", "len(content) + end + 1 :"),
    ("each dot that was removed counts", "len(content) + end + 2 :", "len(content) + 3 :"),
    ("the end gives only what is new", "return content[given:]\n        last", "return content\n        last"),
    ("CR behind a dot is held back", 'last in (b"", _CR)', 'last == b""'),
    ("a dot at the end of a piece is remembered", 'last in (b"", _CR)', "last == _CR"),
    ("the CR behind a dot is remembered", 'self._begun = b"\\r\\n." + last', 'self._begun = b"\\r\\n."'),
    ("the CR that is held back is not given", '            pieces[-1] = b""\n', ""),
    ("a removed dot leaves CRLF", "return _CRLF.join(pieces)[given:]", 'return b"\\n".join(pieces)[given:]'),
    ("the end of a piece is looked at", "self._begun = _begun_at_end(last)", 'self._begun = b""'),
    ("the end of a piece without dots is looked at", "self._begun = _begun_at_end(octets)", 'self._begun = b""'),
    ("LF alone ends no line", "_CRLF if octets.endswith(_CRLF)", '_CRLF if octets.endswith(b"\\n")'),
    ("a CR at the end of a piece is remembered", 'else _CR if octets.endswith(_CR) else b""', 'else b""'),
    ("a dot behind LF alone begins no line", 'rb"\\r\\n\\."', 'rb"\\n\\."'),
    ("a dot is a dot", 'rb"\\r\\n\\."', 'rb"\\r\\n."'),
    ("dots are found beyond the first 64", "if len(pieces) > 64:", "if False:"),
    ("dots beyond the first 64 stand behind CRLF", 'pieces[64].split(b"\\r\\n.")', 'pieces[64].split(b"\\n.")'),
    ("LF alone is not the second half of the end", "piece.startswith(_CRLF)", 'piece.startswith((_CRLF, b"\\n"))'),
    ("CR alone is not the second half of the end", "piece.startswith(_CRLF)", "piece.startswith(_CR)"),
    ("a dot line may come right behind the end", "or (not piece and index < last)", ""),
    ("a dot at the end of a piece is not the end", "(not piece and index < last)", "not piece"),
    ("the first end is the end", "for index in range(1, last + 1)", "for index in range(last, 0, -1)"),
    ("what begins a payload stands behind no dot", "for index in range(1, last + 1)", "for index in range(last + 1)"),
    ("the last piece may be the end", "for index in range(1, last + 1)", "for index in range(1, last)"),
    ("lone newlines are violations", 'newlines in (None, "\\r\\n") and', 'newlines in (None, "\\r\\n", "\\n") and'),
    ("lone CRs are violations", 'newlines in (None, "\\r\\n") and', 'newlines in (None, "\\r\\n", "\\r") and'),
    ("NUL is a violation", ' and b"\\0" not in content', ""),
    ("only content is judged", 'b"\\0" not in content', 'b"\\0" not in octets'),
    ('only "reject" judges', 'if bare_newlines == "reject" else None', "if bare_newlines else None"),
    ('"normalize" does', 'NewlineNormalizer() if bare_newlines == "normalize" else None', "None"),
    ("after a violation nothing is given", 'return b""\n\n    def _unstuff', "return content\n\n    def _unstuff"),
    ("the first violation stays", "if self.violation is None:", "if True:"),
    ("a CR before the piece is judged in its place", "_CR + content if after_cr else content", "content"),
    ("a CR of CRLF is none", "\\r(?!\\n)", "\\r"),
    ("an LF of CRLF is none", "(?<!\\r)\\n", "\\n"),
    ("a payload without its end is refused", "if not unstuffer.eof:", "if False:"),
    ("octets behind a whole payload are refused", "if unstuffer.unused_data:", "if False:"),
    ("a whole payload is not judged", 'DotUnstuffer("keep")', "DotUnstuffer()"),
]
LINES = [
    ("a line ends before its CRLF", "return front[start:end]", "return front[start : end + 1]"),
    ("the CRLF is read with its line", "self._searched = end + 2", "self._searched = end + 1"),
    ("a line begins behind the one before", "return front[start:end]", "return front[:end]"),
    ("the limit counts the CRLF", "end + 2 - start > limit", "end - start > limit"),
    ("a line may have as many octets as the limit", "end + 2 - start > limit", "end + 2 - start >= limit"),
    ("the limit is that of the line", "end + 2 - start > limit", "end + 2 > limit"),
    ("the end of a line that was skipped is told", "if self.overlong or end", "if end"),
    ("a line that was skipped is over", "self.overlong = False\n            return", "return"),
    ("what is skipped is not held", "if self.overlong or len(self) >= limit:", "if False:"),
    ("a line is not skipped before its limit", "len(self) >= limit", "len(self) >= limit - 1"),
    ("a line is skipped once its limit is reached", "len(self) >= limit", "len(self) > limit"),
    ("a line is skipped to its end", "if self.overlong or len(self) >= limit:", "if len(self) >= limit:"),
    ("a line under way is known to be too long", "            self.overlong = True\n", ""),
    ("the CR of a line that is skipped is remembered", 'b"\\r" if last.endswith(b"\\r") else b""', 'b""'),
    ("only a CR is remembered", 'b"\\r" if last.endswith(b"\\r") else b""', 'b"\\r"'),
    (
        "the last piece is asked for the CR",
        "self._pieces[-1] if self._pieces else self._front\n            self",
        "self._front\n            self",
    ),
    ("a piece behind unread octets is kept", "self._pieces.append(octets)", "pass"),
    ("its octets are counted", "self._pieces_size += len(octets)", "pass"),
    ("CRLF in a piece completes a line", 'b"\\r\\n" in octets or', "False or"),
    (
        "LF behind the CR of another piece completes a line",
        ' or (octets.startswith(b"\\n") and before.endswith(b"\\r"))',
        "",
    ),
    (
        "the piece before may be the first",
        "before = self._pieces[-1] if self._pieces else self._front",
        "before = self._pieces[-1] if self._pieces else b''",
    ),
    (
        "the piece before may be a later one",
        "before = self._pieces[-1] if self._pieces else self._front",
        "before = self._front",
    ),
    (
        "LF alone completes nothing that is worth a copy",
        '(octets.startswith(b"\\n") and before.endswith(b"\\r"))',
        'octets.startswith(b"\\n")',
    ),
    ("pieces are joined for a line alone", "if not self._completed:", "if not self._pieces:"),
    ("joined pieces are complete once", "        self._completed = False\n\n    def _starve", "\n    def _starve"),
    ("a CR may be the last octet that was searched", "len(rest) - 1), 0)", "len(rest)), 0)"),
    ("what was searched is not searched again", "self._searched = len(self._front)", "pass"),
    ("a search begins at the first unread octet", "self._searched = max(self._searched, self._at)", "pass"),
    ("octets taken are gone", "self._at += len(octets)", "self._at += 0"),
    ("the pieces count for take()", "if end > len(self._front) and self._pieces:", "if False:"),
    ("take() joins no more than it needs to", "if end > len(self._front) and self._pieces:", "if self._pieces:"),
    ("octets put back come first", "octets + self.take_all()", "self.take_all() + octets"),
    ("what was unread stays behind what is put back", "octets + self.take_all()", "octets"),
    (
        "clear() forgets a line that is skipped",
        "        self._empty()\n        self.overlong = False",
        "        self._empty()",
    ),
    (
        "clear() forgets the octets",
        "        self._empty()\n        self.overlong = False",
        "        self.overlong = False",
    ),
    (
        "the octets read are not counted",
        "len(self._front) - self._at + self._pieces_size",
        "len(self._front) + self._pieces_size",
    ),
    ("the beginning of a line is not copied at each read", "if self._at * 2 > len(self._front):", "if self._at:"),
    (
        "what comes stands behind the pieces that wait",
        "        if self._at == len(self._front) and not self._pieces:\n            self._front = octets",
        "        if self._at == len(self._front):\n            self._front = octets",
    ),
    (
        "a line behind a CRLF that was cut has its limit",
        "if end < 0:  # take() cut the CRLF in two\n                self._starve(limit)",
        "if end < 0:",
    ),
    ("what next_line() has read is not kept", '                self._front = b""  # what was read is not kept\n', ""),
    (
        "what take() has read is not kept",
        "        if self._at == len(self._front) and not self._pieces:\n            self._empty()\n",
        "",
    ),
    (
        "take_all() gives the unread alone",
        "octets = self._front[self._at :]  # the same",
        "octets = self._front  # the",
    ),
    (
        "take_all() leaves nothing",
        '        self._front = b""\n        self._at = self._searched = 0\n        return octets',
        "        return octets",
    ),
    (
        "take_all() gives the pieces too",
        "if self._pieces:\n            return self.take(len(self))",
        "if False:\n            pass",
    ),
    (
        "what was read before the beginning of a line is not kept",
        "            self._front = self._front[self._at :]\n            self._at = 0\n",
        "            pass\n",
    ),
    (
        "what is skipped leaves nothing but a CR",
        'b"\\r" if last.endswith(b"\\r") else b""',
        'b"\\r" if last.endswith(b"\\r") else b"x"',
    ),
    (
        "a new piece is read from its beginning",
        "self._at = self._searched = 0\n        elif",
        "self._searched = 0\n        elif",
    ),
]
RULES = [("dots.py", *rule) for rule in DOTS] + [("lines.py", *rule) for rule in LINES]
CHECKS = {
    "dots.py": (model.check_unstuffing, model.check_stuffing),
    "lines.py": (model.check_lines, model.check_linear_work),
}


def module_of(source, name):
    module = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def passes(module, file):
    try:
        for check in CHECKS[file]:
            check(module)
    except Exception:  # noqa: BLE001, whatever a broken module does
        return False
    return True


@pytest.mark.parametrize(("file", "rule", "original", "mutated"), RULES, ids=[rule[1] for rule in RULES])
def test_a_broken_rule_is_found(file, rule, original, mutated):
    source = (WIRE / file).read_text()
    assert source.count(original) == 1, f"the listed line occurs {source.count(original)} times"
    mutant = module_of(source.replace(original, mutated), f"mutant_of_{file[:-3]}")
    assert not passes(mutant, file), "no check finds the change"


@pytest.mark.parametrize("file", CHECKS)
def test_the_unchanged_source_passes(file):
    assert passes(module_of((WIRE / file).read_text(), "unchanged"), file)
