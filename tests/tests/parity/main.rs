//! Golden numbers of the original PyTorch code, and of an independent program for our own rules:
//! `fixtures/parity/README.md` states every formula. Another folder of the same form may be named in
//! `VITSLIM_PARITY_DIR`.

mod fixture;
mod forward;
mod gradients;
mod our_rules;
mod selection;
