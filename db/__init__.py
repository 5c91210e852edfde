"""Records: tables and queries, live state, recordings."""
