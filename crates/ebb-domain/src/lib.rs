//! The rules of disks, snapshots and instances: no I/O, no clock, no wire format.
