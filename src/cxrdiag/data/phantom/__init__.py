"""Synthetic chest X-ray phantoms: anatomy, findings, the film, and a data set of them."""
