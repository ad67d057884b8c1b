"""Pictures with captions: fetched from the npm registry, and composed into scenes without end."""
