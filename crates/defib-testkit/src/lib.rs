//! Development only: the corpus of programs that really fail, and how to run it.

pub mod corpus;
