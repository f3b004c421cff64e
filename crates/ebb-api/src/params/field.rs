//! The shapes a struct's field can have.

use super::{FromParams, Kind, ParamDef, Params, Scalar};
use crate::ApiError;

/// A field of a struct that derives its parameters: `T`, `Option<T>`, `Vec<Struct>`, `Repeat<T>`.
pub trait Field: Sized {
    /// For the reference.
    const KIND: Kind;
    /// Whether the type alone makes the parameter mandatory.
    const REQUIRED: bool;

    /// Reads the parameter `def` describes.
    ///
    /// # Errors
    /// Missing though required, or not valid.
    fn read(params: &Params, def: &ParamDef) -> Result<Self, ApiError>;
}

impl<T: Scalar> Field for T {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = true;

    fn read(params: &Params, def: &ParamDef) -> Result<Self, ApiError> {
        scalar(params, def)?.ok_or_else(|| (def.missing)(&params.key(def.name)))
    }
}

impl<T: Scalar> Field for Option<T> {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = false;

    fn read(params: &Params, def: &ParamDef) -> Result<Self, ApiError> {
        scalar(params, def)
    }
}

fn scalar<T: Scalar>(params: &Params, def: &ParamDef) -> Result<Option<T>, ApiError> {
    match params.get(def.name) {
        None => Ok(None),
        Some("") if !T::TAKES_EMPTY => Ok(None),
        Some(raw) => T::parse(raw, &params.key(def.name)).map(Some),
    }
}

/// `InstanceId.1=…&InstanceId.2=…`, in the order of the numbers.
///
/// A type of its own because a `Vec` is a list of structs: one impl cannot tell the two apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repeat<T>(pub Vec<T>);

impl<T: Scalar> Field for Repeat<T> {
    const KIND: Kind = Kind::Repeat(&T::KIND);
    const REQUIRED: bool = false;

    fn read(params: &Params, def: &ParamDef) -> Result<Self, ApiError> {
        let mut values = Vec::new();
        for index in params.indexes(def.name, false)? {
            let name = format!("{}.{index}", def.name);
            match params.get(&name) {
                None => {}
                Some("") if !T::TAKES_EMPTY => {}
                Some(raw) => values.push(T::parse(raw, &params.key(&name))?),
            }
        }
        filled(values, params, def).map(Self)
    }
}

impl<T: FromParams> Field for Vec<T> {
    const KIND: Kind = Kind::Structs(T::PARAMS);
    const REQUIRED: bool = false;

    fn read(params: &Params, def: &ParamDef) -> Result<Self, ApiError> {
        let mut values = Vec::new();
        for index in params.indexes(def.name, true)? {
            values.push(T::from_params(&params.below(&format!("{}.{index}", def.name)))?);
        }
        filled(values, params, def)
    }
}

/// An empty list is an error only where the field says `#[param(required)]`.
fn filled<T>(values: Vec<T>, params: &Params, def: &ParamDef) -> Result<Vec<T>, ApiError> {
    if values.is_empty() && def.required {
        return Err((def.missing)(&params.key(def.name)));
    }
    Ok(values)
}

/// A struct spread over `Name.Part` parameters: a field with `#[param(flat)]`.
pub trait FlatField: Sized {
    /// For the reference.
    const KIND: Kind;
    /// Whether its required parts are required of every request.
    const REQUIRED: bool;

    /// Reads the parts below `def`'s name.
    ///
    /// # Errors
    /// The first part that is missing or not valid.
    fn read(params: &Params, def: &ParamDef) -> Result<Self, ApiError>;
}

impl<T: FromParams> FlatField for T {
    const KIND: Kind = Kind::Flat(T::PARAMS);
    const REQUIRED: bool = true;

    fn read(params: &Params, def: &ParamDef) -> Result<Self, ApiError> {
        T::from_params(&params.below(def.name))
    }
}

/// `None` where no part was given.
impl<T: FromParams> FlatField for Option<T> {
    const KIND: Kind = Kind::Flat(T::PARAMS);
    const REQUIRED: bool = false;

    fn read(params: &Params, def: &ParamDef) -> Result<Self, ApiError> {
        let parts = params.below(def.name);
        if parts.is_empty() { Ok(None) } else { T::from_params(&parts).map(Some) }
    }
}
