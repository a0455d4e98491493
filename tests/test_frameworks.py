"""The pages about frameworks and tracing show the files of docs/frameworks/ word for word, and these stay short."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest

import smtpkit.sync
from smtpkit import ConnectionLost

DOCS = Path(__file__).parent.parent / "docs"
FILES = sorted((DOCS / "frameworks").glob("*.py"))
BACK_ENDS = [path for path in FILES if path.name != "tracing.py"]


def test_each_file_stands_on_a_page_word_for_word():
    pages = (DOCS / "frameworks.md").read_text() + (DOCS / "observability.md").read_text()
    assert len(FILES) == 4
    assert not [path.name for path in FILES if f"```python\n{path.read_text()}```" not in pages]


@pytest.mark.parametrize("path", BACK_ENDS, ids=lambda path: path.name)
def test_a_back_end_has_less_than_thirty_lines(path):
    assert len(path.read_text().splitlines()) < 30


class Span:
    """What a tracer gives, as far as the example uses it."""

    def __init__(self, name, **options):
        self.name = name
        self.options = options
        self.told = []

    def record_exception(self, error):
        self.told.append(type(error).__name__)

    def set_status(self, status, description):
        self.told.append(status)

    def end(self, end_time):
        self.seconds = (end_time - self.options["start_time"]) / 1e9


class Tracer:
    def __init__(self):
        self.spans = []

    def start_span(self, name, **options):
        self.spans.append(Span(name, **options))
        return self.spans[-1]


def test_the_tracing_example_makes_a_span_for_each_connection_and_send(monkeypatch):
    stub = types.ModuleType("opentelemetry.trace")
    stub.SpanKind = types.SimpleNamespace(CLIENT="client")
    stub.StatusCode = types.SimpleNamespace(ERROR="error")
    monkeypatch.setitem(sys.modules, "opentelemetry", types.ModuleType("opentelemetry"))
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", stub)
    spec = importlib.util.spec_from_file_location("tracing", DOCS / "frameworks" / "tracing.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tracer = Tracer()
    observer = module.Tracing(tracer)
    with smtpkit.sync.serve(lambda message: None, port=0, hostname="mx.example") as server:
        host, port = server.address
        with smtpkit.sync.connect(host, port, observer=observer) as client:
            client.send("a@a.example", "b@b.example", b"x")
    with pytest.raises(ConnectionLost):
        smtpkit.sync.connect(host, port, observer=observer)
    assert [(span.name, span.told) for span in tracer.spans] == [
        ("smtp connect", []),
        ("smtp send", []),
        ("smtp connect", ["ConnectionLost", "error"]),
    ]
    assert all(0 <= span.seconds < 20 for span in tracer.spans)
    attributes = tracer.spans[1].options["attributes"]
    assert attributes == {"server.address": host, "server.port": port, "smtp.recipients.accepted": 1}
