//! The classes of the bson package, imported once, and the construction of their instances.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType, PyTzInfo};

use crate::ffi::{self, PlainClass};

/// The classes and constants that values are made from. One per process.
pub struct BsonTypes {
    object_id: SlottedClass<1>,
    decimal128: SlottedClass<2>,
    timestamp: SlottedClass<2>,
    pub regex: Py<PyType>,
    pub binary: Py<PyType>,
    pub code: Py<PyType>,
    pub datetime_ms: Py<PyType>,
    pub dbref: Py<PyType>,
    pub int64: Py<PyType>,
    pub decimal: Py<PyType>,
    uuid: UuidClass,
    pub invalid_bson: Py<PyType>,
    pub min_key: Py<PyAny>,
    pub max_key: Py<PyAny>,
    pub utc: Py<PyTzInfo>,
}

static TYPES: PyOnceLock<BsonTypes> = PyOnceLock::new();

impl BsonTypes {
    /// The classes, imported on first use.
    pub fn get(py: Python<'_>) -> PyResult<&'static BsonTypes> {
        TYPES.get_or_try_init(py, || BsonTypes::import(py))
    }

    fn import(py: Python<'_>) -> PyResult<BsonTypes> {
        let class = |module: &str, name: &str| -> PyResult<Bound<'_, PyType>> {
            Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?)
        };
        let object_id = class("bson.objectid", "ObjectId")?;
        let decimal128 = class("bson.decimal128", "Decimal128")?;
        let timestamp = class("bson.timestamp", "Timestamp")?;
        let twelve = PyBytes::new(py, b"data-bridge!");
        let sixteen = PyBytes::new(py, b"data-bridge-bson");
        let (high, low) = decimal_halves(*b"data-bridge-bson");
        Ok(BsonTypes {
            object_id: SlottedClass::new(
                &object_id,
                ["_ObjectId__id"],
                [twelve.as_any()],
                &object_id.call1((&twelve,))?,
            )?,
            decimal128: SlottedClass::new(
                &decimal128,
                ["_Decimal128__high", "_Decimal128__low"],
                [
                    high.into_pyobject(py)?.as_any(),
                    low.into_pyobject(py)?.as_any(),
                ],
                &decimal128.call_method1("from_bid", (sixteen,))?,
            )?,
            timestamp: SlottedClass::new(
                &timestamp,
                ["_Timestamp__time", "_Timestamp__inc"],
                [
                    1_i32.into_pyobject(py)?.as_any(),
                    2_i32.into_pyobject(py)?.as_any(),
                ],
                &timestamp.call1((1, 2))?,
            )?,
            regex: class("bson.regex", "Regex")?.unbind(),
            binary: class("bson.binary", "Binary")?.unbind(),
            code: class("bson.code", "Code")?.unbind(),
            datetime_ms: class("bson.datetime_ms", "DatetimeMS")?.unbind(),
            dbref: class("bson.dbref", "DBRef")?.unbind(),
            int64: class("bson.int64", "Int64")?.unbind(),
            decimal: class("decimal", "Decimal")?.unbind(),
            uuid: UuidClass::new(&class("uuid", "UUID")?)?,
            invalid_bson: class("bson.errors", "InvalidBSON")?.unbind(),
            // Compared by type and without state: one instance of each suffices.
            min_key: class("bson.min_key", "MinKey")?.call0()?.unbind(),
            max_key: class("bson.max_key", "MaxKey")?.call0()?.unbind(),
            utc: py
                .import("bson.tz_util")?
                .getattr("utc")?
                .cast_into::<PyTzInfo>()?
                .unbind(),
        })
    }

    /// Returns whether `value` is an ObjectId, not of a subclass.
    #[inline]
    pub fn is_object_id(&self, value: &Bound<'_, PyAny>) -> bool {
        is_exact(value, &self.object_id.class)
    }

    /// Returns whether `value` is an Int64, not of a subclass.
    #[inline]
    pub fn is_int64(&self, value: &Bound<'_, PyAny>) -> bool {
        is_exact(value, &self.int64)
    }

    /// Returns whether `value` is an instance of another class for a single value, whose encoding depends on nothing around it.
    pub fn is_other_scalar(&self, value: &Bound<'_, PyAny>) -> bool {
        let classes = [
            &self.decimal128.class,
            &self.uuid.class,
            &self.binary,
            &self.timestamp.class,
            &self.regex,
            &self.datetime_ms,
        ];
        classes.into_iter().any(|class| is_exact(value, class))
    }

    #[inline]
    pub fn object_id<'py>(&self, py: Python<'py>, id: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let id = PyBytes::new(py, id);
        match self.object_id.direct(py, [id.as_any()]) {
            Some(made) => made,
            None => self.object_id.class.bind(py).call1((id,)),
        }
    }

    /// The UUID of these bytes in the order of subtype 4.
    pub fn uuid<'py>(&self, py: Python<'py>, bytes: [u8; 16]) -> PyResult<Bound<'py, PyAny>> {
        self.uuid.instance(py, bytes)
    }

    pub fn decimal128<'py>(&self, py: Python<'py>, bytes: [u8; 16]) -> PyResult<Bound<'py, PyAny>> {
        let (high, low) = decimal_halves(bytes);
        let halves = [high.into_pyobject(py)?, low.into_pyobject(py)?];
        match self
            .decimal128
            .direct(py, [halves[0].as_any(), halves[1].as_any()])
        {
            Some(made) => made,
            None => {
                let class = self.decimal128.class.bind(py);
                class.call_method1(intern!(py, "from_bid"), (PyBytes::new(py, &bytes),))
            }
        }
    }

    pub fn timestamp<'py>(
        &self,
        py: Python<'py>,
        time: u32,
        increment: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        let time = time.into_pyobject(py)?;
        let increment = increment.into_pyobject(py)?;
        match self
            .timestamp
            .direct(py, [time.as_any(), increment.as_any()])
        {
            Some(made) => made,
            None => self.timestamp.class.bind(py).call1((time, increment)),
        }
    }
}

/// The class UUID. Its instances are made without its constructor, which takes a microsecond, if that gives an equal
/// instance.
struct UuidClass {
    class: Py<PyType>,
    /// The class, and the value of its slot `is_safe`.
    plain: Option<(PlainClass, Py<PyAny>)>,
}

impl UuidClass {
    fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        let py = class.py();
        let sample = *b"data-bridge-uuid";
        let mut made = UuidClass {
            class: class.clone().unbind(),
            plain: None,
        };
        let expected = made.instance(py, sample)?;
        // The slots are private to the class, and may change.
        let slots = class
            .getattr("__slots__")
            .and_then(|slots| slots.eq(("int", "is_safe", "__weakref__").into_pyobject(py)?));
        let Some(plain) = PlainClass::of(class)?.filter(|_| slots.unwrap_or(false)) else {
            return Ok(made);
        };
        made.plain = Some((plain, expected.getattr("is_safe")?.unbind()));
        let same = made.instance(py, sample).and_then(|instance| {
            Ok(instance.eq(&expected)?
                && instance.hash()? == expected.hash()?
                && instance
                    .getattr("is_safe")?
                    .is(&expected.getattr("is_safe")?))
        });
        if !same.unwrap_or(false) {
            made.plain = None;
        }
        Ok(made)
    }

    fn instance<'py>(&self, py: Python<'py>, bytes: [u8; 16]) -> PyResult<Bound<'py, PyAny>> {
        let Some((plain, is_safe)) = &self.plain else {
            let named = PyDict::new(py);
            named.set_item(intern!(py, "bytes"), PyBytes::new(py, &bytes))?;
            return self.class.bind(py).call((), Some(&named));
        };
        let made = plain.instance(py)?;
        let int = u128::from_be_bytes(bytes).into_pyobject(py)?;
        // The class refuses `setattr`.
        ffi::set_slot(&made, intern!(py, "int"), int.as_any())?;
        ffi::set_slot(&made, intern!(py, "is_safe"), is_safe.bind(py))?;
        Ok(made)
    }
}

#[inline]
fn is_exact(value: &Bound<'_, PyAny>, class: &Py<PyType>) -> bool {
    value.get_type_ptr().cast() == class.as_ptr()
}

/// The slots of a Decimal128: `struct.Struct("<QQ")` with the low half first.
fn decimal_halves(bytes: [u8; 16]) -> (u64, u64) {
    let bits = u128::from_le_bytes(bytes);
    ((bits >> 64) as u64, bits as u64)
}

/// A class with slots. Its instances are made without its constructor if that gives an equal instance.
struct SlottedClass<const N: usize> {
    class: Py<PyType>,
    plain: Option<PlainClass>,
    slots: [Py<PyString>; N],
}

impl<const N: usize> SlottedClass<N> {
    /// `sample` is the instance that the constructor makes from `values`. Direct construction is used only if it gives an
    /// equal instance and the class has exactly these slots: they are private to the bson package and may change.
    fn new(
        class: &Bound<'_, PyType>,
        slots: [&str; N],
        values: [&Bound<'_, PyAny>; N],
        sample: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = class.py();
        let mut slotted = SlottedClass {
            class: class.clone().unbind(),
            plain: PlainClass::of(class)?,
            slots: slots.map(|slot| PyString::intern(py, slot).unbind()),
        };
        let same = class.getattr("__slots__").is_ok_and(|declared| {
            // `__slots__` may be a single name instead of a tuple.
            let declared = match declared.cast::<PyTuple>() {
                Ok(tuple) => tuple.len(),
                Err(_) => 1,
            };
            declared == N
        }) && class
            .getattr("__dictoffset__")
            .is_ok_and(|offset| offset.eq(0).unwrap_or(false))
            && match slotted.direct(py, values) {
                Some(Ok(made)) => made.eq(sample).unwrap_or(false),
                _ => false,
            };
        if !same {
            slotted.plain = None;
        }
        Ok(slotted)
    }

    /// An instance with its slots set, or `None` if the constructor is needed.
    #[inline]
    fn direct<'py>(
        &self,
        py: Python<'py>,
        values: [&Bound<'py, PyAny>; N],
    ) -> Option<PyResult<Bound<'py, PyAny>>> {
        let plain = self.plain.as_ref()?;
        Some(plain.instance(py).and_then(|made| {
            for (slot, value) in self.slots.iter().zip(values) {
                made.setattr(slot.bind(py), value)?;
            }
            Ok(made)
        }))
    }
}
