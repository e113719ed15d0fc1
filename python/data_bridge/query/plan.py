"""The plan of a query, encoded and ready to start any number of times: a find, an aggregate, or bytes in memory."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

import bson

from .. import _core
from .._core import Codec, Document, InvalidQuery, Operation, Reader
from .._typing import Pipeline, Projection, Sort
from ..commands import encode
from ..commands.options import SNAKE_CASE, check_option, pairs, projection_of, with_option
from ..connection import codec
from ..connection.session_state import SessionState, in_transaction
from ..connection.session_state import native as native_session
from ..errors import InvalidOperation
from .find_command import FindCommand, projected
from .namespace import Namespace

P = TypeVar("P", bound="Plan")


class Plan(Protocol):
    """The start of a run, and the plans that differ from this one by one chained call."""

    @property
    def codec(self) -> Codec:
        """Conversion of values to Python objects."""

    def start(self, timeout: float | None, *, eager: bool) -> Reader:
        """Start a run."""

    def with_option(self: P, name: str, value: object) -> P:
        """Return the plan with one option changed; `name` is a key of `options.OPTIONS`."""

    def sort(self: P, keys: Sort, direction: int | None) -> P: ...
    def skip(self: P, count: int) -> P: ...
    def limit(self: P, count: int) -> P: ...
    def project(self: P, projection: Projection) -> P: ...
    def narrowed(self: P, keys: Sequence[str]) -> P:
        """Return the plan for a table with columns for these top-level keys only; `_id` comes too, to name documents.

        A result in which a document has a key twice must not be used: the server stops a projection when it has found
        as many keys as were requested, and then leaves others out. The projection also requests a key that does not
        exist, so a document in which this happens shows a key twice.
        """

    def columns(self) -> list[str] | None:
        """Return the top-level keys of the documents; None if the plan does not determine them."""

    def first(self: P) -> P | None:
        """Return the plan for the first document only; None when only the reader can stop early."""

    def explain(self, verbosity: str, timeout: float | None) -> Operation[bytes]:
        """Start the command that gives the server's plan."""

    def decoded(self, reply: bytes) -> dict[str, Any]:
        """Decode the reply of a command."""

    def request(self) -> dict[str, object]:
        """Return the parts of the request by name, for people."""

    def __repr__(self) -> str: ...


class _ServerPlan:
    """The common part of finds and aggregates: namespace, options, session."""

    __slots__ = ("_encoded", "namespace", "options", "session")

    def __init__(self, namespace: Namespace, options: Mapping[str, Any], session: SessionState | None) -> None:
        self.namespace = namespace
        self.options = dict(options)
        self.session = session
        native_session(session, namespace.core)
        codec_options = namespace.settings.codec_options
        self._encoded = encode.document(self.options, codec_options, "options") if options else encode.EMPTY

    @property
    def codec(self) -> Codec:
        return self.namespace.settings.codec

    def _selection(self) -> bytes:
        return self.namespace.selection(self.session)

    def _request_of(self, options: bytes) -> dict[str, object]:
        """Return the options in use, by the names of keyword arguments."""
        found: dict[str, object] = dict(_shown(options))
        found.update(_shown(self._selection()))
        names = {**SNAKE_CASE, "readPreference": "read_preference", "readConcern": "read_concern"}
        order = ["projection", "sort", "skip", "limit", *found]
        return {names.get(key, key): found[key] for key in order if key in found}

    def _explain(self, command: dict[str, Any], verbosity: str, timeout: float | None) -> Operation[bytes]:
        if verbosity not in ("queryPlanner", "executionStats", "allPlansExecution"):
            raise ValueError(f"verbosity must be queryPlanner, executionStats or allPlansExecution, got {verbosity!r}")
        namespace = self.namespace
        codec_options = namespace.settings.codec_options
        encoded = bson.encode({"explain": command, "verbosity": verbosity}, codec_options=codec_options)

        return namespace.core.run_command(
            namespace.database,
            encoded,
            session=native_session(self.session, namespace.core),
            selection=namespace.preference_only(self.session),
            timeout=timeout,
            retry=True,
        )

    def decoded(self, reply: bytes) -> dict[str, Any]:
        decoded: dict[str, Any] = bson.decode(reply, self.namespace.settings.codec_options)
        return decoded


class FindPlan(_ServerPlan):
    """A find; chained calls replace what was given before."""

    __slots__ = ("command", "filter", "resume")

    def __init__(
        self,
        namespace: Namespace,
        filter: bytes,
        command: FindCommand,
        session: SessionState | None,
        resume: bool = False,
    ) -> None:
        super().__init__(namespace, command.options, session)
        self.command = command
        self.filter = filter
        self.resume = resume

    def start(self, timeout: float | None, *, eager: bool) -> Reader:
        namespace = self.namespace
        assert namespace.collection is not None
        if self.resume and in_transaction(self.session):
            raise InvalidQuery("a read in a transaction cannot resume: the transaction ends with its connection")
        return namespace.core.find(
            namespace.database,
            namespace.collection,
            self.filter,
            self._encoded,
            session=native_session(self.session, namespace.core),
            selection=self._selection(),
            timeout=timeout,
            eager=eager,
            resume=self.resume,
            codec=self.codec,
        )

    def _with(self, command: FindCommand) -> FindPlan:
        return FindPlan(self.namespace, self.filter, command, self.session, self.resume)

    def with_option(self, name: str, value: object) -> FindPlan:
        return self._with(self.command.with_option(name, value))

    def sort(self, keys: Sort, direction: int | None) -> FindPlan:
        return self._with(self.command.sort(keys, direction))

    def skip(self, count: int) -> FindPlan:
        return self._with(self.command.skip(count))

    def limit(self, count: int) -> FindPlan:
        return self._with(self.command.limit(count))

    def project(self, projection: Projection) -> FindPlan:
        return self._with(self.command.project(projection))

    def narrowed(self, keys: Sequence[str]) -> FindPlan:
        command = self.command.narrowed(keys)
        return self if command is self.command else self._with(command)

    def matching(self, filter: bytes) -> FindPlan:
        """Return the plan with another filter."""
        return FindPlan(self.namespace, filter, self.command, self.session, self.resume)

    def columns(self) -> list[str] | None:
        return projected(self.command.projection)

    @property
    def is_projected(self) -> bool:
        """Return whether the rows may lack keys of their documents."""
        return bool(self.command.projection)

    def first(self) -> FindPlan:
        command = self.command.first()
        return self if command is self.command else self._with(command)

    def explain(self, verbosity: str, timeout: float | None) -> Operation[bytes]:
        from bson.raw_bson import RawBSONDocument

        command: dict[str, Any] = {"find": self.namespace.collection, "filter": RawBSONDocument(self.filter)}
        command.update(self.options)
        if command.get("limit", 0) < 0:
            command.update(limit=-command["limit"], singleBatch=True)
        return self._explain(command, verbosity, timeout)

    def readable_filter(self) -> dict[str, Any]:
        """Return the filter as a dict, for checks."""
        return _shown(self.filter).to_dict()

    def request(self) -> dict[str, object]:
        resume = {"resume": True} if self.resume else {}
        return {"filter": _shown(self.filter), **self._request_of(self._encoded), **resume}

    def __repr__(self) -> str:
        return f"find on {self.namespace.name}"


class AggregatePlan(_ServerPlan):
    """An aggregate; chained calls append stages, as a pipeline is read."""

    __slots__ = ("_pipeline", "stages")

    def __init__(
        self, namespace: Namespace, stages: Pipeline, options: Mapping[str, Any], session: SessionState | None
    ) -> None:
        super().__init__(namespace, options, session)
        self._pipeline = encode.pipeline(stages, namespace.settings.codec_options)
        self.stages = list(stages)

    def start(self, timeout: float | None, *, eager: bool) -> Reader:
        namespace = self.namespace
        return namespace.core.aggregate(
            namespace.database,
            namespace.collection,
            self._pipeline,
            self._encoded,
            session=native_session(self.session, namespace.core),
            selection=self._selection(),
            timeout=timeout,
            eager=eager,
            codec=self.codec,
        )

    def _append(self, stage: Mapping[str, Any]) -> AggregatePlan:
        return AggregatePlan(self.namespace, [*self.stages, stage], self.options, self.session)

    def with_option(self, name: str, value: object) -> AggregatePlan:
        return AggregatePlan(self.namespace, self.stages, with_option(self.options, name, value), self.session)

    def sort(self, keys: Sort, direction: int | None) -> AggregatePlan:
        return self._append({"$sort": pairs("sort", keys, direction)})

    def skip(self, count: int) -> AggregatePlan:
        count = check_option("skip", count)
        return self._append({"$skip": count}) if count else self

    def limit(self, count: int) -> AggregatePlan:
        count = check_option("limit", count)
        return self._append({"$limit": abs(count)}) if count else self

    def project(self, projection: Projection) -> AggregatePlan:
        return self._append({"$project": projection_of(projection)})

    def matching(self, filter: Mapping[str, Any]) -> AggregatePlan:
        """Return the plan of the documents that match, of those that the pipeline gives."""
        return self._append({"$match": filter})

    def narrowed(self, keys: Sequence[str]) -> AggregatePlan:
        # A stage more could change what a pipeline does: $out and $merge must be the last one.
        return self

    def columns(self) -> list[str] | None:
        for stage in reversed(self.stages):
            name = next(iter(stage), None)
            if name == "$project":
                return projected(stage["$project"])
            if name not in ("$match", "$sort", "$skip", "$limit"):
                break
        return None

    def first(self) -> AggregatePlan:
        return self.limit(1)

    def explain(self, verbosity: str, timeout: float | None) -> Operation[bytes]:
        command: dict[str, Any] = {"aggregate": self.namespace.collection or 1, "pipeline": self.stages}
        command.update({key: value for key, value in self.options.items() if key != "batchSize"})
        command["cursor"] = {}
        return self._explain(command, verbosity, timeout)

    def request(self) -> dict[str, object]:
        return {"pipeline": _shown(self._pipeline)["pipeline"], **self._request_of(self._encoded)}

    def __repr__(self) -> str:
        return f"aggregate on {self.namespace.name}, {len(self.stages)} stages"


def writing_stage(stages: Pipeline) -> str | None:
    """The last stage of a pipeline where it is one that writes."""
    last = stages[-1] if isinstance(stages, (list, tuple)) and stages else None
    return next((name for name in ("$out", "$merge") if name in last), None) if isinstance(last, Mapping) else None


class WritingPlan(AggregatePlan):
    """An aggregate that writes. The first run does it; once that is complete, each further one has no documents."""

    __slots__ = ("_reader", "_stage", "_unused")

    def __init__(
        self, namespace: Namespace, stages: Pipeline, options: Mapping[str, Any], session: SessionState | None
    ) -> None:
        super().__init__(namespace, stages, options, session)
        self._stage = writing_stage(self.stages)
        self._reader: Reader | None = None
        # Popped by the first run: of threads that share the query, one gets it. A forked child may inherit a held lock.
        self._unused = [True]

    @property
    def complete(self) -> bool:
        """Return whether the pipeline has run, without an error."""
        return self._reader is not None and self._reader.complete

    def start(self, timeout: float | None, *, eager: bool) -> Reader:
        try:
            self._unused.pop()
        except IndexError:
            if not self.complete:
                raise InvalidOperation(
                    f"the pipeline with {self._stage} failed, or is running: call aggregate() again to write again"
                ) from None
            return _core.read_bytes(b"", codec=self.codec, eager=eager)
        settings = self.namespace.settings
        if settings.concern and not in_transaction(self.session):
            # The reply is waited for in any case, and holds what failed; w=1 is the least that has a reply.
            concern = settings.concern if settings.acknowledged else {**settings.concern, "w": 1}
            options = {**self.options, "writeConcern": concern}
            self._encoded = encode.document(options, settings.codec_options, "options")
        self._reader = super().start(timeout, eager=eager)
        return self._reader

    def with_option(self, name: str, value: object) -> NoReturn:
        raise InvalidOperation(f"a pipeline with {self._stage} runs once: pass {name} to aggregate()")

    def _append(self, stage: Mapping[str, Any]) -> NoReturn:
        added = next(iter(stage))
        raise InvalidOperation(f"{self._stage} must be the last stage: put {added} before it in the pipeline")

    def first(self) -> WritingPlan:
        return self

    def explain(self, verbosity: str, timeout: float | None) -> NoReturn:
        raise InvalidOperation(f"a pipeline with {self._stage} runs once: explain an aggregate() without that stage")

    def __del__(self) -> None:
        # Also of a plan whose arguments were refused, which has no such attribute.
        if getattr(self, "_unused", None):
            warnings.warn(
                f"{self!r} was never awaited: {self._stage} wrote nothing", RuntimeWarning, stacklevel=2, source=self
            )


_CODEC = codec.native(codec.DEFAULT)


def _shown(data: bytes) -> Document:
    """Return a lazy document over BSON: a filter may be large, and a view of it short."""
    return _core._document_from_bson(data, _CODEC)
