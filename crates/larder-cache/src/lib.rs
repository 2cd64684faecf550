//! larder-cache
