"""OpenTelemetry: `connect(…, observer=Tracing(tracer))`, or the same of a pool; a span for each connection and send."""

import time
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind, StatusCode

from smtpkit.sync import Observer


class Tracing(Observer):
    def __init__(self, tracer):
        self.tracer = tracer

    def connected(self, client, seconds):
        self.span("smtp connect", client, seconds, {"tls.protocol.version": client.tls.version if client.tls else ""})

    def connect_failed(self, client, error, seconds):
        self.span("smtp connect", client, seconds, {}, error)

    def sent(self, client, result, seconds):
        self.span("smtp send", client, seconds, self.verdicts(result.recipients))

    def send_failed(self, client, error, seconds):
        self.span("smtp send", client, seconds, self.verdicts(getattr(error, "recipients", {})), error)

    def verdicts(self, recipients):
        verdicts = [outcome.verdict.value for outcome in recipients.values()]
        return {f"smtp.recipients.{verdict}": verdicts.count(verdict) for verdict in verdicts}

    def span(self, name, client, seconds, attributes, error=None):
        end, where = time.time_ns(), urlsplit(client.url)
        server = {"server.address": where.hostname or where.path, "server.port": where.port or 0}
        start = end - int(seconds * 1e9)
        span = self.tracer.start_span(name, kind=SpanKind.CLIENT, start_time=start, attributes=server | attributes)
        if error is not None:
            span.record_exception(error)
            span.set_status(StatusCode.ERROR, str(error))
        span.end(end_time=end)
