"""Studies: a question in YAML, answered by many pictures, with what they measure and how sure it is."""
