"""Logits and labels become numbers, intervals and figures."""
