"""The persona's graph, and who words what it decides. LangGraph and model clients live here."""
