"""A store becomes a run folder."""
