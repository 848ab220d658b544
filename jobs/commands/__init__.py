"""Commands for people at a terminal; nothing here is ever submitted."""
