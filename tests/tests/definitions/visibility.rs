//! Public, restricted and private fields and structs.

use vitslim_core::prelude::*;

/// Parts.
pub mod parts {
    use super::*;

    /// Fields of every visibility, with and without documentation.
    #[derive(Module, Debug, Slimmable)]
    pub struct Bottleneck {
        #[slim(output = [wide], gate)]
        expand: Linear,
        #[slim(input = [wide], output = [narrow])]
        pub(crate) squeeze: Linear,
        /// Back to the width.
        ///
        /// With a second paragraph.
        #[slim(input = [narrow], gate)]
        pub project: Linear,
    }

    mod inner {
        use super::*;

        #[derive(Module, Debug, Slimmable)]
        pub(crate) struct Hidden {
            #[slim(output = [hidden], gate)]
            pub(in crate::visibility) fc1: Linear,
            #[slim(input = [hidden])]
            pub(super) fc2: Linear,
        }
    }

    #[derive(Module, Debug, Slimmable)]
    pub(crate) struct Both {
        #[slim]
        pub(super) hidden: inner::Hidden,
        #[slim]
        bottleneck: Bottleneck,
    }
}

#[derive(Module, Debug, Slimmable)]
struct Private {
    #[slim]
    both: parts::Both,
}

fn slimmable<T: Slimmable>() {}

#[test]
fn private_structs_are_slimmable() {
    slimmable::<Private>();
}
