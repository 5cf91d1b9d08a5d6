//! The struct under the derive, as the other stages want to see it.

use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, Path, Token, Type};

use crate::attr::{self, Container, Role};
use crate::axis::Axis;
use crate::treatment::Treatments;

/// A struct with its annotations.
pub(crate) struct Input<'a> {
    pub(crate) original: &'a DeriveInput,
    /// The dimensions it borrows, in the order written.
    pub(crate) outer: Vec<Ident>,
    /// The path of `vitslim_core`, if it is given.
    pub(crate) root: Option<Path>,
    pub(crate) fields: Vec<Field<'a>>,
    /// Whether every annotation could be read. If not, a name that seems to be missing may stand in one that could not.
    pub(crate) complete: bool,
}

/// A named field with its annotations.
pub(crate) struct Field<'a> {
    pub(crate) original: &'a syn::Field,
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) role: Role,
    pub(crate) treatments: Treatments,
}

impl<'a> Input<'a> {
    /// Reads the annotations of `node`. What cannot be read goes to `errors`; `None` if it is no struct with named
    /// fields, and no other stage has anything to work on.
    pub(crate) fn from_syn(node: &'a DeriveInput, errors: &mut Vec<Error>) -> Option<Self> {
        let fields = match named_fields(node) {
            Ok(fields) => fields,
            Err(error) => {
                errors.push(error);
                return None;
            }
        };
        let Container { outer, root } = Container::from_attributes(&node.attrs, errors);
        let fields = fields.iter().filter_map(|field| Field::from_syn(field, errors)).collect();
        Some(Input { original: node, outer, root, fields, complete: errors.is_empty() })
    }

    /// Every axis of the struct with the field it belongs to, in the order written.
    pub(crate) fn axes(&self) -> impl Iterator<Item = (&Field<'a>, &Axis)> {
        self.fields.iter().flat_map(|field| field.axes().iter().map(move |axis| (field, axis)))
    }
}

impl<'a> Field<'a> {
    fn from_syn(node: &'a syn::Field, errors: &mut Vec<Error>) -> Option<Self> {
        let ident = node.ident.as_ref()?;
        let (role, treatments) = attr::of_field(&node.attrs, errors);
        Some(Field { original: node, ident, ty: &node.ty, role, treatments })
    }

    pub(crate) fn axes(&self) -> &[Axis] {
        match &self.role {
            Role::Layer(axes) => axes,
            _ => &[],
        }
    }

    /// The last word of the field's type.
    pub(crate) fn type_name(&self) -> Option<&'a Ident> {
        last_word(self.ty)
    }

    /// The `#[cfg]` attributes of the field, which must stand on every line written for it.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &'a Attribute> {
        self.original.attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
    }
}

/// The last word of a type, `Linear` of `nn::Linear`, if it is a path.
pub(crate) fn last_word(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        // A macro puts invisible groups around its variables.
        Type::Group(group) => last_word(&group.elem),
        _ => None,
    }
}

fn named_fields(node: &DeriveInput) -> Result<&Punctuated<syn::Field, Token![,]>, Error> {
    match &node.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(&fields.named),
            Fields::Unnamed(fields) => Err(Error::new_spanned(
                fields,
                "the fields of a tuple struct have no names to make paths of: name them, as in `struct Mlp { fc1: Linear, fc2: Linear }`",
            )),
            Fields::Unit => Err(Error::new_spanned(
                &node.ident,
                "a struct without fields has nothing to slim: remove `Slimmable` from its derives",
            )),
        },
        Data::Enum(data) => Err(Error::new_spanned(
            data.enum_token,
            "`Slimmable` cannot be derived for an enum: derive it for a struct, and give each variant a struct of its own",
        )),
        Data::Union(data) => Err(Error::new_spanned(
            data.union_token,
            "`Slimmable` cannot be derived for a union: write a struct with named fields",
        )),
    }
}
