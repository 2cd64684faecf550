//! The fault matrix (verification 5.4): each row is one test, in a file of its number.
//!
//! A row is one scenario, played by the code that people write by hand and by Larder. The first has to break a promise
//! in at least one of three attempts, or the scenario shows nothing; Larder must keep all of them.
//!
//! To add a row: a file `fault_NN.rs` whose test calls [`row`](row::row), and its line here. Most scenarios are told
//! with a [`Stage`](stage::Stage), which records what everybody did for the checker (rules C1 to C9); where the
//! outcome is certain, a [`Verdict`](row::Verdict) counts by itself. `LARDER_BASELINE=larder` (or `naive`, `lock`) and
//! `LARDER_TOPOLOGY=redis` keep a run to some of it, and `LARDER_SEED` replays one.

mod far;
mod lost_tail;
mod mishap;
pub(crate) mod row;
mod stage;
mod tagged;

mod fault_01;
mod fault_02;
mod fault_03;
mod fault_04;
mod fault_05;
mod fault_07;
mod fault_08;
mod fault_09;
mod fault_10;
mod fault_11;
mod fault_12;
mod fault_13;
mod fault_14;
mod fault_15;
mod fault_17;
mod fault_18;
mod fault_19;
mod fault_20;
mod fault_21;
mod fault_22;
mod fault_23;
mod fault_24;
mod fault_26;
mod fault_27;
pub(crate) mod fault_28;
mod fault_30;
mod fault_35;
mod fault_36;
mod fault_37;
mod fault_38;
mod fault_39;
mod fault_40;
