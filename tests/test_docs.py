"""The pages in docs/ are true: what is made from the code is up to date, programs run, links lead somewhere."""

import ast
import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smtpkit import AuthPolicy, Limits, ServerConfig, Timeouts
from smtpkit.observing import COUNTERS, LIMIT_COUNTERS
from smtpkit.wire.parameters import PARAMETERS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
PATIENCE = 180  # seconds until a program that hangs fails; all of them begin at once
BLOCK = re.compile(r"^```(python(?: run)?)\n(.*?)^```$(?:\n\n?```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


def blocks(kind):
    """Each block of that kind, by page and line: its source, and the output shown behind it."""
    found = {}
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            if match[1] == kind:
                found[f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}"] = (match[2], match[3])
    return found


PROGRAMS = blocks("python run")
FRAGMENTS = blocks("python")


@pytest.fixture(scope="module")
def made():
    """The script that makes pages from the code."""
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    path = sys.path[:]
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """All programs, started at once: each in a directory of its own, which has the certificates of the tests."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    with contextlib.ExitStack() as stack:
        processes = {}
        for name, (source, _) in PROGRAMS.items():
            directory = tmp_path_factory.mktemp("program")
            for file in ("ca.pem", "server.pem", "client.pem"):
                shutil.copy(ROOT / "tests" / "certificates" / file, directory)
            process = subprocess.Popen(
                [sys.executable, "-c", source],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            processes[name] = process
        yield processes


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_whole_program_runs_and_prints_what_stands_behind_it(running, name):
    process = running[name]
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    output = PROGRAMS[name][1]
    assert printed == (output or printed)


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_compiles(name):
    compile(FRAGMENTS[name][0], name, "exec")


def test_there_are_programs_in_the_pages_that_promise_some():
    pages = {name.partition(":")[0] for name in PROGRAMS}
    assert pages >= {"extending.md", "howto.md", "sans-io.md", "wire.md"}


def test_the_reference_is_what_the_code_says(made):
    assert (DOCS / "reference.md").read_text() == made.reference()


def test_the_tables_of_states_and_extensions_are_those_of_the_code(made):
    assert (DOCS / "protocol.md").read_text() == made.protocol()


def test_the_tables_of_the_wire_layer_are_those_of_the_code(made):
    page = (DOCS / "wire.md").read_text()
    assert page == made.wire(page)
    tables = re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert [name for name, _ in tables] == ["tolerances", "parameters"]
    assert all(f"`{keyword}`" in dict(tables)["parameters"] for known in PARAMETERS.values() for keyword in known)


def test_the_tables_about_logins_are_those_of_the_code(made):
    page = (DOCS / "authentication.md").read_text()
    assert page == made.authentication(page)
    assert re.findall(r"<!-- (\w+) -->\n\| ", page) == ["mechanisms", "hints"]


def test_the_adapter_on_the_page_is_the_file_and_each_other_one_is_linked():
    page = (DOCS / "sans-io.md").read_text()
    files = sorted((DOCS / "loops").glob("*.py"))
    assert f"```python run\n{(DOCS / 'loops' / 'blocking.py').read_text()}```" in page
    assert not [file.name for file in files if f"(loops/{file.name})" not in page]


def test_the_sequences_at_the_end_of_data_are_those_of_the_module():
    """The table of `smtpkit/wire/dots.py` stands on the page too, word for word."""
    module = (ROOT / "smtpkit" / "wire" / "dots.py").read_text()
    rows = [line.strip() for line in module.split('"""')[1].splitlines() if re.match(r"    \S.*\S {3,}\S", line)]
    assert len(rows) == 16
    page = (DOCS / "wire.md").read_text()
    assert not [row for row in rows if row not in page]


def test_the_limits_are_those_of_the_code():
    limits = Limits()
    defaults = {name: f"{getattr(limits, name):,}" for name in Limits.__slots__ if getattr(limits, name) is not None}
    defaults |= {"unread": f"{limits.unread // 1024} KiB", "idle": f"{limits.idle} s", "transactions": "none"}
    defaults |= {"minimum_rate": f"{limits.minimum_rate} octets a second", "total": f"{limits.total:,} s"}
    defaults |= {"handler": f"{limits.handler} s"}
    defaults |= {"unread_before_login": f"{limits.unread_before_login // 1024} KiB"}
    defaults |= {"Ledger.failed_logins": "100 in ten minutes"}
    defaults |= {"max_message_size": f"{ServerConfig('mx.example').max_message_size >> 20} MiB"}
    defaults |= {"AuthPolicy.attempts": str(AuthPolicy().attempts)}
    page = (DOCS / "limits.md").read_text()
    rows = dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", page, re.MULTILINE))
    assert rows.pop("line").startswith("512 and what the offered extensions add")
    assert rows == defaults


def test_each_limit_has_its_counter_and_each_counter_its_line():
    limits = (DOCS / "limits.md").read_text()
    rows = re.findall(
        r"^\| `([\w.]+)`(?:, [^|]*)? \|.*\| (?:`(\w+)`|none: nobody is refused) \|$", limits, re.MULTILINE
    )
    named = {counter for _, counter in rows if counter}
    assert named == {f"over_{name}" for name in LIMIT_COUNTERS}
    assert {name for name, _ in rows} >= set(Limits.__slots__)
    operating = (DOCS / "operating.md").read_text()
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", operating.partition("### Counters")[2], re.MULTILINE))
    assert {name: shown.get(name) for name in COUNTERS} == COUNTERS


def test_the_time_outs_are_those_of_the_code():
    page = (DOCS / "limits.md").read_text().partition("## A client's time-outs")[2]
    shown = {}
    for names, seconds in re.findall(r"^\| (.+?) \| (\d+) \|", page, re.MULTILINE):
        shown |= dict.fromkeys(names.split(", "), float(seconds))
    words = {"each piece of content": "body", "a chunk but the last": "BDAT", "any other": "other"}
    table = {words.get(name, name): seconds for name, seconds in shown.items()}
    assert table == {name: seconds for name, seconds in Timeouts().table.items() if name not in ("HELO", "LHLO")}


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert not [page.name for page in PAGES if f"(docs/{page.name})" not in readme]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings]
            assert heading in anchors, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_sentence_has_a_line_of_its_own(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "- `", "#", "<!--"))]
    if page.name != "reference.md":  # made of docstrings
        assert not [line for line in lines if re.search(r"[a-z)`]\. [A-Z`]", line)]


def test_what_is_deployed_has_options_that_there_are():
    from smtpkit.cli import serve
    from smtpkit.cli.parser import Parser

    parser = Parser(prog="smtpkit serve", description="", epilog="")
    serve.configure(parser)
    deployed = DOCS / "deploy"
    container = re.search(r"^ENTRYPOINT (\[.*\])$", (deployed / "Containerfile").read_text(), re.MULTILINE)
    service = re.search(r"^ExecStart=\S+ (.*)$", (deployed / "smtpkit.service").read_text(), re.MULTILINE)
    for words in (
        ["--config", str(deployed / "smtpkit.toml")],
        ast.literal_eval(container[1])[2:],
        service[1].split()[1:],
    ):
        parser.parse_args(serve.expand(parser, words))
