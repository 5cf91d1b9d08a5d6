//! Where the crate under the derive finds `vitslim_core`: the user may have renamed it.

use proc_macro_crate::{Error as Lookup, FoundCrate, crate_name};
use proc_macro2::Span;
use syn::{Error, Ident, Path, parse_quote};

/// The path that the `Cargo.toml` of the crate under the derive gives.
///
/// `Err` if it says that there is none. One that cannot be read, as with other build tools than Cargo, says nothing.
pub(crate) fn of_manifest() -> Result<Path, Error> {
    match crate_name("vitslim-core") {
        Ok(FoundCrate::Name(name)) => {
            let name = Ident::new(&name, Span::call_site());
            Ok(parse_quote!(::#name))
        }
        Err(Lookup::CrateNotFound { .. }) => Err(Error::new(
            Span::call_site(),
            "`vitslim-core` is no dependency of this crate: add it to `Cargo.toml`, or write above the struct where else it is found, as in `#[slim(crate = other::vitslim_core)]`",
        )),
        // vitslim-core knows itself by this name too.
        Ok(FoundCrate::Itself) | Err(_) => Ok(parse_quote!(::vitslim_core)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_vitslim_is_told_what_to_do() {
        // This very crate is one.
        let error = of_manifest().expect_err("vitslim-macros does not depend on vitslim-core");
        assert!(error.to_string().contains("#[slim(crate = "), "{error}");
    }
}
