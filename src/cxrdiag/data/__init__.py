"""A raw folder becomes a store, a store becomes batches."""
