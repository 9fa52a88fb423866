"""vLLM: the backend, its setup, what it leans on, and the engine in a process of its own. Importing this imports no vLLM."""
