//! Zone workers on the provider in memory, in virtual time.

mod bench;
mod faults;
mod pace;
mod publishing;
mod withdrawing;
