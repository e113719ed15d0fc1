"""ObjectIds in models of pydantic and in parameters of FastAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bson.errors import InvalidId
from bson.objectid import ObjectId

from .converter import Converter, ScalarConverter


def object_id_schema() -> Any:
    """Return the core schema by which pydantic takes ObjectIds: 24 hex digits in JSON."""
    from pydantic_core import core_schema

    return core_schema.no_info_wrap_validator_function(
        lambda value, text: value if isinstance(value, ObjectId) else _object_id(text(value)),
        core_schema.str_schema(pattern="^[0-9a-fA-F]{24}$"),
        serialization=core_schema.plain_serializer_function_ser_schema(
            lambda value, info: str(value) if info.mode_is_json() else value, info_arg=True
        ),
    )


def _object_id(text: str) -> ObjectId:
    try:
        return ObjectId(text)
    except InvalidId as error:
        raise ValueError(str(error)) from None


class _IsObjectId(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, ObjectId)


if TYPE_CHECKING:
    PydanticObjectId = ObjectId
else:

    class PydanticObjectId(ObjectId, metaclass=_IsObjectId):
        """ObjectId for models of pydantic and for parameters of FastAPI, under Beanie's name. Values are ObjectIds."""

        def __new__(cls, oid: object = None) -> ObjectId:
            """Return an ObjectId."""
            return ObjectId(oid)

        @classmethod
        def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> Any:
            return object_id_schema()

        @classmethod
        def _converter_of(cls, _arguments: list[Any]) -> Converter:
            return ScalarConverter(ObjectId)
