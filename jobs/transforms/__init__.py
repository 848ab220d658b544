"""Pure DataFrame -> DataFrame steps: native expressions, no storage, no session, no collect."""
