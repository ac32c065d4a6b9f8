"""Makes orders findable with Meilisearch. Nothing critical may import this package."""
