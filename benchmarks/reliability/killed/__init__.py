"""Trainings and preparations in processes of their own, to be killed and starved."""
