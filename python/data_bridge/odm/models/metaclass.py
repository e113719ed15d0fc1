"""The metaclass of models and the declarations that it collects, once per class and never per document."""

from __future__ import annotations

import sys
from collections import ChainMap
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from ..._core import FieldSlot, ModelClass
from ..converters.annotations import is_class_variable, own_annotations
from ..converters.unions import check_unions
from .declarations import ModelConfig, add_private, check_members, check_mixin, declared_in, mixins_of, private_options
from .field import Field, FieldInfo, FieldOptions, options_of
from .hooks import Hooks
from .instance_state import MISSING
from .option_checks import ADVICE, check_options, has_rule
from .serializers import NONE, ModelSerializers
from .settings import ModelSettings
from .validators import ModelValidators

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    from ..filters.expressions import FieldPath
else:
    # For type checkers only: Python 3.10 has none, and typing_extensions is no dependency.
    def dataclass_transform(**_: Any) -> Any:
        return lambda meta: meta


class ModelInfo:
    """The declarations of a model class."""

    made: ClassVar[int] = 0
    """The number of model classes so far."""

    def __init__(self, cls: Any, bases: tuple[ModelInfo, ...]) -> None:
        ModelInfo.made += 1
        self.cls = cls
        self.is_collection: bool = cls._is_collection
        """The documents have a collection of their own."""
        self.is_view: bool = cls._is_view
        """The documents are those of a pipeline, and another field may have the key `_id`."""
        self.is_async: bool = cls._is_async
        self.leading: tuple[int, Any] | None = None
        """The value of `made`, and the keys with links below them at that time: see `linked_paths`."""
        self.fields: dict[str, FieldInfo] = {}
        for base in reversed(bases):
            self.fields.update(base.fields)
        self.parent: ModelInfo | None = next(
            (base for base in bases if base.is_collection or base.settings.is_root), None
        )
        self.children: list[ModelInfo] = []
        self.settings: ModelSettings = ModelSettings.of(cls, self.parent.settings if self.parent else None)
        self.hooks = Hooks.of(cls, self.is_async)
        self.model_validators = ModelValidators({}, (), ())
        self.serializers = NONE
        self.config: ModelConfig = ModelConfig.of(cls.__name__, cls.__dict__, bases[0].config if bases else None)
        self.collection: Any = None
        """The collection of the documents; set by `init`."""
        self.variants: Any = None
        """Of a variant: the variants in its database."""
        self.original: Any = None
        """Of a variant: its model."""
        self.referrers: dict[Any, Any] = {}
        """The fields with delete rules that link to this model; added by `init`."""
        self._made: dict[tuple[bool, int], ModelClass] = {}

    def declare(self, field: FieldInfo) -> None:
        """Add a field."""
        for other in list(self.fields.values()):
            if other.key == field.key and other.name != field.name:
                if other.options.built_in and self.is_view:
                    del self.fields[other.name]
                    continue
                raise TypeError(
                    f"{self.cls.__name__}: the fields {other.name!r} and {field.name!r} have one key, {field.key!r}"
                )
        self.fields[field.name] = field
        field.declared_by = self

    @cached_property
    def has_checks(self) -> bool:
        """The model, a field, or a model below it has constraints or validators."""
        return bool(self.model_validators) or any(field.has_checks for field in self.fields.values())

    @property
    def by_key(self) -> dict[str, FieldInfo]:
        """Fields by their stored keys."""
        return {field.key: field for field in self.fields.values()}

    @cached_property
    def derived(self) -> frozenset[str]:
        """The keys of computed fields and back links, which dumps have and constructors refuse."""
        computed = self.serializers.computed
        back = [field for field in self.fields.values() if field.converter.virtual]
        aliases = {each.alias for each in computed.values() if each.alias is not None}
        found = {*computed, *aliases, *(field.name for field in back), *(field.key for field in back)}
        return frozenset(found - {name for name, field in self.fields.items() if field not in back})

    def without_derived(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of a dump without those of computed fields and back links, which follow from others."""
        return {key: value for key, value in values.items() if key not in self.derived} if self.derived else values

    def stores_null(self, key: str) -> bool:
        """Return whether None is stored for a key; else the document does not have the key."""
        return key != "_id" and self.settings.keep_nulls

    def path(self, name: str) -> FieldPath:
        """Return the path of a field by its name or key.

        Raises
        ------
        AttributeError
            For an undeclared field.
        """
        field = self.fields.get(name) or self.by_key.get(name)
        if field is None:
            raise AttributeError(
                f"{self.cls.__name__} declares no field {name!r}; there are {', '.join(self.fields) or 'none'}"
            )
        return field.path

    # ---- trees of models --------------------------------------------------------------------------------------------

    @property
    def in_tree(self) -> bool:
        """The documents contain the name of their class."""
        return self.settings.is_root

    @property
    def class_key(self) -> str:
        """The key of the name of the class in documents."""
        return self.settings.class_id

    @property
    def class_id(self) -> str:
        """The name of the class in documents: the names from the root down, or that of the settings."""
        if self.settings.class_id_value is not None:
            return self.settings.class_id_value
        own: str = self.cls.__name__
        return f"{self.parent.class_id}.{own}" if self.parent is not None and self.parent.in_tree else own

    def descendants(self) -> list[ModelInfo]:
        """Return this class and the classes below it."""
        return [self, *(each for child in self.children for each in child.descendants())]

    def class_filter(self, with_children: bool) -> dict[str, Any]:
        """Return the filter that only documents of this class match."""
        if not self.in_tree:
            return {}
        names: list[str | None] = [each.class_id for each in (self.descendants() if with_children else [self])]
        if self.parent is None or not self.parent.in_tree:
            # Documents without a class name are older than the tree, and are of its root.
            names.append(None)
        return {self.class_key: {"$in": names} if len(names) > 1 else names[0]}

    def projection(self, with_children: bool) -> dict[str, Any] | None:
        """Return the projection for instances; None for whole documents."""
        if self.settings.read_whole and self.settings.projection is None:
            return None
        return self.declared(with_children)

    def declared(self, with_children: bool) -> dict[str, Any]:
        """Return the projection of the declared fields: the columns of tables and views."""
        if self.settings.projection is not None:
            return dict(self.settings.projection)
        classes = self.descendants() if with_children else [self]
        keys = {field.key: 1 for each in classes for field in each.fields.values() if field.stored}
        return {**keys, self.class_key: 1} if self.in_tree else keys

    def maker(self, whole: bool, with_children: bool = False) -> ModelClass:
        """Return the native class that makes instances of rows."""
        # Classes may have joined the tree; the number of descendants shows that, also for a variant.
        descendants = self.descendants() if with_children else []
        made = self._made.get((whole, len(descendants)))
        if made is None:
            tree = None
            if with_children:
                tree = (self.class_key, {each.class_id: self._beside(each).maker(whole) for each in descendants})
            made = self._made[whole, len(descendants)] = ModelClass(self.cls, whole, tree)
        return made

    def _beside(self, other: ModelInfo) -> ModelInfo:
        """Return the variant of another model in the database of this one."""
        if self.variants is None:
            return other
        info: ModelInfo = self.variants.model(other.cls).__odm__
        return info

    def joined_by(self, child: ModelInfo) -> None:
        """Add a class below this one."""
        self.children.append(child)


@dataclass_transform(kw_only_default=True, field_specifiers=(Field,))
class ModelMeta(type):
    """Turns annotations into fields."""

    __odm__: ModelInfo

    def __new__(
        meta, name: str, bases: tuple[type, ...], namespace: dict[str, Any], *, variant: bool = False, **keywords: Any
    ) -> Any:
        """Make a model class; a `variant`, the same model in another database, does not join the tree."""
        # Without a __dict__, assignments to undeclared names raise, and instances are smaller.
        private = private_options(name, bases, namespace)
        cls: Any = super().__new__(meta, name, bases, namespace, **keywords)
        add_private(cls, private)
        infos = tuple(base.__odm__ for base in bases if isinstance(base, ModelMeta))
        info = ModelInfo(cls, infos)
        cls.__odm__ = info
        frame = sys._getframe(1)
        declared = set()
        models = [base for base in bases if isinstance(base, ModelMeta)]
        # Classes that are no models have fields too, as with pydantic.
        for mixin in mixins_of(cls, models) if models else ():
            check_mixin(name, mixin, namespace, info.fields)
            names = ChainMap({mixin.__name__: mixin}, sys.modules[mixin.__module__].__dict__)
            for field_name, (annotation, default) in declared_in(mixin).items():
                if field_name not in own_annotations(cls):
                    _declare(cls, bases, info, field_name, annotation, default, names)
                    declared.add(field_name)
        names = ChainMap({name: cls}, frame.f_locals, sys.modules[cls.__module__].__dict__)
        for field_name, annotation in own_annotations(cls).items():
            if field_name not in private and not is_class_variable(annotation):
                _declare(cls, bases, info, field_name, annotation, namespace.get(field_name, MISSING), names)
                declared.add(field_name)
        for attribute, value in namespace.items():
            if attribute in info.fields and attribute not in declared:
                # It would replace a field of every document.
                raise TypeError(
                    f"{name}.{attribute} would hide the field of that name; for another default write "
                    f"{attribute}: ... = ..., with its annotation"
                )
            if isinstance(value, FieldOptions) and attribute not in info.fields:
                raise TypeError(f"{name}.{attribute} = Field(...) needs an annotation: {attribute}: ... = Field(...)")
        check_members(name, namespace, info.fields)
        if not variant:
            _declare_own(cls, info)
        if info.settings.use_revision:
            _declare_revision(cls, info)
        if info.in_tree and info.class_key in info.by_key:
            raise TypeError(
                f"{name}.{info.by_key[info.class_key].name}: the key {info.class_key!r} has the name of the class; "
                f"leave the field out, and read document[{info.class_key!r}]"
            )
        _add_validators(cls, info)
        info.serializers = ModelSerializers.of(cls, info.fields)
        if info.config.frozen and not variant:
            _freeze(cls, info)
        if not info.settings.keep_nulls and not variant:
            _drop_nulls(cls, info)
        _resolve_early(info)
        if info.parent is not None and not variant:
            info.parent.joined_by(info)
        return cls

    def __setattr__(cls, name: str, value: object) -> None:
        if name in cls.__dict__ and isinstance(cls.__dict__[name], FieldSlot):
            raise AttributeError(f"{cls.__name__}.{name} is a declared field and cannot be replaced")
        super().__setattr__(name, value)


def _declare(
    cls: Any,
    bases: tuple[type, ...],
    info: ModelInfo,
    name: str,
    annotation: Any,
    default: Any,
    names: Mapping[str, Any],
) -> None:
    """Declare a field of a class body."""
    _check_name(cls, bases, name)
    try:
        options = options_of(default, annotation, names)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}.{name}: {error}") from None
    if has_rule(options) and (info.is_view or not info.is_collection):
        raise TypeError(f"{cls.__name__}.{name} has a delete_rule: {ADVICE}")
    if options.alias is None and name != "id":
        options.alias = info.config.alias_of(name)
    field = FieldInfo(cls.__name__, name, annotation, options, names)
    info.declare(field)
    type.__setattr__(cls, name, field.slot)


def _add_validators(cls: Any, info: ModelInfo) -> None:
    """Give the fields their validators; an inherited field becomes one of this class."""
    info.model_validators = ModelValidators.of(cls, info.fields)
    for name, validators in info.model_validators.of_fields.items():
        field = info.fields[name]
        if field.validators != tuple(validators):
            field = field.with_validators(cls.__name__, validators)
            info.fields[name] = field
            type.__setattr__(cls, name, field.slot)


def _freeze(cls: Any, info: ModelInfo) -> None:
    """Refuse assignments to all fields; an inherited field becomes one of this class."""
    for name, field in info.fields.items():
        if not field.frozen:
            field = field.with_validators(cls.__name__, field.validators)
            field.frozen = True
            info.fields[name] = field
            type.__setattr__(cls, name, field.slot)


def _declare_own(cls: Any, info: ModelInfo) -> None:
    """Declare the built-in field `id` for this class, as errors contain the name of the class."""
    for inherited in list(info.fields.values()):
        if inherited.options.built_in and inherited.declared_by is not info:
            field = inherited.of(cls.__name__)
            info.declare(field)
            type.__setattr__(cls, field.name, field.slot)


def _drop_nulls(cls: Any, info: ModelInfo) -> None:
    """Make the fields of this class drop nulls; those of a class above that keeps them stay as they are."""
    for field in list(info.fields.values()):
        if field.declared_by is not info and not field.drops_nulls:
            field = field.of(cls.__name__)
            info.declare(field)
            type.__setattr__(cls, field.name, field.slot)
        field.drops_nulls = True


def _declare_revision(cls: Any, info: ModelInfo) -> None:
    """Declare the field of revisions, unless the model declares it."""
    if (declared := info.fields.get("revision_id")) is None:
        revision = FieldInfo(cls.__name__, "revision_id", "UUID | None", FieldOptions(None), _REVISION_NAMES)
        info.declare(revision)
        type.__setattr__(cls, "revision_id", revision.slot)
    elif declared.key != "revision_id":
        raise TypeError(f"{cls.__name__}.revision_id cannot have an alias: writes use the key revision_id")


def _revision_names() -> Mapping[str, Any]:
    import uuid

    return {"UUID": uuid.UUID}


_REVISION_NAMES = _revision_names()


def _check_name(cls: Any, bases: tuple[type, ...], name: str) -> None:
    """Refuse a field that would hide a method of models."""
    if name.startswith("_"):
        raise TypeError(
            f"{cls.__name__}.{name}: names of fields cannot start with an underscore; "
            f"for that key write {name.lstrip('_') or 'name'}: ... = Field(alias={name!r})"
        )
    for base in bases:
        there = getattr(base, "__odm__", None)
        known = any(
            name in each.__dict__ and (isinstance(each, ModelMeta) or name not in own_annotations(each))
            for each in base.__mro__
        )
        if known and not (there is not None and name in there.fields):
            raise TypeError(
                f"{cls.__name__}.{name} would hide {base.__name__}.{name}; "
                f"write {name}_: ... = Field(alias={name!r}), which keeps the key {name!r} in documents"
            )


def _resolve_early(info: ModelInfo) -> None:
    """Raise errors of annotations in the class statement; forward references are resolved on first use."""
    for field in info.fields.values():
        try:
            converter = field.converter
        except NameError:
            continue
        try:
            check_unions(converter)
            field.check_default()
            check_options(field)
        except NameError:
            continue
        except TypeError as error:
            raise TypeError(f"{info.cls.__name__}.{field.name}: {error}") from None
