"""The way to the server: URI, TLS, codec, settings, write concern, session state, event loop."""
