//! An in-process Workload API with its own CA, for the demo and tests.
