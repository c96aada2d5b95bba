//! Rules on reports by hand, and that each stays silent without its evidence.
