//! Weights of other programs. `vitslim-core/data/weights/README.md` says where the files are from.

mod containers;
mod families;
mod files;
mod fitting;
