//! The attribute table.
