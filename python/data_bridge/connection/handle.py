"""The common part of clients, databases and collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from .._typing import ReadConcern, ReadPreference, WriteConcern

if TYPE_CHECKING:
    from bson.codec_options import CodecOptions
    from typing_extensions import Self

    from ..connection.settings import Settings


class Handle:
    """Names that never become a child: conditions, iteration, calls."""

    _kind: ClassVar[str]

    def __bool__(self) -> NoReturn:
        raise NotImplementedError(f"a {self._kind} has no truth value: compare with None instead")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"a {self._kind} cannot be iterated")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {self._kind} cannot be pickled: it holds connections and credentials")


class ConfiguredHandle(Handle):
    """A database or collection: settings of its own, where a client has its URI's."""

    _settings: Settings

    def _again(self, settings: Settings) -> Self:
        """The same one with other settings."""
        raise NotImplementedError

    def with_options(
        self,
        codec_options: CodecOptions[Any] | None = None,
        read_preference: ReadPreference | None = None,
        write_concern: WriteConcern | None = None,
        read_concern: ReadConcern | None = None,
        *,
        timeout: object = ...,
        types: str | None = None,
    ) -> Self:
        """The same database or collection with other settings.

        Parameters
        ----------
        codec_options, read_preference, write_concern, read_concern
            PyMongo's objects; None keeps what is.
        timeout
            Seconds that an operation may wait for the server, as for the client; None for no limit.
        types
            The types of tables, as for `find`: "plain" or "exact".
        """
        concerns = read_preference, write_concern, read_concern
        return self._again(self._settings.replace(codec_options, *concerns, timeout, types))

    @property
    def codec_options(self) -> CodecOptions[Any]:
        """Conversion of values to Python objects."""
        return self._settings.codec_options

    @property
    def read_preference(self) -> Any:
        """The read preference as it was given; None for the client's."""
        return self._settings.read_preference

    @property
    def write_concern(self) -> Any:
        """The write concern as it was given; None for the server's default."""
        return self._settings.write_concern

    @property
    def read_concern(self) -> Any:
        """The read concern as it was given; None for the client's."""
        return self._settings.read_concern
