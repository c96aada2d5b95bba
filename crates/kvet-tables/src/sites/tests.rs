//! Tests of site look-ups.
