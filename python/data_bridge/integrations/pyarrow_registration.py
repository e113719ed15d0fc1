"""The registration of extension types with pyarrow, which is imported for it only."""

from __future__ import annotations


def register_pyarrow_types() -> None:
    """Register the extension types `data_bridge.*` with pyarrow: `as_py()` then gives PyMongo's values.

    Tables with exact types then have columns of `extension<data_bridge.objectid>` and the like, and give `ObjectId`,
    `Decimal128`, `Regex`, `Code`, `Timestamp` and so on; mixed columns give the decoded value. Without the registration
    pyarrow shows their storage, such as 12 bytes.

    The registration holds for the whole process, and pyarrow then refuses `sort_by`, `group_by`, `equal` and `unique`
    on such columns. The package therefore never registers them by itself. A second call does nothing. To undo it, call
    `pyarrow.unregister_extension_type(name)` for each name. `Result.to_pylist()` gives PyMongo's values without it.

    Raises
    ------
    ImportError
        When pyarrow is not installed.
    """
    try:
        from . import pyarrow_types
    except ImportError as error:
        raise ImportError(
            "register_pyarrow_types() needs pyarrow: pip install 'data-bridge-mongodb[arrow]'. Without it, to_dicts() "
            "and to_pylist() give PyMongo's values"
        ) from error
    pyarrow_types.register()
