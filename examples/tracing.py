"""An OpenTelemetry span for each operation; needs `opentelemetry-api`, and an SDK that exports them."""

from __future__ import annotations

import os
from typing import Any

from data_bridge import Listener, MongoClient, OperationFailed, OperationStarted, OperationSucceeded, add_listener


class Spans(Listener):
    """Spans of kind client, with the attributes of the semantic conventions for databases; no values of documents."""

    def __init__(self) -> None:
        from opentelemetry import trace

        self._trace = trace
        self._tracer = trace.get_tracer("data_bridge")
        self._open: dict[int, Any] = {}

    def started(self, event: OperationStarted) -> None:
        # Called on the thread, or in the task, that runs the operation: the span's parent is the current one there.
        self._open[event.request_id] = self._tracer.start_span(
            event.name, kind=self._trace.SpanKind.CLIENT, attributes=event.attributes
        )

    def succeeded(self, event: OperationSucceeded) -> None:
        if span := self._open.pop(event.request_id, None):
            span.set_attributes(event.attributes)
            span.end()

    def failed(self, event: OperationFailed) -> None:
        if span := self._open.pop(event.request_id, None):
            span.set_attributes(event.attributes)
            span.set_status(self._trace.StatusCode.ERROR)
            span.end()


def main() -> None:
    add_listener(Spans())
    with MongoClient(os.environ.get("MONGODB_URI", "mongodb://localhost:27017")) as client:
        orders = client["data_bridge_demo"]["orders"]
        print(len(orders.find({"status": "paid"}).read()), "paid orders")


if __name__ == "__main__":
    main()
