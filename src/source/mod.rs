//! L7: MongoDB: client, cursor pump.
