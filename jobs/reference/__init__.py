"""Look-ups as frames: places, products, partners and city names, with a user's own files laid over the shipped ones."""
