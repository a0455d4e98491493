"""smtpkit/sync and smtpkit/asyncio are twins: their functions differ by `await`, and by what is listed here."""

import ast
import difflib
import inspect
import re
from pathlib import Path

import pytest

import smtpkit.asyncio
import smtpkit.sync

PACKAGE = Path(__file__).parent.parent / "smtpkit"
LONELY = {"buffer.py", "turns.py"}  # asyncio alone: a blocking socket reads otherwise; sync alone: threads need order
NO_TWIN = {"transport.py", "sockets.py", "waiting.py"}  # threads here, a loop there; both have the same public names
FILES = sorted(
    {path.name for colour in ("sync", "asyncio") for path in (PACKAGE / colour).glob("*.py")} - NO_TWIN - LONELY
)

# What a name, or a text, of the asyncio file is in the sync file.
NAMES = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "anext": "next",
    "__anext__": "__next__",
    "AsyncIterator": "Iterator",
    "asynccontextmanager": "contextmanager",
}
TEXTS = [
    ("AsyncGenerator[bytes, None]", "Generator[bytes, None, None]"),
    ("AsyncIterator", "Iterator"),
]

# Functions that may differ, and why.  A function of one colour alone is listed too.
DIFFERENT = {
    "client.py": {
        "Connecting": "asyncio: an object to await or to enter, for there is no awaiting in an expression",
        "Client._forget": "sync: a forked child has its parent's sockets",
        "connect": "asyncio: gives Connecting",
        "_next_piece": "asyncio: a body may be an async iterable",
        "_called": "asyncio: a token may come from a coroutine function",
    },
    "connection.py": {
        "Connection.__init__": "asyncio: a timer for a call that was cancelled; sync: a thread that ends the session",
        "Connection.overdue": "a task can be cancelled, a thread cannot be ended",
        "Connection._call": "asyncio: a call that was cancelled is answered, and the session goes on",
        "Connection._caught_up": "asyncio: a task must be told that its cancellation has been heeded",
    },
    "pool.py": {
        "Pool.__init__": "sync: known to what follows a fork",
        "Pool.send_many": "tasks there, threads here, which take the caller's items in the caller's thread",
        "Pool._send_next": "asyncio: an item may take its time",
        "Pool._begin_anew": "a lock here, an event loop there",
        "Pool._home": "asyncio: connections belong to an event loop",
        "_Source": "asyncio: an item may take its time",
        "_forget_all": "sync: connections belong to a process; there a child has another event loop",
    },
    "server.py": {
        "Server.__await__": "asyncio: a server may be awaited",
        "Server.__init__": "sync: connections are threads, which take turns",
        "serve": "asyncio: in_thread",
    },
    "session.py": {
        "Session.on_login": "asyncio: `verify` may be a coroutine function; what hashes does so in a worker thread",
        "session_factory": "each refuses functions of the other's kind; asyncio: in_thread",
        "_StoreSession._begin": "asyncio: a thread that was begun cannot be called back",
        "_ThreadSession": "asyncio: a plain function in a worker thread",
    },
}


class Synchronous(ast.NodeTransformer):
    """Maps the syntax of an asyncio function to that of its twin."""

    def visit_AsyncFunctionDef(self, node):
        return self.visit(ast.FunctionDef(**{field: getattr(node, field, None) for field in ast.FunctionDef._fields}))

    def visit_FunctionDef(self, node):
        node.name = NAMES.get(node.name, node.name)
        if ast.get_docstring(node) is not None:
            del node.body[0]  # docstrings say "await"
        node.body = node.body or [ast.Pass()]
        return self.generic_visit(node)

    def visit_Await(self, node):
        return self.visit(node.value)

    def visit_AsyncFor(self, node):
        return self.visit(ast.For(node.target, node.iter, node.body, node.orelse, None))

    def visit_AsyncWith(self, node):
        return self.visit(ast.With(node.items, node.body, None))

    def visit_With(self, node):
        # Locks are for threads.
        if ast.unparse(node.items[0].context_expr).endswith("_lock"):
            return [self.visit(statement) for statement in node.body]
        return self.generic_visit(node)

    def visit_Call(self, node):
        if ast.unparse(node.func) == "asyncio.to_thread":
            return self.visit(ast.Call(node.args[0], node.args[1:], node.keywords))
        return self.generic_visit(node)

    def visit_ImportFrom(self, node):
        node.module = node.module.replace("smtpkit.asyncio", "smtpkit.sync")
        return node

    def visit_Name(self, node):
        node.id = NAMES.get(node.id, node.id)
        return node

    def visit_Attribute(self, node):
        node.attr = NAMES.get(node.attr, node.attr)
        return self.generic_visit(node)

    def visit_Constant(self, node):
        if isinstance(node.value, str):
            for before, after in TEXTS:
                node.value = node.value.replace(before, after)
        return node


def functions(colour, name):
    """Qualified name -> lines of the function, mapped, in the file's order."""
    found = {}

    def collect(body, prefix):
        for node in body:
            if isinstance(node, ast.ClassDef):
                heading = ast.ClassDef(node.name, node.bases, node.keywords, [ast.Pass()], node.decorator_list)
                found[prefix + node.name] = ast.unparse(heading).splitlines()
                collect(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                mapped = ast.fix_missing_locations(Synchronous().visit(node))
                found[prefix + mapped.name] = ast.unparse(mapped).splitlines()

    collect(ast.parse((PACKAGE / colour / name).read_text()).body, "")
    return found


def is_listed(name, function):
    listed = DIFFERENT.get(name, {})
    return function in listed or function.partition(".")[0] in listed


@pytest.mark.parametrize("name", FILES)
def test_functions_differ_by_await_alone(name):
    ours, theirs = functions("sync", name), functions("asyncio", name)
    differences = []
    for function in dict.fromkeys((*ours, *theirs)):
        if not is_listed(name, function):
            lines = difflib.unified_diff(
                ours.get(function, []), theirs.get(function, []), f"sync {function}", f"asyncio {function}", lineterm=""
            )
            differences += lines
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("name", FILES)
def test_functions_stand_in_the_same_order(name):
    ours, theirs = functions("sync", name), functions("asyncio", name)
    assert [each for each in ours if each in theirs] == [each for each in theirs if each in ours]


@pytest.mark.parametrize("name", FILES)
def test_no_exception_is_listed_in_vain(name):
    ours, theirs = functions("sync", name), functions("asyncio", name)
    needless = [each for each in DIFFERENT.get(name, {}) if ours.get(each) == theirs.get(each)]
    assert not needless


@pytest.mark.parametrize("name", ["connect", "serve", "send_message", "Pool", "Relay"])
def test_arguments_are_described_in_the_same_words(name):
    """They stand twice, since editors show what stands in a file; but for what each colour alone has."""
    ours, theirs = (described(getattr(module, name)) for module in (smtpkit.sync, smtpkit.asyncio))
    del ours["handler"], theirs["handler"]
    theirs.pop("in_thread", None)
    assert ours == theirs
    assert len(ours) > 3


def described(function):
    """Argument -> what the docstring says of it."""
    text = inspect.getdoc(function).partition("Args:\n")[2].partition("\n\n")[0]
    found = {"handler": ""}
    for names, words in re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", text, re.MULTILINE):
        found[names] = " ".join(words.split())
    return found


@pytest.mark.parametrize("name", sorted(NO_TWIN))
def test_files_that_are_no_twins_have_the_same_public_names(name):
    ours, theirs = ({*functions(colour, name)} for colour in ("sync", "asyncio"))
    public = [{each for each in names if "._" not in each and not each.startswith("_")} for names in (ours, theirs)]
    of_the_loop = {"get_buffer", "buffer_updated", "eof_received", "connection_lost", "pause_writing", "resume_writing"}
    facts = {"closed", "local", "peer"}  # properties there, attributes here
    assert public[1] - public[0] <= {f"Transport.{each}" for each in of_the_loop | facts | {"cancel"}}
    assert public[0] - public[1] <= {"Transport.give_up", "Watchdog.end"}
