"""What the integration tests and the measuring tools share: a RESP client, and server processes on spare ports."""
