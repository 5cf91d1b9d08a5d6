//! Structs in one another that use one name: the innermost that declares it owns it.

use vitslim_core::prelude::*;
use vitslim_core::slim::describe;

/// A module of the same name in each of two modules, which declare a dimension of the same name.
pub mod small {
    use super::*;

    /// Declares `hidden`.
    #[derive(Module, Debug, Slimmable)]
    pub struct Mlp {
        /// `[hidden]`
        #[slim(axis(0) = [hidden], gate)]
        pub r#type: Param<Tensor<1>>,
        /// Borrows what it is put into declares: this `hidden`.
        #[slim]
        pub last: Borrower,
    }
}

/// See `small`.
pub mod large {
    use super::*;

    /// Declares `hidden` and holds others that do.
    #[derive(Module, Debug, Slimmable)]
    pub struct Mlp {
        /// `[hidden]`
        #[slim(axis(0) = [hidden], gate)]
        pub before: Param<Tensor<1>>,
        /// Others, of which each declares its own.
        #[slim]
        pub r#match: [small::Mlp; 2],
        /// Borrows this `hidden`.
        #[slim]
        pub last: Borrower,
    }
}

/// Borrows `hidden`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [hidden])]
pub struct Borrower {
    /// `[hidden]`
    #[slim(axis(0) = [hidden])]
    pub scale: Param<Tensor<1>>,
}

#[test]
fn the_innermost_owns_the_name() {
    let device = Device::flex();
    let param = |size: usize| Param::from_tensor(Tensor::<1>::ones([size], &device));
    let borrower = |size| Borrower { scale: param(size) };
    let small = |size| small::Mlp { r#type: param(size), last: borrower(size) };
    let large = large::Mlp { before: param(5), r#match: [small(2), small(3)], last: borrower(5) };

    let dimensions = describe(&large).expect("sizes that agree");
    let found: Vec<_> = dimensions
        .iter()
        .map(|dimension| {
            let carriers = dimension.carriers.iter().map(|carrier| carrier.layer.as_str());
            (dimension.path.as_str(), dimension.units(), carriers.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("hidden", 5, vec!["before", "last.scale"]),
            ("match.0.hidden", 2, vec!["match.0.type", "match.0.last.scale"]),
            ("match.1.hidden", 3, vec!["match.1.type", "match.1.last.scale"]),
        ]
    );
}
