//! Vendor errors.
