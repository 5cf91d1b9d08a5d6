//! The struct under the derive, as the other stages want to see it.

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, GenericArgument, Ident, Path, PathArguments, Token, Type,
};

use crate::attr::{self, Layout, Role, Said};
use crate::axis::Axis;
use crate::branch::Branch;
use crate::container::Container;
use crate::lend::Lend;
use crate::name::Name;
use crate::treatment::Treatments;

/// A struct with its annotations.
pub(crate) struct Input<'a> {
    pub(crate) original: &'a DeriveInput,
    /// The dimensions it borrows, in the order written.
    pub(crate) outer: Vec<Name>,
    /// The dimensions that it declares for its nested fields, in the order written.
    pub(crate) own: Vec<Name>,
    /// The dimensions that a product reads and no layer, in the order written.
    pub(crate) contracted: Vec<Name>,
    /// The flag `none`, if it is given.
    pub(crate) none: Option<Ident>,
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
    /// The flag `end`, if it is given.
    pub(crate) end: Option<Ident>,
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
        let Container { outer, own, contracted, none, root } =
            Container::from_attributes(&node.attrs, errors);
        let fields = fields.iter().filter_map(|field| Field::from_syn(field, errors)).collect();
        Some(Input {
            original: node,
            outer,
            own,
            contracted,
            none,
            root,
            fields,
            complete: errors.is_empty(),
        })
    }

    /// Every axis of the struct with the layer it belongs to, in the order written.
    pub(crate) fn axes(&self) -> impl Iterator<Item = Carrier<'_, 'a>> {
        self.fields.iter().flat_map(Field::axes)
    }

    /// Every dimension that is lent to a field, with the field, in the order written.
    pub(crate) fn lends(&self) -> impl Iterator<Item = (&Field<'a>, &Lend)> {
        self.fields.iter().flat_map(|field| field.lends().iter().map(move |lend| (field, lend)))
    }

    /// Every name of what is here, in axes and in what is lent.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        let of_axes = self.axes().flat_map(|carrier| carrier.axis.list.names());
        of_axes.chain(self.lends().filter_map(|(_, lend)| lend.source.name()))
    }

    /// The layouts, in the order of the fields.
    pub(crate) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        self.fields.iter().filter_map(|field| match &field.role {
            Role::Layout(layout) => Some(layout),
            _ => None,
        })
    }

    /// The branches with the fields of their gates, in the order of these.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (&Field<'a>, &Branch)> {
        self.fields.iter().filter_map(|field| match &field.role {
            Role::Branch(branch) => Some((field, branch)),
            _ => None,
        })
    }

    /// The field called `name`.
    pub(crate) fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.ident.unraw() == name)
    }
}

/// A layer with one of its axes.
#[derive(Clone, Copy)]
pub(crate) struct Carrier<'i, 'a> {
    pub(crate) field: &'i Field<'a>,
    /// Which part of a tuple it is, if only that has the axis.
    pub(crate) part: Option<usize>,
    pub(crate) axis: &'i Axis,
}

impl<'a> Carrier<'_, 'a> {
    /// `downsample`, or `downsample.1`.
    pub(crate) fn name(&self) -> String {
        match self.part {
            Some(part) => format!("{}.{part}", self.field.ident),
            None => self.field.ident.to_string(),
        }
    }

    /// The types of the layers that have the axis.
    pub(crate) fn types(&self) -> Vec<&'a Type> {
        layers(self.field.ty, self.part)
    }
}

impl<'a> Field<'a> {
    fn from_syn(node: &'a syn::Field, errors: &mut Vec<Error>) -> Option<Self> {
        let ident = node.ident.as_ref()?;
        let Said { role, treatments, end } = attr::of_field(&node.attrs, errors);
        Some(Field { original: node, ident, ty: &node.ty, role, treatments, end })
    }

    /// Its axes, or those of its parts.
    pub(crate) fn axes<'i>(&'i self) -> impl Iterator<Item = Carrier<'i, 'a>> {
        let (whole, parts): (&[Axis], &[attr::Part]) = match &self.role {
            Role::Layer(axes) => (axes, &[]),
            Role::Parts(parts) => (&[], parts),
            _ => (&[], &[]),
        };
        let whole = whole.iter().map(|axis| (None, axis));
        let parts = parts.iter().flat_map(|part| part.axes.iter().map(|axis| (Some(part.index), axis)));
        whole.chain(parts).map(|(part, axis)| Carrier { field: self, part, axis })
    }

    /// The types of its layers at the end of a branch.
    pub(crate) fn ends(&self) -> Vec<&'a Type> {
        match &self.role {
            _ if self.end.is_some() => layers(self.ty, None),
            Role::Parts(parts) => {
                let parts = parts.iter().filter(|part| part.end.is_some());
                parts.flat_map(|part| layers(self.ty, Some(part.index))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What it borrows by another name.
    pub(crate) fn lends(&self) -> &[Lend] {
        match &self.role {
            Role::Nested(lends) => lends,
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

/// How many values a type holds, as far as its name says.
pub(crate) enum Shape<'a> {
    One,
    Option(&'a Type),
    /// A `Vec` or an array.
    List(&'a Type),
    Tuple(Vec<&'a Type>),
}

/// What `ty` holds.
pub(crate) fn elements(ty: &Type) -> Shape<'_> {
    let path = match ty {
        // A macro puts invisible groups around its variables.
        Type::Group(group) => return elements(&group.elem),
        Type::Paren(paren) => return elements(&paren.elem),
        Type::Array(array) => return Shape::List(&array.elem),
        Type::Tuple(tuple) => return Shape::Tuple(tuple.elems.iter().collect()),
        Type::Path(path) => path,
        _ => return Shape::One,
    };
    let Some(last) = path.path.segments.last() else { return Shape::One };
    match &last.arguments {
        PathArguments::AngleBracketed(arguments)
            if let Some(GenericArgument::Type(element)) = arguments.args.first() =>
        {
            match last.ident.to_string().as_str() {
                "Vec" => Shape::List(element),
                "Option" => Shape::Option(element),
                _ => Shape::One,
            }
        }
        _ => Shape::One,
    }
}

/// The types of the layers in `ty`: of `Option<(LayerNorm, Conv2d)>` both, or one `part`.
pub(crate) fn layers(ty: &Type, part: Option<usize>) -> Vec<&Type> {
    match (elements(ty), part) {
        (Shape::One, None) => vec![ty],
        (Shape::One, Some(_)) => Vec::new(),
        (Shape::Option(element) | Shape::List(element), _) => layers(element, part),
        (Shape::Tuple(parts), None) => parts.into_iter().flat_map(|part| layers(part, None)).collect(),
        (Shape::Tuple(parts), Some(part)) => {
            parts.into_iter().nth(part).map_or_else(Vec::new, |part| layers(part, None))
        }
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
