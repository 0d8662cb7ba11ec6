//! Albeit: placeholder.
