//! How long the operations of a network take on a device: measured when they are first asked for, and kept in a table.

mod clock;
mod table;

pub(crate) use clock::{Clock, DeviceClock, TimeError};
pub(crate) use table::Table;
