//! The ECS API over HTTP: signatures, parameters, replies, error codes.
