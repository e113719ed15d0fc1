"""Objects of pydantic 2: a whole result through one TypeAdapter."""

from __future__ import annotations

from typing import Any, get_origin

from pydantic import TypeAdapter, ValidationError

from ..odm.errors import Mismatch
from . import declared
from .bson_values import IdTexts, preparation
from .target import Target, failed, one_by_one


def target(model: Any) -> Target:
    """Return the target that makes objects of `model` with pydantic."""
    many = _adapter(list[model])
    prepared = preparation(model, keeps_subtypes=True)
    texts = IdTexts(model)

    def build(documents: list[dict[str, Any]]) -> list[Any]:
        if prepared is not None:
            one_by_one(prepared.apply, documents, model, place)
        texts.prepare(documents)
        try:
            try:
                made: list[Any] = many.validate_python(documents)
            except ValidationError:
                if not texts.retry(documents):
                    raise
                made = many.validate_python(documents)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            index, path = first["loc"][0], first["loc"][1:]
            assert isinstance(index, int)
            raise failed(first["msg"], model, index, documents[index], path) from error
        except Exception:
            # A validator raised an exception that pydantic passes on: validate singly to find the document.
            one_by_one(_adapter(model).validate_python, documents, model, place)
            raise
        return made

    return Target(build, _keys(model))


def _adapter(form: object) -> TypeAdapter[Any]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(form)
        if not getattr(adapter, "pydantic_complete", True):
            # What it names may have been defined since.
            adapter.rebuild(raise_errors=True)
    except NameError as error:
        raise TypeError(f"an annotation of the model cannot be read: {error}") from error
    return adapter


def place(error: Exception) -> tuple[str, tuple[Any, ...]]:
    """Return the text and the path of an error of one document."""
    if isinstance(error, Mismatch):
        return f"expected {error.expected}, found {error.found}", tuple(error.path)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return first["msg"], first["loc"]
    return f"{type(error).__name__}: {error}", ()


def _keys(model: object) -> tuple[str, ...] | None:
    """The keys that a model reads; None when others may matter to it."""
    if get_origin(model) is not None or not isinstance(model, type) or not _only_fields(model):
        return None
    return tuple(dict.fromkeys(key for field in declared.fields_of(model) for key in field.keys))


def _only_fields(model: Any) -> bool:
    from pydantic import BaseModel

    if not issubclass(model, BaseModel) or model.__pydantic_root_model__ or model.__pydantic_custom_init__:
        return False
    # What runs before the fields are read sees the whole document.
    validators = model.__pydantic_decorators__
    if validators.root_validators or any(each.info.mode != "after" for each in validators.model_validators.values()):
        return False
    own_schema = getattr(model.__get_pydantic_core_schema__, "__func__", None)
    if own_schema is not BaseModel.__get_pydantic_core_schema__.__func__:
        return False
    return bool(model.model_config.get("extra", "ignore") == "ignore")
