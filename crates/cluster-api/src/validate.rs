//! Whether an object is what its schema says, and what becomes of it before: pruned, filled with defaults.

pub mod causes;
pub mod names;
