"""Data sets: sources name pictures, the store decodes them once, batches hand them out."""
