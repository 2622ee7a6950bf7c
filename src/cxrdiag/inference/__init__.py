"""Files become diagnoses."""
