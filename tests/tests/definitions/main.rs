//! What `#[derive(Slimmable)]` accepts, without a warning: structs as authors write them. What it refuses is in `ui/fail/`.

#![deny(warnings, missing_docs, clippy::all, unused_qualifications, unreachable_pub, unused_results)]

pub mod attention;
pub mod borrowed;
pub mod branches;
pub mod counts;
pub mod generics;
pub mod lists;
pub mod mlp;
pub mod names;
pub mod order;
pub mod other_path;
pub mod same_name;
pub mod several;
pub mod sums;
pub mod treatments;
pub mod visibility;
pub mod vit;
pub mod without;
