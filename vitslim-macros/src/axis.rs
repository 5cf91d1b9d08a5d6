//! The factor lists: `[3, heads, head_dim]`, `[width + 4]`; and what each name in them stands for.

use std::fmt;
use std::mem::take;

use proc_macro2::{Delimiter, Group, Literal, Punct, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, Ident, Lit, Type};

use crate::ast::{Input, last_word};
use crate::name::Name;

/// One annotated axis of a field, `output = [3, heads, head_dim], gate`.
pub(crate) struct Axis {
    pub(crate) side: Side,
    /// `output` or `axis(2)`, as written.
    pub(crate) key: TokenStream,
    pub(crate) list: List,
    /// The flag `gate`, if it follows.
    pub(crate) gate: Option<Ident>,
}

/// The side of a layer that an axis belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
    Axis(usize),
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Side::Input => f.write_str("input"),
            Side::Output => f.write_str("output"),
            Side::Axis(number) => write!(f, "axis({number})"),
        }
    }
}

/// A list of factors, outermost first.
pub(crate) struct List {
    /// The list with its brackets.
    pub(crate) brackets: Group,
    pub(crate) factors: Vec<Factor>,
}

/// One factor as written.
pub(crate) enum Factor {
    Number(usize),
    Name(Name),
    /// Lists side by side: `a + (2, b)`. One alone is a list in parentheses.
    Sum(Vec<Vec<Factor>>),
}

impl List {
    /// Reads the `= [...]` that follows `key`, which is spelt `name`; `example` is what a right list might hold.
    pub(crate) fn parse(
        key: &impl ToTokens,
        name: &str,
        tokens: &[TokenTree],
        example: &str,
        errors: &mut Vec<Error>,
    ) -> Option<Self> {
        let right = format!("{name} = [{example}]");
        let value = match tokens {
            [TokenTree::Punct(equals), value @ ..] if equals.as_char() == '=' => value,
            [] => &[],
            [wrong, ..] => {
                errors.push(Error::new_spanned(wrong, format!("expected `=`: write `{right}`")));
                return None;
            }
        };
        errors.push(match value {
            [TokenTree::Group(group)] if group.delimiter() == Delimiter::Bracket => {
                return List::from_brackets(group, example, errors);
            }
            [TokenTree::Group(group), rest, ..] if group.delimiter() == Delimiter::Bracket => {
                Error::new_spanned(rest, "expected a comma after the list")
            }
            [] => Error::new_spanned(key, format!("`{name}` needs a list: write `{right}`")),
            [TokenTree::Ident(factor)] => {
                Error::new_spanned(factor, format!("a list stands in brackets: write `{name} = [{factor}]`"))
            }
            [TokenTree::Literal(literal)] if let Some(text) = unquoted(literal) => Error::new_spanned(
                literal,
                format!("names stand in brackets and without quotes: write `{name} = [{text}]`"),
            ),
            _ => Error::new_spanned(
                value.iter().cloned().collect::<TokenStream>(),
                format!("expected a list in brackets, such as `{right}`"),
            ),
        });
        None
    }

    fn from_brackets(group: &Group, example: &str, errors: &mut Vec<Error>) -> Option<Self> {
        let before = errors.len();
        let factors = product(group.stream(), errors);
        if factors.is_empty() && errors.len() == before {
            errors.push(Error::new_spanned(group, format!("the list is empty: write `[{example}]`")));
        }
        (errors.len() == before).then(|| List { brackets: group.clone(), factors })
    }

    /// Whether `name` is a factor of the list.
    pub(crate) fn has(&self, name: &Name) -> bool {
        self.names().any(|other| other == name)
    }

    /// The names of the list.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        let mut names = Vec::new();
        self.factors.iter().for_each(|factor| factor.collect_names(&mut names));
        names.into_iter()
    }

    /// The list without sums: of each sum, one of its terms, in all ways. `[heads, qk + v]` has the ways `[heads, qk]` and `[heads, v]`.
    pub(crate) fn ways(&self) -> Vec<Vec<&Factor>> {
        ways(&self.factors)
    }
}

fn ways(factors: &[Factor]) -> Vec<Vec<&Factor>> {
    factors.iter().fold(vec![Vec::new()], |ways_before, factor| {
        let here: Vec<Vec<&Factor>> = match factor {
            Factor::Sum(terms) => terms.iter().flat_map(|term| ways(term)).collect(),
            factor => vec![vec![factor]],
        };
        ways_before.iter().flat_map(|before| here.iter().map(|way| [&before[..], way].concat())).collect()
    })
}

/// The factors between commas.
fn product(tokens: TokenStream, errors: &mut Vec<Error>) -> Vec<Factor> {
    let mut factors = Vec::new();
    for item in items(tokens, errors) {
        match item.terms().as_slice() {
            [one] => match one.trees() {
                [TokenTree::Group(group)] if is_parenthesis(group) => {
                    factors.push(Factor::Sum(vec![parenthesis(group, errors)]));
                }
                _ => match Factor::parse(one) {
                    Ok(factor) => factors.push(factor),
                    Err(error) => errors.push(error),
                },
            },
            terms => {
                let terms = terms.iter().map(|term| match term.trees() {
                    [] => {
                        let message = "a `+` stands between what lies side by side: write `a + b`";
                        errors.push(Error::new_spanned(item.tokens(), message));
                        Vec::new()
                    }
                    [TokenTree::Group(group)] if is_parenthesis(group) => parenthesis(group, errors),
                    _ => Factor::parse(term).map_err(|error| errors.push(error)).into_iter().collect(),
                });
                factors.push(Factor::Sum(terms.collect()));
            }
        }
    }
    factors
}

fn parenthesis(group: &Group, errors: &mut Vec<Error>) -> Vec<Factor> {
    let before = errors.len();
    let factors = product(group.stream(), errors);
    if factors.is_empty() && errors.len() == before {
        errors.push(Error::new_spanned(
            group,
            "nothing stands in these parentheses: write factors, as in `(3, hidden)`",
        ));
    }
    factors
}

fn is_parenthesis(group: &Group) -> bool {
    group.delimiter() == Delimiter::Parenthesis
}

impl Factor {
    fn collect_names<'f>(&'f self, names: &mut Vec<&'f Name>) {
        match self {
            Factor::Number(_) => {}
            Factor::Name(name) => names.push(name),
            Factor::Sum(terms) => terms.iter().flatten().for_each(|factor| factor.collect_names(names)),
        }
    }

    fn parse(item: &Item) -> Result<Self, Error> {
        let message = match item.trees() {
            [TokenTree::Ident(name)] => match name.to_string().as_str() {
                "_" | "self" | "Self" | "super" | "crate" | "true" | "false" => {
                    format!("`{name}` cannot name a dimension: write a name such as `hidden`")
                }
                _ => return Ok(Factor::Name(Name::from(name))),
            },
            trees if let Some(name) = Name::of(trees) => return Ok(Factor::Name(name)),
            [TokenTree::Literal(literal)] => return Factor::from_literal(literal),
            [TokenTree::Punct(minus), TokenTree::Literal(_)] if minus.as_char() == '-' => {
                "a number in an axis counts repetitions: write a whole number of at least 1".into()
            }
            [first, second] if is_word(first) && is_word(second) => {
                format!("factors are separated by commas: write `{first}, {second}`")
            }
            trees if is_product(trees) => {
                "an axis is a list of factors, not a product: write commas, as in `[3, heads, head_dim]`".into()
            }
            _ => "a factor is a name, a whole number, or what lies side by side: name a dimension such as `hidden`, or a `usize` field for a count that is computed, or write a sum such as `hidden + 4`".into(),
        };
        Err(Error::new_spanned(item.tokens(), message))
    }

    fn from_literal(literal: &Literal) -> Result<Self, Error> {
        let message = match Lit::new(literal.clone()) {
            Lit::Str(text) => format!("write the name without quotes: `{}`", text.value()),
            Lit::Int(number) if !matches!(number.suffix(), "" | "usize") => {
                format!("a number in an axis is a `usize`: write `{}`", number.base10_digits())
            }
            Lit::Int(number) => match number.base10_parse::<usize>() {
                Ok(0) => "a number in an axis counts repetitions: 0 would make the axis empty, write a whole number of at least 1".into(),
                Ok(value) => return Ok(Factor::Number(value)),
                Err(_) => "no axis is this long: write a number that fits into a `usize`".into(),
            },
            _ => "a factor is a single name or a whole number of at least 1, such as `3`".into(),
        };
        Err(Error::new_spanned(literal, message))
    }
}

/// The text of a string literal, if it is one.
fn unquoted(literal: &Literal) -> Option<String> {
    match Lit::new(literal.clone()) {
        Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

fn is_word(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Ident(_) | TokenTree::Literal(_))
}

/// Names and numbers with `*` between, as in `3 * heads`.
fn is_product(trees: &[TokenTree]) -> bool {
    let is_star = |tree: &TokenTree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == '*');
    trees.iter().any(is_star) && trees.iter().all(|tree| is_word(tree) || is_star(tree))
}

/// What a name in an axis stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    /// A number: this `usize` field or const parameter.
    Count(&'a Ident),
    /// The groups of the grouped dimension that follows.
    Groups,
    /// A dimension.
    Units,
}

/// What each name stands for, in this struct.
pub(crate) struct Names<'a> {
    /// The `usize` fields and const parameters.
    counts: Vec<&'a Ident>,
    outer: &'a [Name],
    /// Groups and units of each grouped dimension: those with a layout here, then the borrowed ones.
    grouped: Vec<(&'a Name, &'a Name)>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(input: &'a Input<'a>) -> Self {
        let fields = input.fields.iter().map(|field| (field.ident, field.ty));
        let params = input.original.generics.const_params().map(|param| (&param.ident, &param.ty));
        let counts = fields.chain(params).filter(|(_, ty)| is_usize(ty));
        let mut names = Names {
            counts: counts.map(|(name, _)| name).collect(),
            outer: &input.outer,
            grouped: Vec::new(),
        };
        for layout in input.layouts() {
            names.grouped.extend(layout.units().map(|units| (&layout.groups, units)));
        }
        // A borrowed dimension has no layout here: that it is grouped shows where it is used.
        for carrier in input.axes() {
            for way in carrier.axis.list.ways() {
                let of_way: Vec<&Name> =
                    way.into_iter().filter_map(|factor| names.dimension(factor)).collect();
                for pair in of_way.windows(2) {
                    let (groups, units) = (pair[0], pair[1]);
                    if names.could_be_groups(groups)
                        && names.could_be_grouped(units)
                        && groups != units
                        && groups.place() == units.place()
                    {
                        names.grouped.push((groups, units));
                    }
                }
            }
        }
        names
    }

    fn could_be_grouped(&self, name: &Name) -> bool {
        self.is_borrowed(name) && self.meaning(name) == Meaning::Units && self.groups_of(name).is_none()
    }

    /// Whether `name` could be groups: of queries and keys too, if it is of values.
    fn could_be_groups(&self, name: &Name) -> bool {
        self.is_borrowed(name)
            && self.groups_of(name).is_none()
            && !matches!(self.meaning(name), Meaning::Count(_))
    }

    /// The dimension, or its groups, that `factor` names, if it is no count.
    pub(crate) fn dimension<'f>(&self, factor: &'f Factor) -> Option<&'f Name> {
        match factor {
            Factor::Name(name) if !matches!(self.meaning(name), Meaning::Count(_)) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn meaning(&self, name: &Name) -> Meaning<'a> {
        if let Some(count) = self.counts.iter().find(|count| name.is(count)) {
            Meaning::Count(count)
        } else if self.units_of(name).is_some() {
            Meaning::Groups
        } else {
            Meaning::Units
        }
    }

    /// Whether the dimension is declared elsewhere: by an enclosing struct, or inside a field.
    pub(crate) fn is_borrowed(&self, name: &Name) -> bool {
        self.outer.contains(name) || name.inside().is_some()
    }

    /// The dimension that `groups` are the groups of; of two, the first.
    pub(crate) fn units_of(&self, groups: &Name) -> Option<&'a Name> {
        let pair = self.grouped.iter().find(|(name, _)| *name == groups);
        pair.map(|(_, units)| *units)
    }

    /// The groups of the dimension `units`.
    pub(crate) fn groups_of(&self, units: &Name) -> Option<&'a Name> {
        let pair = self.grouped.iter().find(|(_, name)| *name == units);
        pair.map(|(groups, _)| *groups)
    }

    /// The dimensions that the struct declares, each with the first place that names it.
    pub(crate) fn declared<'i>(&self, input: &'i Input<'_>) -> Vec<&'i Name> {
        let mut declared: Vec<&Name> = Vec::new();
        for name in input.own.iter().chain(input.names()) {
            let is_dimension = self.meaning(name) == Meaning::Units && !self.is_borrowed(name);
            if is_dimension && !declared.contains(&name) {
                declared.push(name);
            }
        }
        declared
    }
}

fn is_usize(ty: &Type) -> bool {
    last_word(ty).is_some_and(|name| name == "usize")
}

/// The tokens between two commas.
pub(crate) struct Item(Vec<TokenTree>);

impl Item {
    pub(crate) fn trees(&self) -> &[TokenTree] {
        &self.0
    }

    pub(crate) fn tokens(&self) -> TokenStream {
        self.0.iter().cloned().collect()
    }

    /// What stands between its `+`.
    fn terms(&self) -> Vec<Item> {
        let is_plus = |tree: &TokenTree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == '+');
        self.0.split(is_plus).map(|trees| Item(trees.to_vec())).collect()
    }

    /// The name that the item starts with, and what follows it.
    pub(crate) fn key(&self) -> Option<(&Ident, &[TokenTree])> {
        match self.trees() {
            [TokenTree::Ident(key), value @ ..] => Some((key, value)),
            _ => None,
        }
    }
}

/// Splits at commas. A comma with nothing before it is an error, one at the end is not.
pub(crate) fn items(tokens: TokenStream, errors: &mut Vec<Error>) -> Vec<Item> {
    let mut items = vec![];
    let mut trees = vec![];
    split(tokens, &mut trees, &mut |trees, comma| {
        if trees.is_empty() {
            errors.push(Error::new_spanned(comma, "nothing stands before this comma: remove it"));
        } else {
            items.push(Item(take(trees)));
        }
    });
    if !trees.is_empty() {
        items.push(Item(trees));
    }
    items
}

/// Collects trees, and calls `at_comma` at each comma. Looks into the invisible groups that a macro puts around its
/// variables.
fn split(
    tokens: TokenStream,
    trees: &mut Vec<TokenTree>,
    at_comma: &mut dyn FnMut(&mut Vec<TokenTree>, &Punct),
) {
    for tree in tokens {
        match tree {
            TokenTree::Punct(comma) if comma.as_char() == ',' => at_comma(trees, &comma),
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                split(group.stream(), trees, at_comma);
            }
            tree => trees.push(tree),
        }
    }
}
