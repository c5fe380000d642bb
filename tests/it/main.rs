//! Everything that needs real servers, in one binary.

mod tarana;
