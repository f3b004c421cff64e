//! The embedded engine: one log file, checksummed from write to read.
