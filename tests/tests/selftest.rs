//! The checks of `vitslim selftest`, on the CPU. What another folder of the parity group's files holds is checked where
//! `VITSLIM_PARITY_DIR` names it.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use vitslim_core::selftest::{Group, selftest};

/// The device's generator is one for all threads, and runs are compared bit by bit.
static ALONE: Mutex<()> = Mutex::new(());

#[track_caller]
fn assert_passed(group: Group) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let checks = selftest(&Device::flex(), &[group], |_| {});
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed).map(|check| check.line()).collect();
    assert!(!checks.is_empty() && failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn parity() {
    assert_passed(Group::Parity);
}

#[test]
fn training() {
    assert_passed(Group::Training);
}

#[test]
fn slicing() {
    assert_passed(Group::Slicing);
}

#[test]
fn layers() {
    assert_passed(Group::Layers);
}

#[test]
fn macs() {
    assert_passed(Group::Macs);
}

#[test]
fn pipeline() {
    assert_passed(Group::Pipeline);
}
