"""Tables carried over once because no package has them; schemas/reference/PROVENANCE.md says from where."""
