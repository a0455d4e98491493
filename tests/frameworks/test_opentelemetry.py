"""docs/frameworks/tracing.py with the real SDK."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import smtpkit.sync
from smtpkit import ConnectionLost, RecipientsRefused


def test_spans_stand_under_the_span_of_the_caller(example, smtp):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("shop")
    observer = example("tracing").Tracing(tracer)
    with (
        smtp() as (url, _),
        tracer.start_as_current_span("request"),
        smtpkit.sync.connect(url, observer=observer) as client,
    ):
        client.send("shop@example.org", ["bob@example.net", "nobody@example.net"], b"x")
        with pytest.raises(RecipientsRefused):
            client.send("shop@example.org", "nobody@example.net", b"x")
        address = client.url
    with pytest.raises(ConnectionLost):
        smtpkit.sync.connect(url, observer=observer)
    connected, sent, refused, request, lost = exporter.get_finished_spans()
    assert [span.name for span in (connected, sent, refused, lost)] == [
        "smtp connect",
        "smtp send",
        "smtp send",
        "smtp connect",
    ]
    assert {span.kind for span in (connected, sent, refused, lost)} == {SpanKind.CLIENT}
    assert {span.parent.span_id for span in (connected, sent, refused)} == {request.context.span_id}
    assert connected.start_time < connected.end_time <= sent.end_time
    assert connected.attributes["tls.protocol.version"] == "TLSv1.3"
    assert dict(sent.attributes) == {
        "server.address": "localhost",
        "server.port": int(address.rpartition(":")[2]),
        "smtp.recipients.accepted": 1,
        "smtp.recipients.refused": 1,
    }
    assert [span.status.status_code for span in (connected, sent, refused, lost)] == [
        StatusCode.UNSET,
        StatusCode.UNSET,
        StatusCode.ERROR,
        StatusCode.ERROR,
    ]
    assert refused.events[0].attributes["exception.type"] == "smtpkit.errors.RecipientsRefused"
    assert "s3cret" not in "".join(span.to_json() for span in exporter.get_finished_spans())
