"""The generated world: a latent city panel whose truth is known, and raw files that hide it as the trade's files do."""
