"""Model and resume files as strangers make them: made here, never stored."""
