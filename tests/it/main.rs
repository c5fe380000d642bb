//! The integration tests: everything against real parts, in one binary.

mod tarana;
