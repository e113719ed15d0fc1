"""Parts that synchronous and asynchronous model queries share."""
