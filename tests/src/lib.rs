//! The tests that look at vitslim from outside; see `tests/`.
